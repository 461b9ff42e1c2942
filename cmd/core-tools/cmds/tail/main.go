// Command tail prints the last lines or bytes of files, and with -f what is
// added to them from then on.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("n:c:fFqv#", "tail [-f] [-n [+]lines | -c [+]bytes] [file ...]",
		map[string]string{"lines": "n", "bytes": "c", "follow": "f", "quiet": "q"})
	word, byBytes := opt.Value('n', opt.Value('#', "10")), false
	if opt.Has('c') {
		word, byBytes = opt.Value('c', ""), true
	}
	count, err := strconv.Atoi(strings.TrimLeft(word, "+-"))
	if err != nil {
		opt.Usage("%s: not a number", word)
	}
	p := part{count: count, fromStart: strings.HasPrefix(word, "+"), bytes: byBytes}
	files := opt.Operands
	if len(files) == 0 {
		files = []string{"-"}
	}
	var status getopt.Status
	titles := len(files) > 1 && !opt.Has('q') || opt.Has('v')
	var open []*os.File
	for i, name := range files {
		f := os.Stdin
		if name != "-" {
			if f, err = os.Open(name); err != nil {
				status.Note(err)
				continue
			}
		}
		if titles {
			title(name, i > 0)
		}
		data, err := io.ReadAll(f)
		status.Note(err)
		os.Stdout.Write(p.of(data))
		open = append(open, f)
	}
	if opt.Has('f') || opt.Has('F') {
		follow(open, titles, opt.Has('F'))
	}
	status.Exit()
}

func title(name string, gap bool) {
	if gap {
		fmt.Println()
	}
	fmt.Printf("==> %s <==\n", name)
}

// part says which part of a file is wanted.
type part struct {
	count            int
	fromStart, bytes bool
}

func (p part) of(data []byte) []byte {
	switch {
	case p.bytes && p.fromStart:
		return data[min(len(data), max(0, p.count-1)):]
	case p.bytes:
		return data[max(0, len(data)-p.count):]
	case p.fromStart:
		for n := 1; n < p.count && len(data) > 0; n++ {
			_, data, _ = bytes.Cut(data, []byte("\n"))
		}
		return data
	}
	end := len(bytes.TrimSuffix(data, []byte("\n")))
	for n := 0; n < p.count; n++ {
		i := bytes.LastIndexByte(data[:end], '\n')
		if i < 0 {
			return data
		}
		end = i
	}
	if p.count == 0 {
		return nil
	}
	return data[end+1:]
}

// follow looks for more four times a second. It reads on where a file was cut
// short, and with byName opens one anew that was replaced, as logs are.
func follow(files []*os.File, titles, byName bool) {
	last := -1
	for len(files) > 0 {
		time.Sleep(250 * time.Millisecond)
		for i, f := range files {
			if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
				at, err := f.Seek(0, io.SeekCurrent)
				if err == nil && info.Size() < at {
					_, _ = f.Seek(0, io.SeekStart)
				}
				if now, err := os.Stat(f.Name()); byName && err == nil && !os.SameFile(info, now) {
					if again, err := os.Open(f.Name()); err == nil {
						f.Close()
						f, files[i] = again, again
					}
				}
			}
			data, err := io.ReadAll(f)
			if err != nil && !errors.Is(err, io.EOF) {
				return
			}
			if len(data) > 0 {
				if titles && last != i {
					title(f.Name(), true)
				}
				last = i
				os.Stdout.Write(data)
			}
		}
	}
}
