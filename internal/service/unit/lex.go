package unit

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// line is one assignment of a unit file, continuation lines joined.
type line struct {
	number  int // of its first physical line, from 1
	section string
	key     string
	value   string
}

// oddity is a line that is passed over.
type oddity struct {
	number int
	text   string
}

// lexer splits a file into lines.
type lexer struct {
	section   string
	lines     []line
	oddities  []oddity
	pending   strings.Builder // what came before a backslash at the end of a line
	joining   bool
	startedAt int
}

// lex reads the text of a unit file or drop-in. A line that is no assignment
// is an oddity, as systemd has it; a text that is not UTF-8, holds a NUL or
// has a broken section header is refused as a whole.
func lex(text []byte) ([]line, []oddity, error) {
	if len(text) > mostFileSize {
		return nil, nil, fmt.Errorf("larger than %d bytes", mostFileSize)
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, nil, fmt.Errorf("line %d: NUL byte", 1+bytes.Count(text[:bytes.IndexByte(text, 0)], []byte{'\n'}))
	}
	var lx lexer
	for n, raw := range strings.Split(string(text), "\n") {
		if !utf8.ValidString(raw) {
			return nil, nil, fmt.Errorf("line %d: not UTF-8", n+1)
		}
		if err := lx.physical(n+1, strings.TrimSuffix(raw, "\r")); err != nil {
			return nil, nil, err
		}
	}
	if lx.joining {
		if err := lx.logical(lx.pending.String()); err != nil {
			return nil, nil, err
		}
	}
	return lx.lines, lx.oddities, nil
}

// physical takes one line of the file. Comments are skipped in the middle of
// continued lines too; an empty line ends the continuation.
func (lx *lexer) physical(number int, raw string) error {
	if t := strings.TrimLeft(raw, " \t"); t != "" && (t[0] == '#' || t[0] == ';') {
		return nil
	}
	if !lx.joining {
		lx.startedAt = number
	}
	if continues(raw) {
		lx.joining = true
		lx.pending.WriteString(raw[:len(raw)-1])
		lx.pending.WriteByte(' ')
		return nil
	}
	whole := raw
	if lx.joining {
		lx.pending.WriteString(raw)
		whole = lx.pending.String()
		lx.pending.Reset()
		lx.joining = false
	}
	return lx.logical(whole)
}

// continues tells whether a line ends in a backslash that is not itself escaped.
func continues(s string) bool {
	n := len(s) - len(strings.TrimRight(s, `\`))
	return n%2 == 1
}

func (lx *lexer) logical(s string) error {
	s = strings.Trim(s, " \t")
	switch {
	case s == "":
		return nil
	case s[0] == '[':
		if s[len(s)-1] != ']' {
			return fmt.Errorf("line %d: section header %q has no end", lx.startedAt, shorten(s))
		}
		lx.section = s[1 : len(s)-1]
		return nil
	}
	key, value, ok := strings.Cut(s, "=")
	key = strings.TrimRight(key, " \t")
	switch {
	case !ok:
		lx.odd("%q is no assignment", shorten(s))
	case key == "":
		lx.odd("%q has no name before =", shorten(s))
	case lx.section == "":
		lx.odd("%s= stands before any section", shorten(key))
	default:
		lx.lines = append(lx.lines, line{lx.startedAt, lx.section, key, strings.TrimLeft(value, " \t")})
	}
	return nil
}

func (lx *lexer) odd(format string, args ...any) {
	if len(lx.oddities) < mostNotes {
		lx.oddities = append(lx.oddities, oddity{lx.startedAt, fmt.Sprintf(format, args...)})
	}
}

// shorten makes foreign text fit a message.
func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
