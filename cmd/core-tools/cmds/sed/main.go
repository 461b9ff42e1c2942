// Command sed edits a stream of lines: s, y, d, p, q, n, a, i, c and =, with
// line numbers, $ and /patterns/ as addresses. Patterns are basic ones, with -E
// extended ones.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("nErie:f:s", "sed [-nEri] [-e script] [-f file] [script] [file ...]",
		map[string]string{"quiet": "n", "silent": "n", "regexp-extended": "E", "in-place": "i", "expression": "e", "file": "f"})
	scripts, files := opt.Values('e'), opt.Operands
	for _, f := range opt.Values('f') {
		data, err := os.ReadFile(f)
		if err != nil {
			opt.Usage("%v", err)
		}
		scripts = append(scripts, string(data))
	}
	if len(scripts) == 0 {
		if len(files) == 0 {
			opt.Usage("no script")
		}
		scripts, files = files[:1], files[1:]
	}
	commands, err := parse(strings.Join(scripts, "\n"), opt.Has('E') || opt.Has('r'))
	if err != nil {
		opt.Usage("%v", err)
	}
	e := &editor{commands: commands, quiet: opt.Has('n')}
	var status getopt.Status
	if opt.Has('i') {
		for _, f := range files {
			status.Note(inPlace(e, f))
		}
		status.Exit()
	}
	if len(files) == 0 {
		files = []string{"-"}
	}
	var readers []io.Reader
	for _, name := range files {
		if name == "-" {
			readers = append(readers, os.Stdin)
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			status.Note(err)
			continue
		}
		readers = append(readers, f)
	}
	out := bufio.NewWriter(os.Stdout)
	status.Note(e.run(io.MultiReader(readers...), out))
	status.Note(out.Flush())
	if e.code != 0 {
		os.Exit(e.code)
	}
	status.Exit()
}

// inPlace writes the result beside the file and then puts it in its place.
func inPlace(e *editor, name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dirOf(name), ".sed-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	out := bufio.NewWriter(tmp)
	fresh := &editor{commands: e.commands, quiet: e.quiet}
	if err := fresh.run(in, out); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if err := tmp.Chmod(info.Mode()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), name)
}

func dirOf(name string) string {
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		return name[:i+1]
	}
	return "."
}

// editor runs commands over lines.
type editor struct {
	commands []*command
	quiet    bool
	code     int
}

// lines reads ahead by one, so that the last line is known as such.
type lines struct {
	in   *bufio.Reader
	next string
	more bool
	n    int
}

func (l *lines) advance() {
	text, err := l.in.ReadString('\n')
	l.next, l.more = text, text != "" || err == nil
}

func (l *lines) take() string {
	line := l.next
	l.n++
	l.advance()
	return line
}

func (e *editor) run(r io.Reader, out *bufio.Writer) error {
	l := &lines{in: bufio.NewReader(r)}
	l.advance()
	for _, c := range e.commands {
		c.inside = false
	}
	for l.more {
		line := l.take()
		text, newline := strings.CutSuffix(line, "\n")
		s := &state{text: text, lines: l, out: out, quiet: e.quiet, end: map[bool]string{true: "\n"}[newline]}
		quit := s.run(e.commands)
		if !s.deleted && !e.quiet {
			out.WriteString(s.text + s.end)
		}
		for _, a := range s.after {
			out.WriteString(a + "\n")
		}
		if quit != nil {
			e.code = *quit
			return nil
		}
	}
	return nil
}

// state is the line at work.
type state struct {
	text, end string
	lines     *lines
	out       *bufio.Writer
	quiet     bool
	deleted   bool
	after     []string
}

// run applies the commands; a result tells to quit with that status.
func (s *state) run(commands []*command) *int {
	for _, c := range commands {
		if !c.applies(s) {
			continue
		}
		switch c.name {
		case 's':
			c.substitute(s)
		case 'y':
			s.text = strings.Map(func(r rune) rune {
				if to, ok := c.mapping[r]; ok {
					return to
				}
				return r
			}, s.text)
		case 'd':
			s.deleted = true
			return nil
		case 'p':
			s.out.WriteString(s.text + "\n")
		case '=':
			fmt.Fprintln(s.out, s.lines.n)
		case 'q':
			return &c.code
		case 'a':
			s.after = append(s.after, c.text)
		case 'i':
			s.out.WriteString(c.text + "\n")
		case 'c':
			if !c.inside {
				s.out.WriteString(c.text + "\n")
			}
			s.deleted = true
			return nil
		case 'n', 'N':
			if !s.advance(c.name) {
				return nil
			}
		case '{':
			if quit := s.run(c.block); quit != nil || s.deleted {
				return quit
			}
		}
	}
	return nil
}

// advance takes the next line in place of this one (n) or after it (N).
func (s *state) advance(name byte) bool {
	if !s.lines.more {
		return false
	}
	if name == 'n' && !s.quiet {
		s.out.WriteString(s.text + s.end)
	}
	text, newline := strings.CutSuffix(s.lines.take(), "\n")
	if name == 'N' {
		text = s.text + "\n" + text
	}
	s.text, s.end = text, map[bool]string{true: "\n"}[newline]
	return true
}
