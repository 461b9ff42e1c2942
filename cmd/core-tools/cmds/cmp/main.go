// Command cmp compares two files byte by byte and tells where they first
// differ, or with -l everywhere. It exits 0 if they are the same, 1 if they
// differ and 2 if one cannot be read.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"coretools.silo/getopt"
)

// trouble is the exit code for all that is no difference.
const trouble = 2

func main() {
	opt := getopt.Parse("lsn:i:", "cmp [-ls] [-n limit] [-i skip[:skip]] file [file [skip [skip]]]", map[string]string{
		"verbose": "l", "silent": "s", "quiet": "s", "bytes": "n", "ignore-initial": "i",
	})
	c, err := newComparison(opt)
	if err != nil {
		opt.Usage("%v", err)
	}
	out := bufio.NewWriter(os.Stdout)
	c.out, c.errs = out, os.Stderr
	same, err := c.files()
	if ferr := out.Flush(); err == nil {
		err = ferr
	}
	switch {
	case err != nil:
		fmt.Fprintf(os.Stderr, "cmp: %v\n", err)
		os.Exit(trouble)
	case !same:
		os.Exit(1)
	}
}

// comparison is what is compared and how it is told.
type comparison struct {
	names     [2]string
	skip      [2]int64
	limit     int64
	all       bool // -l
	silent    bool // -s
	width     int  // of the numbers that -l prints
	out, errs io.Writer
}

func newComparison(opt *getopt.Set) (*comparison, error) {
	c := &comparison{all: opt.Has('l'), silent: opt.Has('s'), limit: math.MaxInt64}
	if c.all && c.silent {
		return nil, errors.New("-l and -s exclude each other")
	}
	args := opt.Operands
	if len(args) == 0 || len(args) > 4 {
		return nil, errors.New("needs two files")
	}
	c.names = [2]string{args[0], "-"}
	if len(args) > 1 {
		c.names[1] = args[1]
	}
	var err error
	if n := opt.Value('n', ""); opt.Has('n') {
		if c.limit, err = parseSize(n); err != nil {
			return nil, fmt.Errorf("-n %w", err)
		}
	}
	if skip := opt.Value('i', ""); opt.Has('i') {
		first, second, both := strings.Cut(skip, ":")
		if !both {
			second = first
		}
		if err := c.setSkip(first, second); err != nil {
			return nil, fmt.Errorf("-i %w", err)
		}
		return c, nil
	}
	for i, word := range args[min(len(args), 2):] {
		if c.skip[i], err = parseSize(word); err != nil {
			return nil, fmt.Errorf("skip %w", err)
		}
	}
	return c, nil
}

func (c *comparison) setSkip(words ...string) (err error) {
	for i, w := range words {
		if c.skip[i], err = parseSize(w); err != nil {
			return err
		}
	}
	return nil
}

// parseSize reads a number of bytes: 10, 1K for 1024, 1kB for 1000.
func parseSize(word string) (int64, error) {
	digits := strings.TrimRight(word, "kKMGTPEiB")
	unit := int64(1)
	if suffix := word[len(digits):]; suffix != "" {
		base := int64(1024)
		if rest := suffix[1:]; rest == "B" {
			base = 1000
		} else if rest != "" && rest != "iB" {
			return 0, fmt.Errorf("%q: not a number of bytes", word)
		}
		power := strings.IndexByte("KMGTPE", strings.ToUpper(suffix)[0])
		if power < 0 {
			return 0, fmt.Errorf("%q: not a number of bytes", word)
		}
		for range power + 1 {
			unit *= base
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q: not a number of bytes", word)
	}
	return n * unit, nil
}

// files opens both files and compares them.
func (c *comparison) files() (same bool, err error) {
	if c.names[0] == "-" && c.names[1] == "-" {
		return true, nil
	}
	var in [2]io.Reader
	most := c.limit
	for i, name := range c.names {
		f := os.Stdin
		if name != "-" {
			if f, err = os.Open(name); err != nil {
				return false, err
			}
			defer f.Close()
		}
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			most = min(most, max(info.Size()-c.skip[i], 0))
		}
		if err := skip(f, c.skip[i]); err != nil {
			return false, err
		}
		in[i] = f
	}
	c.width = len(strconv.FormatInt(most, 10))
	return c.compare(in[0], in[1])
}

// skip leaves out n bytes, or all if there are fewer.
func skip(f *os.File, n int64) error {
	if n == 0 {
		return nil
	}
	if _, err := f.Seek(n, io.SeekCurrent); err == nil {
		return nil
	}
	_, err := io.CopyN(io.Discard, f, n)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
