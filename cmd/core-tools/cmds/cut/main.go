// Command cut prints parts of each line: fields (-f, -d), characters (-c) or
// bytes (-b).
package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"

	"coretools.silo/getopt"
)

// span is a range of parts, both ends included, from 1.
type span struct{ from, to int }

func main() {
	opt := getopt.Parse("f:c:b:d:s", "cut -f list [-d separator] [-s] | -c list | -b list [file ...]",
		map[string]string{"fields": "f", "characters": "c", "bytes": "b", "delimiter": "d", "only-delimited": "s"})
	kind := byte(0)
	for _, k := range []byte("fcb") {
		if opt.Has(k) {
			kind = k
		}
	}
	if kind == 0 {
		opt.Usage("needs -f, -c or -b")
	}
	spans, err := parse(opt.Value(kind, ""))
	if err != nil {
		opt.Usage("-%c: %v", kind, err)
	}
	separator := opt.Value('d', "\t")
	out := bufio.NewWriter(os.Stdout)
	var status getopt.Status
	files := opt.Operands
	if len(files) == 0 {
		files = []string{"-"}
	}
	for _, name := range files {
		f := os.Stdin
		if name != "-" {
			if f, err = os.Open(name); err != nil {
				status.Note(err)
				continue
			}
		}
		scan := bufio.NewScanner(f)
		scan.Buffer(nil, 64<<20)
		for scan.Scan() {
			if text, ok := pick(scan.Text(), kind, separator, opt.Has('s'), spans); ok {
				fmt.Fprintln(out, text)
			}
		}
		status.Note(scan.Err())
		f.Close()
	}
	status.Note(out.Flush())
	status.Exit()
}

func pick(line string, kind byte, separator string, onlyWith bool, spans []span) (string, bool) {
	var parts []string
	switch kind {
	case 'f':
		if !strings.Contains(line, separator) {
			return line, !onlyWith
		}
		parts = strings.Split(line, separator)
	case 'c':
		parts, separator = strings.Split(line, ""), ""
	default:
		separator = ""
		for i := range len(line) {
			parts = append(parts, line[i:i+1])
		}
	}
	var chosen []string
	for i, p := range parts {
		for _, s := range spans {
			if i+1 >= s.from && i+1 <= s.to {
				chosen = append(chosen, p)
				break
			}
		}
	}
	return strings.Join(chosen, separator), true
}

// parse reads a list such as 1,3-5,7-.
func parse(list string) ([]span, error) {
	var spans []span
	for _, word := range strings.Split(list, ",") {
		from, to, isRange := strings.Cut(word, "-")
		s := span{1, math.MaxInt}
		var err error
		if from != "" {
			if s.from, err = strconv.Atoi(from); err != nil || s.from < 1 {
				return nil, fmt.Errorf("%s: not a number from 1 up", from)
			}
		}
		switch {
		case !isRange:
			s.to = s.from
		case to != "":
			if s.to, err = strconv.Atoi(to); err != nil {
				return nil, fmt.Errorf("%s: not a number", to)
			}
		}
		if word == "" || word == "-" {
			return nil, fmt.Errorf("an empty range")
		}
		spans = append(spans, s)
	}
	return spans, nil
}
