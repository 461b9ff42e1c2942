package main

import (
	"fmt"
	"strings"
	"syscall"
)

// flag is a setting that is on or off; sane says which is usual.
type flag struct {
	name string
	word func(*syscall.Termios) *uint32
	bit  uint32
	sane bool
}

func cflag(t *syscall.Termios) *uint32 { return &t.Cflag }
func iflag(t *syscall.Termios) *uint32 { return &t.Iflag }
func oflag(t *syscall.Termios) *uint32 { return &t.Oflag }
func lflag(t *syscall.Termios) *uint32 { return &t.Lflag }

var flags = []flag{
	{"parenb", cflag, syscall.PARENB, false},
	{"parodd", cflag, syscall.PARODD, false},
	{"hupcl", cflag, syscall.HUPCL, false},
	{"cstopb", cflag, syscall.CSTOPB, false},
	{"cread", cflag, syscall.CREAD, true},
	{"clocal", cflag, syscall.CLOCAL, false},

	{"ignbrk", iflag, syscall.IGNBRK, false},
	{"brkint", iflag, syscall.BRKINT, true},
	{"ignpar", iflag, syscall.IGNPAR, false},
	{"parmrk", iflag, syscall.PARMRK, false},
	{"inpck", iflag, syscall.INPCK, false},
	{"istrip", iflag, syscall.ISTRIP, false},
	{"inlcr", iflag, syscall.INLCR, false},
	{"igncr", iflag, syscall.IGNCR, false},
	{"icrnl", iflag, syscall.ICRNL, true},
	{"ixon", iflag, syscall.IXON, true},
	{"ixoff", iflag, syscall.IXOFF, false},
	{"iuclc", iflag, syscall.IUCLC, false},
	{"ixany", iflag, syscall.IXANY, false},
	{"imaxbel", iflag, syscall.IMAXBEL, true},
	{"iutf8", iflag, syscall.IUTF8, false},

	{"opost", oflag, syscall.OPOST, true},
	{"olcuc", oflag, syscall.OLCUC, false},
	{"ocrnl", oflag, syscall.OCRNL, false},
	{"onlcr", oflag, syscall.ONLCR, true},
	{"onocr", oflag, syscall.ONOCR, false},
	{"onlret", oflag, syscall.ONLRET, false},

	{"isig", lflag, syscall.ISIG, true},
	{"icanon", lflag, syscall.ICANON, true},
	{"iexten", lflag, syscall.IEXTEN, true},
	{"echo", lflag, syscall.ECHO, true},
	{"echoe", lflag, syscall.ECHOE, true},
	{"echok", lflag, syscall.ECHOK, true},
	{"echonl", lflag, syscall.ECHONL, false},
	{"noflsh", lflag, syscall.NOFLSH, false},
	{"xcase", lflag, syscall.XCASE, false},
	{"tostop", lflag, syscall.TOSTOP, false},
	{"echoprt", lflag, syscall.ECHOPRT, false},
	{"echoctl", lflag, syscall.ECHOCTL, true},
	{"echoke", lflag, syscall.ECHOKE, true},
	{"flusho", lflag, syscall.FLUSHO, false},
}

// keys are the characters with a meaning.
var keys = []struct {
	name  string
	index int
}{
	{"intr", syscall.VINTR},
	{"quit", syscall.VQUIT},
	{"erase", syscall.VERASE},
	{"kill", syscall.VKILL},
	{"eof", syscall.VEOF},
	{"eol", syscall.VEOL},
	{"eol2", syscall.VEOL2},
	{"swtch", syscall.VSWTC},
	{"start", syscall.VSTART},
	{"stop", syscall.VSTOP},
	{"susp", syscall.VSUSP},
	{"rprnt", syscall.VREPRINT},
	{"werase", syscall.VWERASE},
	{"lnext", syscall.VLNEXT},
	{"discard", syscall.VDISCARD},
}

func keyOf(name string) (int, bool) {
	for _, k := range keys {
		if k.name == name {
			return k.index, true
		}
	}
	return 0, false
}

// parseKey reads a character: x, ^X, ^? or undef.
func parseKey(s string) (byte, error) {
	switch {
	case s == "undef", s == "^-", s == "":
		return 0, nil
	case s == "^?":
		return 127, nil
	case len(s) == 2 && s[0] == '^':
		return s[1] & 0x1f, nil
	case len(s) == 1:
		return s[0], nil
	}
	return 0, fmt.Errorf("%q: give one character, such as x or ^X, or undef", s)
}

func showKey(c byte) string {
	switch {
	case c == 0:
		return "<undef>"
	case c < 32:
		return "^" + string(rune(c+64))
	case c == 127:
		return "^?"
	}
	return string(rune(c))
}

// describe lists the settings, all of them or those that are not usual.
func describe(t *syscall.Termios, w window, all bool) string {
	var b strings.Builder
	width := 80
	if w.cols > 0 {
		width = int(w.cols)
	}
	b.WriteString("speed 38400 baud;")
	if all {
		fmt.Fprintf(&b, " rows %d; columns %d;", w.rows, w.cols)
	}
	b.WriteString(" line = 0;\n")
	var line []string
	if all {
		for _, k := range keys {
			line = append(line, k.name+" = "+showKey(t.Cc[k.index])+";")
		}
		line = append(line, fmt.Sprintf("min = %d; time = %d;", t.Cc[syscall.VMIN], t.Cc[syscall.VTIME]))
		b.WriteString(fold(line, width))
	}
	var last *uint32
	line = nil
	for _, f := range flags {
		word := f.word(t)
		if word != last {
			b.WriteString(fold(line, width))
			line, last = nil, word
		}
		on := *word&f.bit != 0
		switch {
		case on && (all || !f.sane):
			line = append(line, f.name)
		case !on && (all || f.sane):
			line = append(line, "-"+f.name)
		}
	}
	b.WriteString(fold(line, width))
	return b.String()
}

// fold writes words in lines of at most width characters.
func fold(words []string, width int) string {
	var b strings.Builder
	used := 0
	for _, w := range words {
		switch {
		case used > 0 && used+1+len(w) > width:
			b.WriteByte('\n')
			used = 0
		case used > 0:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(w)
		used += len(w)
	}
	if used > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}
