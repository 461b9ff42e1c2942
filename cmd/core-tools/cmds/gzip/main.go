// Command gzip compresses files in place, or standard input to standard
// output; with -d it restores them.
package main

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("cdfkqtnv123456789", "gzip [-cdfktv] [-1 ... -9] [file ...]",
		map[string]string{"stdout": "c", "decompress": "d", "force": "f", "keep": "k", "test": "t", "fast": "1", "best": "9"})
	level := gzip.DefaultCompression
	for c := byte('1'); c <= '9'; c++ {
		if opt.Has(c) {
			level = int(c - '0')
		}
	}
	z := zipper{opt, level}
	var status getopt.Status
	if len(opt.Operands) == 0 {
		status.Note(z.stream(os.Stdin, os.Stdout))
	}
	for _, name := range opt.Operands {
		if name == "-" {
			status.Note(z.stream(os.Stdin, os.Stdout))
			continue
		}
		status.Note(z.file(name))
	}
	status.Exit()
}

type zipper struct {
	opt   *getopt.Set
	level int
}

func (z zipper) stream(r io.Reader, w io.Writer) error {
	if z.opt.Has('d') || z.opt.Has('t') {
		in, err := gzip.NewReader(r)
		if err != nil {
			return err
		}
		if z.opt.Has('t') {
			w = io.Discard
		}
		_, err = io.Copy(w, in)
		return err
	}
	out, err := gzip.NewWriterLevel(w, z.level)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, r)
	return errors.Join(err, out.Close())
}

func (z zipper) file(name string) error {
	in, err := os.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	if z.opt.Has('c') || z.opt.Has('t') {
		if err := z.stream(in, os.Stdout); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	target := name + ".gz"
	if z.opt.Has('d') {
		var ok bool
		if target, ok = strings.CutSuffix(name, ".gz"); !ok {
			if target, ok = strings.CutSuffix(name, ".tgz"); !ok {
				return fmt.Errorf("%s: no name ending in .gz", name)
			}
			target += ".tar"
		}
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if z.opt.Has('f') {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(target, flags, info.Mode().Perm())
	if err != nil {
		return err
	}
	if err := errors.Join(z.stream(in, out), out.Close()); err != nil {
		_ = os.Remove(target)
		return fmt.Errorf("%s: %w", name, err)
	}
	if err := os.Chtimes(target, info.ModTime(), info.ModTime()); err != nil {
		return err
	}
	if z.opt.Has('k') {
		return nil
	}
	return os.Remove(name)
}
