package main

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

func (r *reader) substitution(c *command) error {
	text, replacement, err := r.sides(true)
	if err != nil {
		return err
	}
	anyCase, multi, err := r.flags(c)
	if err != nil {
		return err
	}
	c.replacement = pieces(replacement)
	if c.pattern, err = r.compile(text, anyCase, multi); err != nil || c.pattern == nil {
		return err
	}
	for _, p := range c.replacement {
		if p.group > c.pattern.NumSubexp() {
			return fmt.Errorf(`\%d: the pattern has %d groups`, p.group, c.pattern.NumSubexp())
		}
	}
	return nil
}

// sides reads what stands between the three marks of s and y.
func (r *reader) sides(expression bool) (from, to string, err error) {
	mark := r.peek()
	if from, err = r.delimited(expression); err != nil {
		return "", "", err
	}
	r.at++
	to, err = r.until(mark, false)
	r.at++
	return from, to, err
}

func (r *reader) flags(c *command) (anyCase, multi bool, err error) {
	for ; ; r.at++ {
		switch f := r.peek(); f {
		case 'g':
			c.global = true
		case 'p':
			c.print = true
		case 'i', 'I':
			anyCase = true
		case 'm', 'M':
			multi = true
		case 'w':
			r.at++
			r.skip(" \t")
			if c.text = r.line(); c.text == "" {
				err = fmt.Errorf("w without a file")
			}
			return anyCase, multi, err
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			if c.nth, err = r.number(1); err == nil && c.nth == 0 {
				err = fmt.Errorf("the first match is number 1")
			}
			if err != nil {
				return false, false, err
			}
			r.at--
		default:
			return anyCase, multi, nil
		}
	}
}

// pieces reads & and \1 as groups, \n and its like as what they stand for.
func pieces(text string) (list []piece) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '&':
			list = append(list, piece{})
		case c != '\\' || i+1 == len(text):
			list = append(list, piece{text: text[i : i+1], group: -1})
		default:
			i++
			switch d := text[i]; {
			case d >= '0' && d <= '9':
				list = append(list, piece{group: int(d - '0')})
			case strings.IndexByte("ULEul", d) >= 0:
				list = append(list, piece{group: -1, turn: d})
			default:
				list = append(list, piece{text: unescape(d), group: -1})
			}
		}
	}
	return list
}

func (r *reader) transliteration(c *command) error {
	from, to, err := r.sides(false)
	if err != nil {
		return err
	}
	a, b := plain(from), plain(to)
	if len(a) != len(b) {
		return fmt.Errorf("y: both sides need the same length")
	}
	c.mapping = map[rune]rune{}
	for i := range a {
		if _, twice := c.mapping[a[i]]; !twice {
			c.mapping[a[i]] = b[i]
		}
	}
	return nil
}

// plain is a text without its backslashes.
func plain(text string) []rune {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
			out.WriteString(unescape(text[i]))
			continue
		}
		out.WriteByte(text[i])
	}
	return []rune(out.String())
}

// substitute replaces matches, and tells whether there was one to replace.
func (c *command) substitute(s *state) bool {
	found := s.find(c.pattern).FindAllStringSubmatchIndex(s.text, -1)
	if len(found) < c.nth {
		return false
	}
	out := casing{}
	at := 0
	for i, m := range found {
		if i+1 < c.nth || i+1 > c.nth && !c.global {
			continue
		}
		out.plain(s.text[at:m[0]])
		for _, p := range c.replacement {
			switch k := 2 * p.group; {
			case p.turn != 0:
				out.turn(p.turn)
			case p.group < 0:
				out.write(p.text)
			case k+1 < len(m) && m[k] >= 0:
				out.write(s.text[m[k]:m[k+1]])
			}
		}
		out.turn('E')
		at = m[1]
	}
	out.plain(s.text[at:])
	s.text = out.String()
	return true
}

// casing writes text in the case that was asked for last.
type casing struct {
	strings.Builder
	all, next byte
}

func (c *casing) turn(to byte) {
	switch to {
	case 'u', 'l':
		c.next = to
	case 'E':
		c.all, c.next = 0, 0
	default:
		c.all = to
	}
}

func (c *casing) plain(text string) { c.WriteString(text) }

func (c *casing) write(text string) {
	if text == "" {
		return
	}
	_, n := utf8.DecodeRuneInString(text)
	first, rest := text[:n], text[n:]
	switch c.all {
	case 'U':
		first, rest = strings.ToUpper(first), strings.ToUpper(rest)
	case 'L':
		first, rest = strings.ToLower(first), strings.ToLower(rest)
	}
	switch c.next {
	case 'u':
		first = strings.Map(unicode.ToUpper, first)
	case 'l':
		first = strings.Map(unicode.ToLower, first)
	}
	c.next = 0
	c.WriteString(first + rest)
}
