package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// address chooses lines: a number, the last, or those that match.
type address struct {
	line int
	last bool
	re   *regexp.Regexp
}

func (a *address) matches(s *state) bool {
	switch {
	case a.last:
		return !s.lines.more
	case a.re != nil:
		return a.re.MatchString(s.text)
	}
	return s.lines.n == a.line
}

// command is one step of a script.
type command struct {
	from, to    *address
	negate      bool
	inside      bool // between from and to
	name        byte
	re          *regexp.Regexp
	replacement []piece
	global      bool
	print       bool
	nth         int
	mapping     map[rune]rune
	text        string
	code        int
	block       []*command
}

// piece is a part of a replacement: plain text or, from 0 up, a group.
type piece struct {
	text  string
	group int
}

func (c *command) applies(s *state) bool { return c.chosen(s) != c.negate }

func (c *command) chosen(s *state) bool {
	switch {
	case c.from == nil:
		return true
	case c.to == nil:
		return c.from.matches(s)
	case c.inside:
		if c.to.matches(s) || c.to.re == nil && !c.to.last && s.lines.n >= c.to.line {
			c.inside = false
		}
		return true
	case c.from.matches(s):
		c.inside = !(c.to.re == nil && !c.to.last && c.to.line <= s.lines.n)
		if c.to.last && !s.lines.more {
			c.inside = false
		}
		return true
	}
	return false
}

func (c *command) substitute(s *state) {
	found := c.re.FindAllStringSubmatchIndex(s.text, -1)
	if len(found) < c.nth {
		return
	}
	var out strings.Builder
	at := 0
	for i, m := range found {
		if i+1 < c.nth || i+1 > c.nth && !c.global {
			continue
		}
		out.WriteString(s.text[at:m[0]])
		for _, p := range c.replacement {
			if p.group < 0 {
				out.WriteString(p.text)
			} else if k := 2 * p.group; k+1 < len(m) && m[k] >= 0 {
				out.WriteString(s.text[m[k]:m[k+1]])
			}
		}
		at = m[1]
	}
	out.WriteString(s.text[at:])
	s.text = out.String()
	if c.print {
		s.out.WriteString(s.text + "\n")
	}
}

// reader walks a script.
type reader struct {
	text     string
	at       int
	extended bool
}

func parse(script string, extended bool) ([]*command, error) {
	r := &reader{text: script, extended: extended}
	commands, err := r.commands(false)
	if err != nil {
		return nil, fmt.Errorf("script, character %d: %w", r.at, err)
	}
	return commands, nil
}

func (r *reader) peek() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

func (r *reader) skip(set string) {
	for r.peek() != 0 && strings.IndexByte(set, r.peek()) >= 0 {
		r.at++
	}
}

func (r *reader) commands(inBlock bool) ([]*command, error) {
	var list []*command
	for {
		r.skip(" \t\n;")
		switch r.peek() {
		case 0:
			if inBlock {
				return nil, fmt.Errorf("{ without }")
			}
			return list, nil
		case '#':
			r.line()
			continue
		case '}':
			if !inBlock {
				return nil, fmt.Errorf("} without {")
			}
			r.at++
			return list, nil
		}
		c, err := r.command()
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
}

func (r *reader) command() (*command, error) {
	c := &command{nth: 1}
	var err error
	if c.from, err = r.address(); err != nil {
		return nil, err
	}
	if r.peek() == ',' && c.from != nil {
		r.at++
		r.skip(" \t")
		if c.to, err = r.address(); err != nil || c.to == nil {
			return nil, fmt.Errorf("no address after the comma")
		}
	}
	r.skip(" \t")
	for r.peek() == '!' {
		c.negate = true
		r.at++
		r.skip(" \t")
	}
	c.name = r.peek()
	r.at++
	switch c.name {
	case 's':
		return c, r.substitution(c)
	case 'y':
		return c, r.transliteration(c)
	case 'd', 'p', '=', 'n', 'N':
		return c, nil
	case 'q':
		r.skip(" \t")
		c.code = r.number(0)
		return c, nil
	case 'a', 'i', 'c':
		r.skip(" \t")
		if strings.HasPrefix(r.text[r.at:], "\\") {
			r.at++
			r.skip(" \t\n")
		}
		c.text = strings.ReplaceAll(r.line(), `\n`, "\n")
		return c, nil
	case '{':
		c.block, err = r.commands(true)
		return c, err
	}
	return nil, fmt.Errorf("%q: unknown command", c.name)
}

func (r *reader) line() string {
	rest := r.text[r.at:]
	line, _, _ := strings.Cut(rest, "\n")
	r.at += len(line)
	return line
}

func (r *reader) number(otherwise int) int {
	start := r.at
	for r.peek() >= '0' && r.peek() <= '9' {
		r.at++
	}
	n, err := strconv.Atoi(r.text[start:r.at])
	if err != nil {
		return otherwise
	}
	return n
}

func (r *reader) address() (*address, error) {
	switch c := r.peek(); {
	case c >= '0' && c <= '9':
		return &address{line: r.number(0)}, nil
	case c == '$':
		r.at++
		return &address{last: true}, nil
	case c == '/' || c == '\\':
		if c == '\\' {
			r.at++
		}
		text, err := r.delimited()
		if err != nil {
			return nil, err
		}
		re, err := r.pattern(text, "")
		return &address{re: re}, err
	}
	return nil, nil
}

// delimited reads from the character at hand to its next appearance, which a
// backslash protects, and leaves the reader on that.
func (r *reader) delimited() (string, error) {
	mark := r.peek()
	if mark == 0 || mark == '\n' {
		return "", fmt.Errorf("a pattern is missing")
	}
	r.at++
	text, err := r.until(mark)
	r.at++
	return text, err
}

func (r *reader) until(mark byte) (string, error) {
	var out strings.Builder
	for r.at < len(r.text) {
		c := r.text[r.at]
		switch {
		case c == '\\' && r.at+1 < len(r.text):
			if r.text[r.at+1] != mark {
				out.WriteByte(c)
			}
			out.WriteByte(r.text[r.at+1])
			r.at += 2
			continue
		case c == mark:
			return out.String(), nil
		}
		out.WriteByte(c)
		r.at++
	}
	return "", fmt.Errorf("no closing %q", mark)
}

func (r *reader) substitution(c *command) error {
	mark := r.peek()
	pattern, err := r.delimited()
	if err != nil {
		return err
	}
	replacement, err := r.until(mark)
	if err != nil {
		return err
	}
	r.at++
	flags := ""
	for strings.IndexByte("gpiI0123456789", r.peek()) >= 0 && r.peek() != 0 {
		switch f := r.peek(); f {
		case 'g':
			c.global = true
		case 'p':
			c.print = true
		case 'i', 'I':
			flags = "(?i)"
		default:
			c.nth = r.number(1)
			continue
		}
		r.at++
	}
	c.replacement = pieces(replacement)
	c.re, err = r.pattern(pattern, flags)
	return err
}

// pieces reads & and \1 as groups and \n as a line end.
func pieces(text string) []piece {
	var list []piece
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '&':
			list = append(list, piece{group: 0})
		case text[i] == '\\' && i+1 < len(text):
			i++
			switch d := text[i]; {
			case d >= '0' && d <= '9':
				list = append(list, piece{group: int(d - '0')})
			case d == 'n':
				list = append(list, piece{text: "\n", group: -1})
			case d == 't':
				list = append(list, piece{text: "\t", group: -1})
			default:
				list = append(list, piece{text: string(d), group: -1})
			}
		default:
			list = append(list, piece{text: text[i : i+1], group: -1})
		}
	}
	return list
}

func (r *reader) transliteration(c *command) error {
	mark := r.peek()
	from, err := r.delimited()
	if err != nil {
		return err
	}
	to, err := r.until(mark)
	if err != nil {
		return err
	}
	r.at++
	a, b := []rune(from), []rune(to)
	if len(a) != len(b) {
		return fmt.Errorf("y: both sides need the same length")
	}
	c.mapping = map[rune]rune{}
	for i := range a {
		c.mapping[a[i]] = b[i]
	}
	return nil
}

// pattern compiles a basic expression, or an extended one, for Go.
func (r *reader) pattern(text, flags string) (*regexp.Regexp, error) {
	if !r.extended {
		text = extend(text)
	}
	re, err := regexp.Compile(flags + text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	return re, nil
}

// extend turns a basic expression into an extended one: \( \) \{ \} \| \+ \?
// are the operators, and the bare characters stand for themselves.
func extend(p string) string {
	var out strings.Builder
	inSet := 0 // where the bracket began, plus one
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch {
		case inSet > 0:
			out.WriteByte(c)
			if c == ']' && i > inSet && !(i == inSet+1 && p[i-1] == '^') {
				inSet = 0
			}
		case c == '[':
			inSet = i + 1
			out.WriteByte(c)
		case c == '\\' && i+1 < len(p):
			i++
			if strings.IndexByte("(){}|+?", p[i]) >= 0 {
				out.WriteByte(p[i])
			} else {
				out.WriteString(`\` + p[i:i+1])
			}
		case strings.IndexByte("(){}|+?", c) >= 0:
			out.WriteString(`\` + string(c))
		case c == '*' && (i == 0 || strings.HasSuffix(p[:i], `\(`)):
			out.WriteString(`\*`)
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}
