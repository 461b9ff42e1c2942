package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// compare reads both to the limit and tells of the first difference, or of all.
func (c *comparison) compare(a, b io.Reader) (same bool, err error) {
	a, b = io.LimitReader(a, c.limit), io.LimitReader(b, c.limit)
	var bufA, bufB [64 << 10]byte
	done, lines, last := int64(0), int64(0), byte('\n')
	same = true
	for {
		blockA, err := fill(a, bufA[:])
		if err != nil {
			return false, err
		}
		blockB, err := fill(b, bufB[:])
		if err != nil {
			return false, err
		}
		n := min(len(blockA), len(blockB))
		if !bytes.Equal(blockA[:n], blockB[:n]) {
			same = false
			if c.silent {
				return false, nil
			}
			if err := c.report(blockA[:n], blockB[:n], done, lines); err != nil || !c.all {
				return false, err
			}
		}
		done += int64(n)
		lines += int64(bytes.Count(blockA[:n], []byte{'\n'}))
		if n > 0 {
			last = blockA[n-1]
		}
		if len(blockA) != len(blockB) {
			short := 0
			if len(blockB) < len(blockA) {
				short = 1
			}
			c.ended(c.names[short], done, lines, last == '\n')
			return false, nil
		}
		if n < len(bufA) {
			return same, nil
		}
	}
}

// fill reads until the buffer is full or nothing more comes.
func fill(r io.Reader, buf []byte) ([]byte, error) {
	n, err := io.ReadFull(r, buf)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return buf[:n], err
}

// report tells of the differences of two blocks of the same length, which come
// after so many bytes and lines.
func (c *comparison) report(a, b []byte, done, lines int64) error {
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		at := done + int64(i) + 1
		if !c.all {
			line := lines + int64(bytes.Count(a[:i], []byte{'\n'})) + 1
			_, err := fmt.Fprintf(c.out, "%s %s differ: byte %d, line %d\n", c.names[0], c.names[1], at, line)
			return err
		}
		if _, err := fmt.Fprintf(c.out, "%*d %3o %3o\n", c.width, at, a[i], b[i]); err != nil {
			return err
		}
	}
	return nil
}

// ended tells which of the files is the shorter one.
func (c *comparison) ended(name string, done, lines int64, whole bool) {
	switch {
	case c.silent:
	case done == 0:
		fmt.Fprintf(c.errs, "cmp: EOF on %s which is empty\n", name)
	case c.all:
		fmt.Fprintf(c.errs, "cmp: EOF on %s after byte %d\n", name, done)
	case whole:
		fmt.Fprintf(c.errs, "cmp: EOF on %s after byte %d, line %d\n", name, done, lines)
	default:
		fmt.Fprintf(c.errs, "cmp: EOF on %s after byte %d, in line %d\n", name, done, lines+1)
	}
}
