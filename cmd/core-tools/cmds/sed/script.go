package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"coretools.silo/regex"
)

// script is what is done with each line: the commands one after the other. A
// brace is a command that leads past its block if it does not apply.
type script struct {
	commands []*command
	quiet    bool // the first line is #n
}

// command is one step of a script.
type command struct {
	from, to    *address
	negate      bool
	name        byte
	pattern     *regexp.Regexp // nil stands for the one used last
	replacement []piece
	global      bool
	print       bool
	nth         int
	mapping     map[rune]rune
	text        string // of a, i and c; the label of b, t, T and :; the file of r and w
	number      int    // exit code, or the width for l
	target      int    // the command that a jump leads to

	inside bool // between from and to
	begun  bool // from is a number that was reached
	last   int  // the line that ends this, if it is a number
}

// piece is a part of a replacement: plain text, a group from 0 up, or one of U,
// L, E, u and l, which change the case of what follows.
type piece struct {
	text  string
	group int
	turn  byte
}

// reader walks a script.
type reader struct {
	text     string
	at       int
	extended bool
	open     []*command // braces
	script   *script
}

func parse(text string, extended bool) (*script, error) {
	r := &reader{text: text, extended: extended, script: &script{}}
	r.script.quiet = text == "#n" || strings.HasPrefix(text, "#n\n")
	for r.skip(" \t\n;"); r.peek() != 0; r.skip(" \t\n;") {
		if r.peek() == '#' {
			r.line()
			continue
		}
		if err := r.command(); err != nil {
			return nil, fmt.Errorf("script, character %d: %w", r.at, err)
		}
	}
	if len(r.open) > 0 {
		return nil, fmt.Errorf("script: { without }")
	}
	return r.script, r.script.link()
}

// link finds the labels of jumps.
func (s *script) link() error {
	labels := map[string]int{"": len(s.commands)}
	for i, c := range s.commands {
		if c.name == ':' {
			labels[c.text] = i
		}
	}
	for _, c := range s.commands {
		if strings.IndexByte("btT", c.name) >= 0 {
			target, ok := labels[c.text]
			if !ok {
				return fmt.Errorf("script: no label %q to jump to", c.text)
			}
			c.target = target
		}
	}
	return nil
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

func (r *reader) line() string {
	line, _, _ := strings.Cut(r.text[r.at:], "\n")
	r.at += len(line)
	return line
}

// word reads a label, which ends at a blank, a semicolon or a brace.
func (r *reader) word() string {
	r.skip(" \t")
	rest := r.text[r.at:]
	if i := strings.IndexAny(rest, " \t\n;}"); i >= 0 {
		rest = rest[:i]
	}
	r.at += len(rest)
	return rest
}

// number reads digits; without any it is otherwise.
func (r *reader) number(otherwise int) (int, error) {
	start := r.at
	r.skip("0123456789")
	if r.at == start {
		return otherwise, nil
	}
	n, err := strconv.Atoi(r.text[start:r.at])
	if err != nil {
		return 0, fmt.Errorf("%s: too large", r.text[start:r.at])
	}
	return n, nil
}

// command reads one command with its addresses, and what has to follow it.
func (r *reader) command() error {
	c := &command{nth: 1}
	if err := r.addresses(c); err != nil {
		return err
	}
	c.name = r.peek()
	r.at++
	if c.from != nil && strings.IndexByte(":}", c.name) >= 0 {
		return fmt.Errorf("%c takes no address", c.name)
	}
	if c.name == '}' {
		if len(r.open) == 0 {
			return fmt.Errorf("} without {")
		}
		r.open[len(r.open)-1].target = len(r.script.commands)
		r.open = r.open[:len(r.open)-1]
		return r.end()
	}
	r.script.commands = append(r.script.commands, c)
	if c.name == '{' {
		r.open = append(r.open, c)
		return nil
	}
	if err := r.arguments(c); err != nil {
		return err
	}
	if c.name == ':' {
		return nil
	}
	return r.end()
}

// end sees to it that nothing follows a command on its line.
func (r *reader) end() error {
	r.skip(" \t")
	if c := r.peek(); c != 0 && strings.IndexByte(";\n}#", c) < 0 {
		return fmt.Errorf("%q follows a command", c)
	}
	return nil
}

func (r *reader) arguments(c *command) (err error) {
	switch c.name {
	case 's':
		return r.substitution(c)
	case 'y':
		return r.transliteration(c)
	case 'd', 'D', 'p', 'P', '=', 'n', 'N', 'g', 'G', 'h', 'H', 'x', 'z', 'F':
	case 'q', 'Q', 'l':
		r.skip(" \t")
		c.number, err = r.number(map[byte]int{'l': 70}[c.name])
	case 'b', 't', 'T', 'v':
		c.text = r.word()
	case ':':
		if c.text = r.word(); c.text == "" {
			return fmt.Errorf(": without a label")
		}
	case 'r', 'w':
		r.skip(" \t")
		if c.text = r.line(); c.text == "" {
			return fmt.Errorf("%c without a file", c.name)
		}
	case 'a', 'i', 'c':
		c.text, err = r.lines()
	case 0:
		return fmt.Errorf("an address without a command")
	default:
		return fmt.Errorf("%q: unknown command", c.name)
	}
	return err
}

// lines reads the text of a, i and c: the rest of the line, and further lines as
// long as a backslash stands at the end. One at the start keeps blanks.
func (r *reader) lines() (string, error) {
	r.skip(" \t")
	if r.peek() == '\\' {
		r.at++
		mark := r.at
		if r.skip(" \t"); r.peek() == '\n' {
			r.at++
		} else {
			r.at = mark
		}
	} else if c := r.peek(); c == 0 || c == '\n' {
		return "", fmt.Errorf("no text")
	}
	var out strings.Builder
	for ; r.peek() != 0 && r.peek() != '\n'; r.at++ {
		if r.peek() == '\\' && r.at+1 < len(r.text) {
			r.at++
			out.WriteString(unescape(r.text[r.at]))
			continue
		}
		out.WriteByte(r.peek())
	}
	return out.String(), nil
}

// unescape is what a character after a backslash stands for in plain text.
func unescape(c byte) string {
	if i := strings.IndexByte("ntrfva", c); i >= 0 {
		return "\n\t\r\f\v\a"[i : i+1]
	}
	return string([]byte{c})
}

// delimited reads from the character at hand to its next appearance, which a
// backslash and, in an expression, brackets protect, and leaves the reader on
// that.
func (r *reader) delimited(expression bool) (string, error) {
	mark := r.peek()
	if mark == 0 || mark == '\n' || mark == '\\' {
		return "", fmt.Errorf("a pattern is missing")
	}
	r.at++
	return r.until(mark, expression)
}

func (r *reader) until(mark byte, expression bool) (string, error) {
	var out strings.Builder
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case c == mark:
			return out.String(), nil
		case c == '\\' && r.at+1 < len(r.text):
			switch next := r.text[r.at+1]; {
			case next == mark && (expression || strings.IndexByte("&123456789", mark) < 0):
				out.WriteByte(mark)
			default:
				out.WriteString(r.text[r.at : r.at+2])
			}
			r.at += 2
			continue
		case c == '[' && expression:
			n := regex.Bracket(r.text[r.at:])
			out.WriteString(r.text[r.at : r.at+n])
			r.at += n
			continue
		}
		out.WriteByte(r.text[r.at])
		r.at++
	}
	return "", fmt.Errorf("no closing %q", mark)
}

func (r *reader) compile(text string, anyCase, multi bool) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // the one used last
	}
	return regex.Compile(text, r.extended, anyCase, multi)
}
