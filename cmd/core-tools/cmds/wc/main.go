// Command wc counts lines, words, bytes (-c) and characters (-m) of files or
// of what it is given.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"coretools.silo/getopt"
)

// counts is what is counted of one input.
type counts struct{ lines, words, chars, bytes, longest int }

func main() {
	opt := getopt.Parse("lwcmL", "wc [-lwcmL] [file ...]", map[string]string{"lines": "l", "words": "w", "bytes": "c", "chars": "m", "max-line-length": "L"})
	files := opt.Operands
	if len(files) == 0 {
		files = []string{""}
	}
	var status getopt.Status
	var total counts
	for _, name := range files {
		c, err := count(name)
		if err != nil {
			status.Note(err)
			continue
		}
		fmt.Println(c.line(opt, name))
		total.add(c)
	}
	if len(files) > 1 {
		fmt.Println(total.line(opt, "total"))
	}
	status.Exit()
}

// count reads a file, or standard input for "" and "-".
func count(name string) (c counts, err error) {
	in := os.Stdin
	if name != "" && name != "-" {
		if in, err = os.Open(name); err != nil {
			return c, err
		}
		defer in.Close()
	}
	return read(bufio.NewReaderSize(in, 128<<10))
}

func read(in *bufio.Reader) (c counts, err error) {
	word, width := false, 0
	for {
		r, size, err := in.ReadRune()
		if errors.Is(err, io.EOF) {
			c.longest = max(c.longest, width)
			return c, nil
		}
		if err != nil {
			return c, err
		}
		c.bytes += size
		if r != unicode.ReplacementChar || size > 1 { // a byte that is no UTF-8 is no character
			c.chars++
		}
		switch {
		case r == '\n':
			c.lines++
			c.longest, width = max(c.longest, width), 0
		case r == '\t':
			width += 8 - width%8
		case unicode.IsPrint(r):
			width++
		}
		space := unicode.IsSpace(r)
		if !space && !word {
			c.words++
		}
		word = !space
	}
}

func (c *counts) add(o counts) {
	c.lines += o.lines
	c.words += o.words
	c.chars += o.chars
	c.bytes += o.bytes
	c.longest = max(c.longest, o.longest)
}

// line shows what was asked for, or lines, words and bytes: a single number as
// it is, several in columns.
func (c *counts) line(opt *getopt.Set, name string) string {
	var shown []int
	for _, x := range []struct {
		letter byte
		n      int
	}{{'l', c.lines}, {'w', c.words}, {'m', c.chars}, {'c', c.bytes}, {'L', c.longest}} {
		asked := opt.Has('l') || opt.Has('w') || opt.Has('c') || opt.Has('m') || opt.Has('L')
		if opt.Has(x.letter) || !asked && strings.IndexByte("lwc", x.letter) >= 0 {
			shown = append(shown, x.n)
		}
	}
	var b strings.Builder
	for i, n := range shown {
		if len(shown) == 1 {
			fmt.Fprintf(&b, "%d", n)
			continue
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%7d", n)
	}
	if name != "" {
		b.WriteString(" " + name)
	}
	return b.String()
}
