package unit

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// quoting says how words are taken out of a value.
type quoting struct {
	escapes bool // C escapes with a backslash
	relaxed bool // an open quote ends with the text, no error
}

var errQuote = errors.New("a quote is not closed")

// word is one word of a value.
type word struct {
	text   string
	quoted bool // had quotes or escapes: a ; in it is no separator
}

// scanner takes words out of a value one after the other.
type scanner struct {
	rest string
	how  quoting
	// strange is set when an escape is unknown; it stays as it is written.
	strange bool
}

const blanks = " \t\n\r"

// next gives the next word; ok is false at the end.
func (sc *scanner) next() (w word, ok bool, err error) {
	sc.rest = strings.TrimLeft(sc.rest, blanks)
	if sc.rest == "" {
		return word{}, false, nil
	}
	var b strings.Builder
	var quote byte
	i := 0
	for i < len(sc.rest) {
		c := sc.rest[i]
		switch {
		case c == '\\' && sc.how.escapes:
			w.quoted = true
			n, err := sc.escape(&b, sc.rest[i:])
			if err != nil {
				return word{}, false, err
			}
			i += n
			continue
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, w.quoted = c, true
		case quote == 0 && strings.IndexByte(blanks, c) >= 0:
			sc.rest = sc.rest[i:]
			w.text = b.String()
			return w, true, nil
		default:
			b.WriteByte(c)
		}
		i++
	}
	if quote != 0 && !sc.how.relaxed {
		return word{}, false, errQuote
	}
	sc.rest = ""
	w.text = b.String()
	return w, true, nil
}

// escape writes what the escape at the start of s stands for and gives its
// length.
func (sc *scanner) escape(b *strings.Builder, s string) (int, error) {
	if len(s) < 2 {
		b.WriteByte('\\')
		sc.strange = true
		return 1, nil
	}
	if i := strings.IndexByte(`abfnrtvs\"'`, s[1]); i >= 0 {
		b.WriteByte("\a\b\f\n\r\t\v \\\"'"[i])
		return 2, nil
	}
	first, digits, base := 2, 0, rune(16)
	switch {
	case s[1] == 'x':
		digits = 2
	case s[1] == 'u':
		digits = 4
	case s[1] == 'U':
		digits = 8
	case s[1] >= '0' && s[1] <= '7':
		first, digits, base = 1, 3, 8
	}
	value, ok := number(s[first:], digits, base)
	if digits == 0 || !ok {
		// As systemd does: the backslash stays, for sed and the like.
		b.WriteByte('\\')
		b.WriteByte(s[1])
		sc.strange = true
		return 2, nil
	}
	if value == 0 {
		return 0, errors.New("an escape stands for NUL")
	}
	switch {
	case digits >= 4 && !utf8.ValidRune(value):
		return 0, errors.New("an escape stands for no character")
	case digits >= 4:
		b.WriteRune(value)
	case value > 255:
		return 0, errors.New("an octal escape is over \\377")
	default:
		b.WriteByte(byte(value))
	}
	return first + digits, nil
}

// number reads exactly n digits.
func number(s string, n int, base rune) (rune, bool) {
	if len(s) < n {
		return 0, false
	}
	var v rune
	for _, c := range s[:n] {
		var d rune
		switch {
		case c >= '0' && c <= '9':
			d = c - '0'
		case c >= 'a' && c <= 'f':
			d = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			d = c - 'A' + 10
		default:
			return 0, false
		}
		if d >= base {
			return 0, false
		}
		if v > utf8.MaxRune {
			return utf8.MaxRune + 1, true // no character; more digits would overflow
		}
		v = v*base + d
	}
	return v, true
}

// words splits a value, quotes and escapes undone.
func words(s string, how quoting) ([]string, error) {
	sc := scanner{rest: s, how: how}
	var list []string
	for {
		w, ok, err := sc.next()
		if err != nil {
			return nil, err
		}
		if !ok {
			return list, nil
		}
		if len(list) == mostList {
			return nil, errTooMany
		}
		list = append(list, w.text)
	}
}

var errTooMany = errors.New("too many entries")
