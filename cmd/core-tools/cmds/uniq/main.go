// Command uniq leaves out lines that repeat the one before, counts them (-c),
// or prints only those that repeat (-d) or do not (-u).
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("cduif:s:w:", "uniq [-cdui] [-f fields] [-s characters] [-w characters] [input [output]]", map[string]string{
		"count": "c", "repeated": "d", "unique": "u", "ignore-case": "i", "skip-fields": "f", "skip-chars": "s", "check-chars": "w",
	})
	if len(opt.Operands) > 2 {
		opt.Usage("%s: more than an input and an output", opt.Operands[2])
	}
	f, err := newFilter(opt)
	if err != nil {
		opt.Usage("%v", err)
	}
	if err := run(f, opt.Operands); err != nil {
		fmt.Fprintf(os.Stderr, "uniq: %v\n", err)
		os.Exit(1)
	}
}

func run(f *filter, names []string) (err error) {
	in, out := os.Stdin, os.Stdout
	if len(names) > 0 && names[0] != "-" {
		if in, err = os.Open(names[0]); err != nil {
			return err
		}
		defer in.Close()
	}
	if len(names) > 1 && names[1] != "-" {
		if out, err = os.Create(names[1]); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, out.Close()) }()
	}
	w := bufio.NewWriter(out)
	return errors.Join(f.copy(w, bufio.NewReader(in)), w.Flush())
}

// filter tells which lines are the same and which are printed.
type filter struct {
	count, repeated, unique, fold bool
	fields, chars, most           int
}

func newFilter(opt *getopt.Set) (*filter, error) {
	f := &filter{count: opt.Has('c'), repeated: opt.Has('d'), unique: opt.Has('u'), fold: opt.Has('i')}
	for _, x := range []struct {
		letter    byte
		to        *int
		otherwise int
	}{{'f', &f.fields, 0}, {'s', &f.chars, 0}, {'w', &f.most, math.MaxInt}} {
		*x.to = x.otherwise
		if !opt.Has(x.letter) {
			continue
		}
		n, err := strconv.ParseUint(opt.Value(x.letter, ""), 10, 31)
		if err != nil {
			return nil, fmt.Errorf("-%c %q: not a number", x.letter, opt.Value(x.letter, ""))
		}
		*x.to = int(n)
	}
	return f, nil
}

// key is the part of a line that is compared.
func (f *filter) key(line []byte) []byte {
	i := 0
	for range f.fields {
		for i < len(line) && isBlank(line[i]) {
			i++
		}
		for i < len(line) && !isBlank(line[i]) {
			i++
		}
	}
	line = line[min(i+f.chars, len(line)):]
	return line[:min(f.most, len(line))]
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func (f *filter) same(a, b []byte) bool {
	a, b = f.key(a), f.key(b)
	return bytes.Equal(a, b) || f.fold && bytes.EqualFold(a, b)
}

// copy reads lines and prints the first of each group.
func (f *filter) copy(out *bufio.Writer, in *bufio.Reader) error {
	var first []byte
	n := 0
	for {
		line, err := in.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(line) == 0 {
			return f.print(out, first, n)
		}
		line = bytes.TrimSuffix(line, []byte{'\n'})
		if n > 0 && f.same(first, line) {
			n++
			continue
		}
		if err := f.print(out, first, n); err != nil {
			return err
		}
		if in.Buffered() == 0 { // a reader that waits sees what there is
			if err := out.Flush(); err != nil {
				return err
			}
		}
		first, n = line, 1
	}
}

func (f *filter) print(out *bufio.Writer, line []byte, n int) error {
	if n == 0 || f.repeated && n == 1 || f.unique && n > 1 {
		return nil
	}
	if f.count {
		fmt.Fprintf(out, "%7d ", n) // the writer remembers its error
	}
	_, err := fmt.Fprintf(out, "%s\n", line)
	return err
}
