package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"

	"coretools.silo/getopt"
)

// checker compares files with the digests in lists.
type checker struct {
	digest        func() hash.Hash
	quiet, silent bool // silent: nothing but the exit code tells
	strict        bool // lines that are none are an error
	out, errs     io.Writer
}

// result counts what was found in a list.
type result struct{ good, differ, unread, wrong int }

// file checks one list and tells whether all was as it should be. What was
// found is told already; an error is about the list itself.
func (c *checker) file(list string) (bool, error) {
	f, err := open(list)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var r result
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		c.line(scan.Text(), &r)
	}
	if err := scan.Err(); err != nil {
		return false, fmt.Errorf("%s: %w", list, err)
	}
	if r.good+r.differ+r.unread == 0 {
		return false, fmt.Errorf("%s: no properly formatted checksum lines found", list)
	}
	c.warn(r.wrong, "line is improperly formatted", "lines are improperly formatted")
	c.warn(r.unread, "listed file could not be read", "listed files could not be read")
	c.warn(r.differ, "file differs from its digest", "files differ from their digests")
	return r.unread+r.differ == 0 && !(c.strict && r.wrong > 0), nil
}

func (c *checker) warn(n int, one, several string) {
	if n == 0 || c.silent {
		return
	}
	if n == 1 {
		several = one
	}
	fmt.Fprintf(c.errs, "%s: WARNING: %d %s\n", getopt.Name(), n, several)
}

func (c *checker) line(text string, r *result) {
	text = strings.TrimSuffix(text, "\r")
	if text == "" || text[0] == '#' {
		return
	}
	want, name, ok := c.parse(text)
	if !ok {
		r.wrong++
		return
	}
	have, err := sum(name, c.digest)
	said := ""
	switch {
	case err != nil:
		if !c.silent {
			fmt.Fprintf(c.errs, "%s: %v\n", getopt.Name(), err)
		}
		r.unread++
		said = "FAILED open or read"
	case !strings.EqualFold(have, want):
		r.differ++
		said = "FAILED"
	default:
		r.good++
		if !c.quiet {
			said = "OK"
		}
	}
	if said != "" && !c.silent {
		fmt.Fprintf(c.out, "%s: %s\n", name, said)
	}
}

// parse reads a digest of the algorithm's length, a space, a space or a star
// (which some lists lack), and the name.
func (c *checker) parse(text string) (digest, name string, ok bool) {
	digest, name, ok = strings.Cut(text, " ")
	if _, err := hex.DecodeString(digest); !ok || err != nil || hex.DecodedLen(len(digest)) != c.digest().Size() {
		return "", "", false
	}
	if name != "" && (name[0] == ' ' || name[0] == '*') {
		name = name[1:]
	}
	return digest, name, name != ""
}
