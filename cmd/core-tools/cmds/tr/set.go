package main

import (
	"fmt"
	"strings"
)

// classes are those of POSIX in the C locale.
var classes = map[string]func(byte) bool{
	"alpha":  func(c byte) bool { return upper(c) || lower(c) },
	"digit":  digit,
	"alnum":  func(c byte) bool { return upper(c) || lower(c) || digit(c) },
	"upper":  upper,
	"lower":  lower,
	"space":  func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' },
	"blank":  func(c byte) bool { return c == ' ' || c == '\t' },
	"punct":  func(c byte) bool { return c > ' ' && c < 0x7f && !upper(c) && !lower(c) && !digit(c) },
	"print":  func(c byte) bool { return c >= ' ' && c < 0x7f },
	"graph":  func(c byte) bool { return c > ' ' && c < 0x7f },
	"cntrl":  func(c byte) bool { return c < ' ' || c == 0x7f },
	"xdigit": func(c byte) bool { return digit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' },
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }
func lower(c byte) bool { return c >= 'a' && c <= 'z' }
func digit(c byte) bool { return c >= '0' && c <= '9' }

// expand lists the characters of a set, in order.
func expand(s string) (out []byte, err error) {
	for len(s) > 0 {
		if name, rest, ok := class(s); ok {
			in := classes[name]
			if in == nil {
				return nil, fmt.Errorf("[:%s:]: no such class", name)
			}
			for c := range 256 {
				if in(byte(c)) {
					out = append(out, byte(c))
				}
			}
			s = rest
			continue
		}
		var c, end byte
		c, s = character(s)
		if len(s) < 2 || s[0] != '-' {
			out = append(out, c)
			continue
		}
		end, s = character(s[1:])
		if end < c {
			return nil, fmt.Errorf("%c-%c: the range runs backwards", c, end)
		}
		for n := int(c); n <= int(end); n++ {
			out = append(out, byte(n))
		}
	}
	return out, nil
}

// class cuts a class off the front of a set.
func class(s string) (name, rest string, ok bool) {
	body, ok := strings.CutPrefix(s, "[:")
	if !ok {
		return "", s, false
	}
	return strings.Cut(body, ":]")
}

// character cuts one character, which may be an escape, off the front.
func character(s string) (byte, string) {
	if s[0] != '\\' || len(s) == 1 {
		return s[0], s[1:]
	}
	s = s[1:]
	n, digits := 0, 0
	for digits < 3 && digits < len(s) && s[digits] >= '0' && s[digits] <= '7' && n*8+int(s[digits]-'0') < 256 {
		n = n*8 + int(s[digits]-'0')
		digits++
	}
	if digits > 0 {
		return byte(n), s[digits:]
	}
	if i := strings.IndexByte("abfnrtv", s[0]); i >= 0 {
		return "\a\b\f\n\r\t\v"[i], s[1:]
	}
	return s[0], s[1:]
}
