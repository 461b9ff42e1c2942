// Command cat prints files one after another, with numbers of lines (-n, -b) or
// with what cannot be seen written out (-A). It goes on after an error.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("AbeEnstTuv", "cat [-AbeEnstTuv] [file ...]", map[string]string{
		"show-all": "A", "number-nonblank": "b", "show-ends": "E", "number": "n", "squeeze-blank": "s", "show-tabs": "T", "show-nonprinting": "v",
	})
	names := opt.Operands
	if len(names) == 0 {
		names = []string{"-"}
	}
	p := newPrinter(opt, os.Stdout)
	var status getopt.Status
	for _, name := range names {
		status.Note(p.file(name))
		if p.out.failed {
			break // nor would the next one be written
		}
	}
	status.Exit()
}

// printer prints files as its options say. Numbers go on from file to file.
type printer struct {
	out                                           *output
	number, filled, squeeze, ends, tabs, readable bool // filled: only filled lines have numbers
	inLine                                        bool
	empty                                         bool // the line before was
	lines                                         int
}

func newPrinter(opt *getopt.Set, out *os.File) *printer {
	all := opt.Has('A')
	return &printer{
		out:    &output{file: out},
		number: opt.Has('n') || opt.Has('b'), filled: opt.Has('b'), squeeze: opt.Has('s'),
		ends: all || opt.Has('E') || opt.Has('e'), tabs: all || opt.Has('T') || opt.Has('t'), readable: all || opt.Has('v') || opt.Has('e') || opt.Has('t'),
	}
}

// output remembers that it failed, which errors of reading do not tell.
type output struct {
	file   *os.File
	failed bool
}

func (o *output) Write(data []byte) (int, error) {
	n, err := o.file.Write(data)
	o.failed = o.failed || err != nil
	return n, err
}

func (p *printer) file(name string) error {
	in := os.Stdin
	if name != "-" {
		var err error
		if in, err = os.Open(name); err != nil {
			return err
		}
		defer in.Close()
	}
	if endless(in, p.out.file) {
		return fmt.Errorf("%s: input file is output file", name)
	}
	if !(p.number || p.squeeze || p.ends || p.tabs || p.readable) {
		_, err := io.Copy(p.out, in)
		return err
	}
	return p.lay(bufio.NewReader(in))
}

// endless tells whether what is printed is added to what is still to be read.
func endless(in, out *os.File) bool {
	from, err := in.Stat()
	if err != nil || !from.Mode().IsRegular() {
		return false
	}
	to, err := out.Stat()
	if err != nil || !os.SameFile(from, to) {
		return false
	}
	at, err := in.Seek(0, io.SeekCurrent)
	return err == nil && at < from.Size()
}

// lay prints byte by byte.
func (p *printer) lay(in *bufio.Reader) error {
	out := bufio.NewWriter(p.out)
	for {
		if in.Buffered() == 0 { // a reader that waits sees what there is
			if err := out.Flush(); err != nil {
				return err
			}
		}
		c, err := in.ReadByte()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return errors.Join(err, out.Flush())
		}
		p.put(out, c)
	}
}

func (p *printer) put(out *bufio.Writer, c byte) {
	isEmpty := c == '\n' && !p.inLine
	if isEmpty && p.empty && p.squeeze {
		return
	}
	if !p.inLine && p.number && !(isEmpty && p.filled) {
		p.lines++
		fmt.Fprintf(out, "%6d\t", p.lines) // the writer remembers its error
	}
	p.inLine = c != '\n'
	p.empty = isEmpty
	switch {
	case c == '\n':
		if p.ends {
			out.WriteByte('$')
		}
		out.WriteByte(c)
	case c == '\t' && p.tabs:
		out.WriteString("^I")
	case c == '\t' || !p.readable:
		out.WriteByte(c)
	default:
		out.WriteString(visible(c))
	}
}

// visible writes control characters as ^X, and bytes of more than seven bits as
// M- and the rest.
func visible(c byte) string {
	const del = 0x7f
	prefix := ""
	if c >= 0x80 {
		prefix, c = "M-", c&del
	}
	if c < ' ' || c == del {
		return prefix + "^" + string(rune(c^0x40))
	}
	return prefix + string(rune(c))
}
