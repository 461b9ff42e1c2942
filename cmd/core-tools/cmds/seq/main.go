// Command seq prints numbers in a row: seq LAST, seq FIRST LAST, or seq FIRST
// STEP LAST. It counts in decimal, so that 0.1 and 0.2 come out as written.
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
	os.Args = guardNumbers(os.Args)
	opt := getopt.Parse("+s:wf:", "seq [-w] [-s separator] [-f format] [first [step]] last", map[string]string{"separator": "s", "equal-width": "w", "format": "f"})
	r, err := newRow(opt.Operands)
	if err != nil {
		opt.Usage("%v", err)
	}
	show := r.plain(opt.Has('w'))
	if opt.Has('f') {
		if opt.Has('w') {
			opt.Usage("-f and -w exclude each other")
		}
		if show, err = r.formatted(opt.Value('f', "")); err != nil {
			opt.Usage("-f %v", err)
		}
	}
	out := bufio.NewWriter(os.Stdout)
	err = r.print(out, show, opt.Value('s', "\n"))
	if err = errors.Join(err, out.Flush()); err != nil {
		fmt.Fprintf(os.Stderr, "seq: %v\n", err)
		os.Exit(1)
	}
}

// guardNumbers puts "--" before the first operand if that is a negative
// number, which would be taken for an option.
func guardNumbers(args []string) []string {
	for i := 1; i < len(args); i++ {
		a := args[i]
		if len(a) < 2 || a[0] != '-' || a == "--" {
			return args
		}
		if strings.IndexByte(".0123456789", a[1]) >= 0 || a[1:] == "inf" {
			return append(append(append([]string{}, args[:i]...), "--"), args[i:]...)
		}
		// A value of its own may follow: -s X, -ws X, --format X.
		if at := strings.IndexAny(a, "sf"); a[1] != '-' && at == len(a)-1 || a == "--separator" || a == "--format" {
			i++
		}
	}
	return args
}

// print writes all numbers: with the separator between them and a line's end
// after them, or nothing at all.
func (r *row) print(out *bufio.Writer, show func([]byte) []byte, separator string) error {
	var buf []byte
	for first := true; r.more(); first = false {
		if !first {
			if _, err := io.WriteString(out, separator); err != nil {
				return err
			}
		}
		buf = show(buf[:0])
		if _, err := out.Write(buf); err != nil {
			return err
		}
		r.advance()
		if !r.more() {
			return out.WriteByte('\n')
		}
	}
	return nil
}
