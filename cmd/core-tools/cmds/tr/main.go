// Command tr replaces, deletes (-d) and squeezes (-s) characters of what it is
// given. Sets have ranges (a-z), classes ([:upper:]) and escapes (\n, \0,
// \012); -c takes all characters that are not in the first set.
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
	opt := getopt.Parse("+dsCct", "tr [-cds] set [set]", map[string]string{"delete": "d", "squeeze-repeats": "s", "complement": "c", "truncate-set1": "t"})
	t, err := newTranslation(opt.Operands, opt.Has('c') || opt.Has('C'), opt.Has('d'), opt.Has('s'), opt.Has('t'))
	if err != nil {
		opt.Usage("%v", err)
	}
	out := bufio.NewWriter(os.Stdout)
	err = t.copy(out, os.Stdin)
	if ferr := out.Flush(); err == nil {
		err = ferr
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", getopt.Name(), err)
		os.Exit(1)
	}
}

// translation is what happens to each byte, as in the C locale.
type translation struct {
	to       [256]byte
	del      [256]bool
	squeezed [256]bool
}

func newTranslation(sets []string, complement, del, squeeze, truncate bool) (*translation, error) {
	most, least := 2, 2
	switch {
	case del && !squeeze:
		most, least = 1, 1
	case squeeze && !del:
		least = 1
	}
	if len(sets) < least || len(sets) > most {
		return nil, fmt.Errorf("%d sets are given: write %d", len(sets), least)
	}
	from, err := expand(sets[0])
	if err != nil {
		return nil, err
	}
	if complement {
		from = others(from)
	}
	var to []byte
	if len(sets) == 2 {
		if to, err = expand(sets[1]); err != nil {
			return nil, err
		}
	}
	t := &translation{}
	for i := range t.to {
		t.to[i] = byte(i)
	}
	last := from
	switch {
	case del:
		for _, c := range from {
			t.del[c] = true
		}
		last = to
	case len(sets) == 2:
		if len(to) == 0 {
			return nil, errors.New("the second set is empty")
		}
		t.replace(from, to, truncate)
		last = to
	}
	for _, c := range last {
		t.squeezed[c] = squeeze
	}
	return t, nil
}

// replace fills the table; a second set that is shorter goes on with its last
// character.
func (t *translation) replace(from, to []byte, truncate bool) {
	for i, c := range from {
		if i >= len(to) && truncate {
			return
		}
		t.to[c] = to[min(i, len(to)-1)]
	}
}

func (t *translation) copy(out *bufio.Writer, from io.Reader) error {
	in := bufio.NewReaderSize(from, 64<<10)
	last := -1
	for {
		c, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if t.del[c] {
			continue
		}
		c = t.to[c]
		if t.squeezed[c] && last == int(c) {
			continue
		}
		last = int(c)
		if err := out.WriteByte(c); err != nil {
			return err
		}
		if in.Buffered() == 0 { // a reader that waits sees what there is
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
}

func others(set []byte) (out []byte) {
	var has [256]bool
	for _, c := range set {
		has[c] = true
	}
	for c := range has {
		if !has[c] {
			out = append(out, byte(c))
		}
	}
	return out
}
