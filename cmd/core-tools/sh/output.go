package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"mvdan.cc/sh/v3/interp"

	"coretools.silo/signals"
)

// emit writes what a builtin prints, with one write, so that lines of commands
// that run at the same time are not mixed. If nobody reads it any more, the part
// of a pipeline that the builtin is in ends, as SIGPIPE would end it; a write to
// a standard output of the process raises that signal by itself.
func (s *shell) emit(ctx context.Context, hc interp.HandlerContext, name string, text []byte) error {
	_, err := hc.Stdout.Write(text)
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.EPIPE) && !signals.Ignored(syscall.SIGPIPE) && !s.traps.has(syscall.SIGPIPE) {
		status := 128 + int(syscall.SIGPIPE)
		if s.prompt && s.isOwn(hc) {
			return interp.ExitStatus(status) // a person's shell lives on
		}
		return hc.Builtin(ctx, []string{"exit", strconv.Itoa(status)})
	}
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return fail(hc, name, err)
}

// echo gives what echo prints. Options are words of n, e and E only, as in bash.
func echo(args []string) []byte {
	end, escapes := "\n", false
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && strings.Trim(args[0][1:], "neE") == "" {
		for _, c := range args[0][1:] {
			switch c {
			case 'n':
				end = ""
			case 'e', 'E':
				escapes = c == 'e'
			}
		}
		args = args[1:]
	}
	text := strings.Join(args, " ")
	if !escapes {
		return []byte(text + end)
	}
	out, stop := unescape(text, inEcho)
	if stop {
		return out
	}
	return append(out, end...)
}

// dialect tells which escapes are meant, as there are three sets of them.
type dialect int

const (
	inFormat   dialect = iota // of printf: \ooo, no \c
	inArgument                // of printf's %b: \0ooo, \ooo and \c
	inEcho                    // of echo -e: \0ooo and \c
)

// unescape replaces the escapes in text; stop tells that \c ended it.
func unescape(text string, d dialect) (out []byte, stop bool) {
	for {
		i := strings.IndexByte(text, '\\')
		if i < 0 || i == len(text)-1 {
			return append(out, text...), false
		}
		out = append(out, text[:i]...)
		text = text[i+1:]
		if text[0] == 'c' && d != inFormat {
			return out, true
		}
		value, length := escape(text, d)
		out, text = append(out, value...), text[length:]
	}
}

var plainEscapes = map[byte]string{
	'\\': "\\", 'a': "\a", 'b': "\b", 'e': "\x1b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
}

// escape gives what the escape at the start of text means, which follows a
// backslash, and how long it is. One that means nothing stays as it is.
func escape(text string, d dialect) (value string, length int) {
	c := text[0]
	if v, ok := plainEscapes[c]; ok {
		return v, 1
	}
	switch {
	case (c == '"' || c == '\'') && d != inEcho:
		return text[:1], 1
	case c == '0' && d != inFormat:
		n := digits(text[1:], 3, "01234567")
		v, _ := strconv.ParseUint("0"+text[1:1+n], 8, 16)
		return string([]byte{byte(v)}), 1 + n
	case c >= '0' && c <= '7' && d != inEcho:
		n := digits(text, 3, "01234567")
		v, _ := strconv.ParseUint(text[:n], 8, 16)
		return string([]byte{byte(v)}), n
	}
	if width := map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]; width > 0 {
		if n := digits(text[1:], width, "0123456789abcdefABCDEF"); n > 0 {
			v, _ := strconv.ParseUint(text[1:1+n], 16, 32)
			if c == 'x' {
				return string([]byte{byte(v)}), 1 + n
			}
			return string(rune(v)), 1 + n
		}
	}
	return "\\" + text[:1], 1
}

// digits counts how many bytes at the start of text are in set, at most limit.
func digits(text string, limit int, set string) int {
	n := 0
	for n < len(text) && n < limit && strings.IndexByte(set, text[n]) >= 0 {
		n++
	}
	return n
}

func complain(hc interp.HandlerContext, name, format string, args ...any) {
	fmt.Fprintf(hc.Stderr, "sh: %s: %s\n", name, fmt.Sprintf(format, args...))
}
