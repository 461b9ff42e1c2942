package main

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// items reads what stands between blanks and line ends, between line ends
// (lines), or before zero bytes (null). Except with null, quotes keep blanks
// together and a backslash takes the meaning of the next character away.
type items struct {
	in          *bufio.Reader
	null, lines bool
}

var errQuote = errors.New("a quote without its end: -0 takes quotes as they are")

// next gives the next item, or io.EOF.
func (i *items) next() (string, error) {
	if i.null {
		item, err := i.in.ReadString(0)
		if item != "" && errors.Is(err, io.EOF) {
			err = nil
		}
		return strings.TrimSuffix(item, "\x00"), err
	}
	var item strings.Builder
	begun := false // an item may be "", which is not nothing
	for {
		c, err := i.in.ReadByte()
		switch {
		case errors.Is(err, io.EOF) && begun:
			return item.String(), nil
		case err != nil:
			return "", err
		case c == '\n' || !i.lines && isBlank(c):
			if begun {
				return item.String(), nil
			}
		case !begun && isBlank(c): // blanks before a line do not count
		case c == '\'' || c == '"':
			begun = true
			if err := i.quoted(&item, c); err != nil {
				return "", err
			}
		case c == '\\':
			begun = true
			if c, err = i.in.ReadByte(); err == nil {
				item.WriteByte(c)
			}
		default:
			begun = true
			item.WriteByte(c)
		}
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func (i *items) quoted(item *strings.Builder, quote byte) error {
	for {
		c, err := i.in.ReadByte()
		switch {
		case errors.Is(err, io.EOF) || err == nil && c == '\n':
			return errQuote
		case err != nil:
			return err
		case c == quote:
			return nil
		}
		item.WriteByte(c)
	}
}
