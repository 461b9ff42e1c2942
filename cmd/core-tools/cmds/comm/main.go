// Command comm compares two sorted files line by line and prints three
// columns: what only the first has, what only the second has, and what both
// have. -1, -2 and -3 leave columns out.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("123c", "comm [-123] file file", map[string]string{"nocheck-order": "c"})
	if len(opt.Operands) != 2 {
		opt.Usage("needs two files")
	}
	var status getopt.Status
	var sides [2]*side
	for i, name := range opt.Operands {
		f := os.Stdin
		if name != "-" {
			var err error
			if f, err = os.Open(name); err != nil {
				status.Note(err)
				status.Exit()
			}
			defer f.Close()
		}
		sides[i] = &side{in: bufio.NewReader(f)}
	}
	c := columns{hide: [3]bool{opt.Has('1'), opt.Has('2'), opt.Has('3')}}
	out := bufio.NewWriter(os.Stdout)
	err := c.merge(out, sides[0], sides[1])
	status.Note(errors.Join(err, out.Flush()))
	for i, s := range sides {
		if s.unsorted && !opt.Has('c') {
			status.Note(fmt.Errorf("%s: not in sorted order: the output is wrong", opt.Operands[i]))
		}
	}
	status.Exit()
}

// side is one of the files: its line and whether there is one.
type side struct {
	in       *bufio.Reader
	line     string
	ok       bool
	unsorted bool
}

// next reads a line. The last one may lack its end.
func (s *side) next() error {
	line, err := s.in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	was, had := s.line, s.ok
	s.line, s.ok = strings.TrimSuffix(line, "\n"), line != ""
	if s.ok && had && s.line < was {
		s.unsorted = true
	}
	return nil
}

// columns tells which of the three are left out.
type columns struct{ hide [3]bool }

// merge goes through both files at once.
func (c columns) merge(out *bufio.Writer, a, b *side) error {
	paired := true // as long as all lines pair off, their order does not matter
	if err := errors.Join(a.next(), b.next()); err != nil {
		return err
	}
	for a.ok || b.ok {
		var err error
		switch {
		case a.ok && b.ok && a.line == b.line:
			err = errors.Join(c.print(out, 2, a.line), a.next(), b.next())
		case a.ok && (!b.ok || a.line < b.line):
			paired = false
			err = errors.Join(c.print(out, 0, a.line), a.next())
		default:
			paired = false
			err = errors.Join(c.print(out, 1, b.line), b.next())
		}
		if err != nil {
			return err
		}
	}
	if paired {
		a.unsorted, b.unsorted = false, false
	}
	return nil
}

// print writes a line with a tab for each column before it that is shown.
func (c columns) print(out *bufio.Writer, column int, line string) error {
	if c.hide[column] {
		return nil
	}
	for _, hidden := range c.hide[:column] {
		if !hidden {
			_ = out.WriteByte('\t') // the writer remembers its error
		}
	}
	_, err := out.WriteString(line + "\n")
	return err
}
