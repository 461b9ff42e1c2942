// Package regex lets commands take the regular expressions of POSIX, basic and
// extended, with the usual additions: \| \+ \? in basic ones, \< and \> for the
// edges of words, \w \W \s \S \b \B. Go's engine, which takes time in proportion
// to the text, does the matching: the longest match is found, as POSIX has it,
// and back-references are refused.
package regex

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Compile makes one expression of a text. It does not look at case if told so,
// and multi makes ^ and $ match at each line of a text of several, and the point
// no end of a line.
func Compile(text string, extended, anyCase, multi bool) (*regexp.Regexp, error) {
	translated, err := Translate(text, extended)
	if err != nil {
		return nil, err
	}
	flags := "(?s"
	if multi {
		flags = "(?m"
	}
	if anyCase {
		flags += "i"
	}
	re, err := regexp.Compile(flags + ")" + translated)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", text, err)
	}
	re.Longest()
	return re, nil
}

// Translate writes an expression as Go has it. It is of use only with the flag s
// and Longest, as Compile sets them.
func Translate(text string, extended bool) (string, error) {
	t := translation{text: text, extended: extended, anchor: true, start: true}
	for t.at < len(text) {
		if err := t.next(); err != nil {
			return "", fmt.Errorf("%s: %w", text, err)
		}
	}
	return string(t.out), nil
}

type translation struct {
	text     string
	at       int
	extended bool
	out      []byte
	anchor   bool  // nothing stands before, in this branch
	start    bool  // nothing stands before that can be repeated
	atom     int   // where in out begins what an operator repeats
	repeated bool  // it is repeated already
	groups   []int // where in out the open ones begin
}

// next reads one part. In an extended expression an operator is bare and a
// backslash makes it plain; in a basic one it is the other way round for some.
func (t *translation) next() error {
	c := t.text[t.at]
	switch {
	case c == '[':
		return t.bracket()
	case c == '\\':
		if t.at++; t.at == len(t.text) {
			return errors.New(`nothing follows the last \`)
		}
		if c = t.text[t.at]; !t.extended && strings.IndexByte("(){}|+?", c) >= 0 {
			return t.operator(c)
		}
		return t.escape()
	case c == '*' || t.extended && strings.IndexByte("(){}|+?", c) >= 0:
		return t.operator(c)
	case c == '^' && (t.extended || t.anchor), c == '$' && (t.extended || t.ends()), c == '.':
		begins := t.start
		t.put(string(c))
		t.start = c == '^' && begins
		t.at++
		return nil
	}
	t.literal()
	return nil
}

// ends tells whether a branch of a basic expression ends after this place.
func (t *translation) ends() bool {
	rest := t.text[t.at+1:]
	return rest == "" || strings.HasPrefix(rest, `\)`) || strings.HasPrefix(rest, `\|`)
}

// put writes a part that can be repeated.
func (t *translation) put(part string) {
	t.atom, t.repeated = len(t.out), false
	t.out = append(t.out, part...)
	t.anchor, t.start = false, false
}

// repeat writes an operator. One that follows another repeats the whole: Go
// would read a+? as something else.
func (t *translation) repeat(operator string) {
	if t.repeated {
		t.out = append(slices.Insert(t.out, t.atom, '(', '?', ':'), ')')
	}
	t.out = append(t.out, operator...)
	t.repeated = true
}

// literal writes one character that stands for itself.
func (t *translation) literal() {
	_, n := utf8.DecodeRuneInString(t.text[t.at:])
	t.put(regexp.QuoteMeta(t.text[t.at : t.at+n]))
	t.at += n
}

// operator reads an operator whose last byte is at t.at.
func (t *translation) operator(c byte) error {
	switch c {
	case '*', '+', '?':
		if t.start { // nothing to repeat
			t.literal()
			return nil
		}
		t.repeat(string(c))
	case '{':
		return t.interval()
	case '}':
		t.put(`\}`)
	case '(':
		t.groups = append(t.groups, len(t.out))
		t.put("(")
		t.anchor, t.start = true, true
	case '|':
		t.put("|")
		t.anchor, t.start = true, true
	case ')':
		if len(t.groups) == 0 {
			return errors.New(") without (")
		}
		t.put(")")
		t.atom, t.groups = t.groups[len(t.groups)-1], t.groups[:len(t.groups)-1]
	}
	t.at++
	return nil
}

var interval = regexp.MustCompile(`^\{([0-9]*)(,?)([0-9]*)\\?\}`)

// interval reads {n}, {n,}, {n,m} or {,m}. What looks like no interval stands for
// itself in an extended expression, as elsewhere.
func (t *translation) interval() error {
	m := interval.FindStringSubmatch(t.text[t.at:])
	switch {
	case m != nil && m[1]+m[2] != "" && strings.HasSuffix(m[0], `\}`) != t.extended && !t.start:
	case t.extended:
		t.literal()
		return nil
	default:
		return errors.New(`\{ without a count and \}`)
	}
	if m[1] == "" {
		m[1] = "0"
	}
	t.repeat("{" + m[1] + m[2] + m[3] + "}")
	t.at += len(m[0])
	return nil
}

// escape reads what follows a backslash and is no operator.
func (t *translation) escape() error {
	c := t.text[t.at]
	switch {
	case '1' <= c && c <= '9':
		return fmt.Errorf(`\%c: back-references are not known here`, c)
	case c == '<' || c == '>':
		t.put(`\b`)
	case c == '`':
		t.put(`\A`)
	case c == '\'':
		t.put(`\z`)
	case strings.IndexByte("wWsSbBdDntrfva", c) >= 0:
		t.put(`\` + string(c))
	default:
		t.literal()
		return nil
	}
	t.at++
	return nil
}

// bracket reads a set.
func (t *translation) bracket() error {
	set, n, err := bracket(t.text[t.at:])
	if err != nil {
		return err
	}
	t.put(set)
	t.at += n
	return nil
}

// Bracket is the length of the set that a text begins with, 1 if it has no end.
func Bracket(text string) int {
	if _, n, err := bracket(text); err == nil {
		return n
	}
	return 1
}

// bracket writes the set that a text begins with as Go has it, and tells its
// length. A backslash is a member like others there, but for \n, \t and their
// like.
func bracket(text string) (set string, n int, err error) {
	set, rest := "[", text[1:]
	if strings.HasPrefix(rest, "^") {
		set, rest = "[^", rest[1:]
	}
	for first := true; ; first = false {
		switch {
		case rest == "":
			return "", 0, errors.New("[ without ]")
		case rest[0] == ']' && !first:
			return set + "]", len(text) - len(rest) + 1, nil
		case strings.HasPrefix(rest, "[:"), strings.HasPrefix(rest, "[."), strings.HasPrefix(rest, "[="):
			name, after, ok := strings.Cut(rest[2:], rest[1:2]+"]")
			if !ok {
				return "", 0, fmt.Errorf("%s without %s]", rest[:2], rest[1:2])
			}
			if rest[1] == ':' {
				name = "[:" + name + ":]"
			} else {
				name = quoteMember(name)
			}
			set, rest = set+name, after
		case rest[0] == '\\' && len(rest) > 1 && strings.IndexByte("ntrfva", rest[1]) >= 0:
			set, rest = set+rest[:2], rest[2:]
		default:
			_, n := utf8.DecodeRuneInString(rest)
			set, rest = set+quoteMember(rest[:n]), rest[n:]
		}
	}
}

func quoteMember(s string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "^", `\^`).Replace(s)
}
