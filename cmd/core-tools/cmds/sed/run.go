package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// editor runs a script over lines.
type editor struct {
	script *script
	quiet  bool
	end    byte // of a line

	hold   string
	part   bool           // hold is of a last line without an end
	last   *regexp.Regexp // used last
	inside string         // the file that is read
	code   int
	quit   bool
	files  map[string]*output
}

// output is where text goes. A last line without an end gets it if more comes.
type output struct {
	*bufio.Writer
	open string // the end that is still to be written
}

func (o *output) put(text, end string, whole bool) {
	o.WriteString(o.open + text)
	if o.open = end; whole {
		o.WriteString(end)
		o.open = ""
	}
}

// create opens the files that the script writes.
func (e *editor) create(stdout *output) error {
	e.files = map[string]*output{"/dev/stdout": stdout, "/dev/stderr": {Writer: bufio.NewWriter(os.Stderr)}}
	for _, c := range e.script.commands {
		if c.text == "" || c.name != 's' && c.name != 'w' || e.files[c.text] != nil {
			continue
		}
		f, err := os.Create(c.text)
		if err != nil {
			return err
		}
		e.files[c.text] = &output{Writer: bufio.NewWriter(f)}
	}
	return nil
}

// flush writes out what is held back, as someone may be waiting for it.
func (e *editor) flush() (err error) {
	for _, f := range e.files {
		if bad := f.Flush(); bad != nil {
			err = bad
		}
	}
	return err
}

// state is the line at work.
type state struct {
	*editor
	text   string
	whole  bool // its end was read
	lines  *lines
	out    *output
	after  []*command // what a and r add when the line is done
	turned bool       // a substitution was made since the line was read, or t asked
}

// run edits all of in.
func (e *editor) run(in *lines, out *output) error {
	s := &state{editor: e, lines: in, out: out}
	for _, c := range e.script.commands { // 0,/x/ has begun before the first line
		c.inside = c.to != nil && c.from.line == 0 && !c.from.matching && !c.from.last && c.from.step == 0
		c.begun = c.inside
	}
	for again := false; again || in.more(); {
		if !again {
			s.text, s.whole = in.take()
			s.turned = false
		}
		var show bool
		show, again = s.cycle()
		if show && !e.quiet {
			s.print(s.text)
		}
		s.append()
		if e.quit {
			break
		}
	}
	return in.err
}

func (s *state) print(text string) { s.out.put(text, string(s.editor.end), s.whole) }

// append puts out what is to follow the line.
func (s *state) append() {
	for _, c := range s.after {
		if c.name == 'a' {
			s.out.put(c.text, "\n", true)
			continue
		}
		if data, err := os.ReadFile(c.text); err == nil && len(data) > 0 { // none is no text
			text, whole := strings.CutSuffix(string(data), "\n")
			s.out.put(text, "\n", whole)
		}
	}
	s.after = nil
}

// find is the expression to use: nil stands for the one used last.
func (s *state) find(p *regexp.Regexp) *regexp.Regexp {
	if p != nil {
		s.editor.last = p
	}
	if s.editor.last == nil {
		fatal(fmt.Errorf("an empty pattern is the one used last, and there was none"))
	}
	return s.editor.last
}

// cycle runs the script once. It tells whether the line is to be shown, and
// whether what is left of it is to be edited again.
func (s *state) cycle() (show, again bool) {
	list := s.script.commands
	for i := 0; i < len(list); i++ {
		c := list[i]
		switch applies := c.applies(s); {
		case !applies && c.name == '{':
			i = c.target - 1
			continue
		case !applies:
			continue
		}
		switch c.name {
		case 'b':
			i = c.target - 1
		case 't', 'T':
			if s.turned == (c.name == 't') {
				i = c.target - 1
			}
			s.turned = false
		case 'd', 'c':
			if c.name == 'c' && (c.to == nil || c.negate || !c.inside) {
				s.out.put(c.text, "\n", true)
			}
			return false, false
		case 'D':
			_, rest, more := strings.Cut(s.text, "\n")
			s.text = rest
			return false, more
		case 'q', 'Q':
			s.editor.quit, s.editor.code = true, c.number
			return c.name == 'q', false
		case 'n', 'N':
			if !s.lines.more() {
				return true, false
			}
			s.advance(c.name == 'N')
		default:
			s.change(c)
		}
	}
	return true, false
}

// advance takes the next line, in place of this one or after it.
func (s *state) advance(join bool) {
	if !join && !s.quiet {
		s.print(s.text)
	}
	s.append()
	before := s.text + "\n"
	if s.text, s.whole = s.lines.take(); join {
		s.text = before + s.text
	}
}

// change runs a command that leads nowhere.
func (s *state) change(c *command) {
	switch c.name {
	case 's':
		if !c.substitute(s) {
			return
		}
		s.turned = true
		if c.print {
			s.print(s.text)
		}
		if c.text != "" {
			s.files[c.text].put(s.text, string(s.editor.end), true)
		}
	case 'y':
		s.text = strings.Map(func(r rune) rune {
			if to, ok := c.mapping[r]; ok {
				return to
			}
			return r
		}, s.text)
	case 'p':
		s.print(s.text)
	case 'P':
		line, _, more := strings.Cut(s.text, "\n")
		s.out.put(line, "\n", more || s.whole)
	case 'l':
		s.out.put(visible(s.text, c.number), "\n", true)
	case '=':
		s.out.put(fmt.Sprint(s.lines.n), "\n", true)
	case 'F':
		s.out.put(s.editor.inside, "\n", true)
	case 'i':
		s.out.put(c.text, "\n", true)
	case 'a', 'r':
		s.after = append(s.after, c)
	case 'w':
		s.files[c.text].put(s.text, string(s.editor.end), true)
	case 'h':
		s.hold, s.part = s.text, !s.whole
	case 'H':
		s.hold, s.part = s.hold+"\n"+s.text, !s.whole
	case 'g':
		s.text, s.whole = s.hold, !s.part
	case 'G':
		s.text, s.whole = s.text+"\n"+s.hold, !s.part
	case 'x':
		s.text, s.hold = s.hold, s.text
		s.whole, s.part = !s.part, !s.whole
	case 'z':
		s.text = ""
	}
}

// visible writes a line so that each character of it can be seen, in lines of
// some width; 0 and 1 are no limit.
func visible(text string, width int) string {
	var out strings.Builder
	column := 0
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		part := text[:n]
		switch i := strings.IndexRune("\\\a\b\f\n\r\t\v", r); {
		case i >= 0:
			part = `\` + `\abfnrtv`[i:i+1]
		case r == utf8.RuneError && n == 1 || !unicode.IsPrint(r):
			part = ""
			for _, b := range []byte(text[:n]) {
				part += fmt.Sprintf(`\%03o`, b)
			}
		}
		if width > 1 && column+len(part) > width-1 {
			out.WriteString("\\\n")
			column = 0
		}
		out.WriteString(part)
		column += len(part)
		text = text[n:]
	}
	return out.String() + "$"
}

// lines reads files one after the other as one text.
type lines struct {
	files  []string
	open   func(name string) (io.ReadCloser, error) // an error passes over the file
	before func() error                             // called when a reader may have to wait
	end    byte

	in   io.Closer
	buf  *bufio.Reader
	next string
	have bool
	n    int
	err  error
}

// more tells whether there is a further line. It reads no more than that.
func (l *lines) more() bool {
	for !l.have && l.err == nil {
		if l.buf == nil {
			if len(l.files) == 0 {
				return false
			}
			f, err := l.open(l.files[0])
			if l.files = l.files[1:]; err == nil {
				l.in, l.buf = f, bufio.NewReader(f)
			}
			continue
		}
		if l.buf.Buffered() == 0 {
			l.err = l.before()
		}
		line, err := l.buf.ReadString(l.end)
		if l.next, l.have = line, line != ""; err != nil && !l.have {
			if err != io.EOF {
				fmt.Fprintln(os.Stderr, "sed:", err)
			}
			l.in.Close()
			l.buf = nil
		}
	}
	return l.have
}

// take gives the next line, and whether its end was there. more told that there
// is one.
func (l *lines) take() (string, bool) {
	l.more()
	l.have = false
	l.n++
	return strings.CutSuffix(l.next, string(l.end))
}
