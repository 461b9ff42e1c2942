// Command sort sorts lines: by their text, as numbers (-n), as sizes (-h), as
// versions (-V), by fields (-k, -t), backwards (-r), each only once (-u).
package main

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"coretools.silo/getopt"
)

// key is a part of the line to compare: fields first to last, from 1; last 0
// is the end of the line.
type key struct {
	first, last int
	flags       string
}

func main() {
	opt := getopt.Parse("rnufbhVsck:t:o:C", "sort [-bcCfhnrsuV] [-k field[,field]] [-t separator] [-o file] [file ...]",
		map[string]string{"reverse": "r", "numeric-sort": "n", "unique": "u", "key": "k", "field-separator": "t", "ignore-case": "f", "version-sort": "V"})
	var keys []key
	flags := ""
	for _, c := range "rnfbhV" {
		if opt.Has(byte(c)) {
			flags += string(c)
		}
	}
	for _, v := range opt.Values('k') {
		k, err := parseKey(v, flags)
		if err != nil {
			opt.Usage("-k %s: %v", v, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		keys = []key{{flags: flags}}
	}
	separator := opt.Value('t', "")
	lines, err := readAll(opt.Operands)
	exitOn(err)
	compare := func(a, b string) int {
		for _, k := range keys {
			if c := k.compare(a, b, separator); c != 0 {
				return c
			}
		}
		return 0
	}
	full := func(a, b string) int {
		c := compare(a, b)
		if c == 0 && !opt.Has('s') && !opt.Has('u') {
			c = strings.Compare(a, b)
			if opt.Has('r') {
				c = -c
			}
		}
		return c
	}
	if opt.Has('c') || opt.Has('C') {
		if !slices.IsSortedFunc(lines, compare) {
			if opt.Has('c') {
				fmt.Fprintln(os.Stderr, "sort: not in order")
			}
			os.Exit(1)
		}
		return
	}
	slices.SortStableFunc(lines, full)
	if opt.Has('u') {
		lines = slices.CompactFunc(lines, func(a, b string) bool { return compare(a, b) == 0 })
	}
	exitOn(write(opt.Value('o', ""), lines))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "sort:", err)
		os.Exit(2)
	}
}

func parseKey(word, flags string) (key, error) {
	first, last, _ := strings.Cut(word, ",")
	var k key
	var err error
	own := ""
	if k.first, own, err = parseField(first); err != nil {
		return k, err
	}
	if last != "" {
		var more string
		if k.last, more, err = parseField(last); err != nil {
			return k, err
		}
		own += more
	}
	if k.flags = own; own == "" {
		k.flags = flags
	}
	return k, nil
}

// parseField reads "2", "2n" or "2.1n"; characters within a field count from
// its start only.
func parseField(word string) (int, string, error) {
	i := 0
	for i < len(word) && word[i] >= '0' && word[i] <= '9' {
		i++
	}
	n, err := strconv.Atoi(word[:i])
	if err != nil || n < 1 {
		return 0, "", fmt.Errorf("fields are numbers from 1 up")
	}
	rest := word[i:]
	rest = strings.TrimPrefix(rest, ".1")
	if strings.Trim(rest, "rnfbhV") != "" {
		return 0, "", fmt.Errorf("%s: not understood", rest)
	}
	return n, rest, nil
}

func (k key) part(line, separator string) string {
	if k.first == 0 {
		return line
	}
	var fields []string
	if separator == "" {
		fields = strings.Fields(line)
	} else {
		fields = strings.Split(line, separator)
	}
	if k.first > len(fields) {
		return ""
	}
	end := len(fields)
	if k.last > 0 {
		end = max(k.first, min(end, k.last))
	}
	return strings.Join(fields[k.first-1:end], cmp.Or(separator, " "))
}

func (k key) compare(a, b, separator string) int {
	a, b = k.part(a, separator), k.part(b, separator)
	has := func(c string) bool { return strings.Contains(k.flags, c) }
	if has("b") {
		a, b = strings.TrimLeft(a, " \t"), strings.TrimLeft(b, " \t")
	}
	if has("f") {
		a, b = strings.ToUpper(a), strings.ToUpper(b)
	}
	var c int
	switch {
	case has("n"):
		c = cmp.Compare(number(a, false), number(b, false))
	case has("h"):
		c = cmp.Compare(number(a, true), number(b, true))
	case has("V"):
		c = compareVersions(a, b)
	default:
		c = strings.Compare(a, b)
	}
	if has("r") {
		return -c
	}
	return c
}

// number is the number that a text starts with, 0 if it does not; units are
// the letters K to E after it.
func number(s string, units bool) float64 {
	s = strings.TrimLeft(s, " \t")
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i] == '.' || i == 0 && s[i] == '-') {
		i++
	}
	v, err := strconv.ParseFloat(s[:i], 64)
	if err != nil {
		return 0
	}
	if units && i < len(s) {
		for range strings.IndexByte("KMGTPE", s[i]&^0x20) + 1 {
			v *= 1024
		}
	}
	return v
}

func readAll(paths []string) ([]string, error) {
	if len(paths) == 0 {
		paths = []string{"-"}
	}
	var lines []string
	for _, p := range paths {
		var data []byte
		var err error
		if p == "-" {
			data, err = io.ReadAll(os.Stdin)
		} else {
			data, err = os.ReadFile(p)
		}
		if err != nil {
			return nil, err
		}
		text := strings.TrimSuffix(string(data), "\n")
		if len(data) > 0 {
			lines = append(lines, strings.Split(text, "\n")...)
		}
	}
	return lines, nil
}

func write(path string, lines []string) error {
	f := os.Stdout
	if path != "" {
		var err error
		if f, err = os.Create(path); err != nil {
			return err
		}
		defer f.Close()
	}
	w := bufio.NewWriter(f)
	for _, l := range lines {
		w.WriteString(l)
		w.WriteByte('\n')
	}
	return w.Flush()
}
