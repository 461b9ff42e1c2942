// Command grep prints the lines that match a pattern. Patterns are basic regular
// expressions, with -E extended ones, with -P those of Go's kind; -F takes them
// as plain text. It exits 0 if a line matched, 1 if none did, 2 on an error.
package main

import (
	"bufio"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"coretools.silo/getopt"
	"coretools.silo/regex"
)

type grep struct {
	opt           *getopt.Set
	re            *regexp.Regexp
	out           *bufio.Writer
	names         bool
	before, after int
	limit         int
	matched, bad  bool
}

func main() {
	opt := getopt.Parse("EFGPivnclLoqswxrRHhae:f:A:B:C:m:I", "grep [-EFivnclLoqswxrHh] [-A n] [-B n] [-C n] [-m n] [-e] pattern [file ...]",
		map[string]string{
			"ignore-case": "i", "invert-match": "v", "line-number": "n", "count": "c", "files-with-matches": "l",
			"only-matching": "o", "quiet": "q", "no-messages": "s", "word-regexp": "w", "line-regexp": "x", "recursive": "r",
			"with-filename": "H", "no-filename": "h", "regexp": "e", "file": "f", "extended-regexp": "E", "fixed-strings": "F",
			"max-count": "m", "after-context": "A", "before-context": "B", "context": "C", "color": "a",
		})
	g := &grep{opt: opt, out: bufio.NewWriter(os.Stdout), limit: -1}
	patterns, files := opt.Values('e'), opt.Operands
	for _, f := range opt.Values('f') {
		data, err := os.ReadFile(f)
		if err != nil {
			opt.Usage("%v", err)
		}
		patterns = append(patterns, strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")...)
	}
	if len(patterns) == 0 {
		if len(files) == 0 {
			opt.Usage("no pattern")
		}
		patterns, files = strings.Split(files[0], "\n"), files[1:]
	}
	g.re = compile(opt, patterns)
	context := opt.Value('C', "0")
	for _, n := range []struct {
		to   *int
		word string
	}{{&g.after, opt.Value('A', context)}, {&g.before, opt.Value('B', context)}, {&g.limit, opt.Value('m', "-1")}} {
		v, err := strconv.Atoi(n.word)
		if err != nil {
			opt.Usage("%s: not a number", n.word)
		}
		*n.to = v
	}
	recursive := opt.Has('r') || opt.Has('R')
	if len(files) == 0 {
		files = []string{"-"}
		if recursive {
			files[0] = "."
		}
	}
	g.names = (len(files) > 1 || recursive || opt.Has('H')) && !opt.Has('h')
	for _, f := range files {
		if recursive && f != "-" {
			g.tree(f)
		} else {
			g.file(f)
		}
	}
	g.finish()
}

func (g *grep) finish() {
	g.out.Flush()
	switch {
	case g.matched && (!g.bad || g.opt.Has('q')):
		os.Exit(0)
	case g.bad:
		os.Exit(2)
	}
	os.Exit(1)
}

// compile makes one expression of all patterns.
func compile(opt *getopt.Set, patterns []string) *regexp.Regexp {
	for i, p := range patterns {
		var err error
		switch {
		case opt.Has('F'):
			p = regexp.QuoteMeta(p)
		case !opt.Has('P'):
			if p, err = regex.Translate(p, opt.Has('E')); err != nil {
				opt.Usage("%v", err)
			}
		}
		if opt.Has('w') {
			p = `\b(?:` + p + `)\b`
		}
		if opt.Has('x') {
			p = `^(?:` + p + `)$`
		}
		patterns[i] = "(?:" + p + ")"
	}
	text := "(?s)" + strings.Join(patterns, "|")
	if opt.Has('i') {
		text = "(?i)" + text
	}
	re, err := regexp.Compile(text)
	if err != nil {
		opt.Usage("%v", err)
	}
	if !opt.Has('P') {
		re.Longest()
	}
	return re
}

func (g *grep) note(err error) {
	g.bad = true
	if !g.opt.Has('s') {
		fmt.Fprintln(os.Stderr, "grep:", err)
	}
}

func (g *grep) tree(root string) {
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			g.note(err)
		case d.Type().IsRegular() || p == root && !d.IsDir():
			g.file(p)
		}
		return nil
	})
}

func (g *grep) file(name string) {
	f := os.Stdin
	if name != "-" {
		var err error
		if f, err = os.Open(name); err != nil {
			g.note(err)
			return
		}
		defer f.Close()
	} else {
		name = "(standard input)"
	}
	if err := g.scan(f, name); err != nil {
		g.note(fmt.Errorf("%s: %w", name, err))
	}
}

func (g *grep) scan(f *os.File, name string) error {
	scan := bufio.NewScanner(f)
	scan.Buffer(nil, 64<<20)
	var held []string // lines before a match that -B may want
	count, rest, last := 0, 0, 0
	for n := 1; scan.Scan(); n++ {
		line := scan.Text()
		if g.re.MatchString(line) == g.opt.Has('v') {
			if rest > 0 {
				rest--
				last = n
				g.print(name, "-", n, line)
			} else if g.before > 0 {
				if held = append(held, line); len(held) > g.before {
					held = held[1:]
				}
			}
			continue
		}
		g.matched = true
		count++
		if g.opt.Has('q') {
			g.finish()
		}
		if !g.opt.Has('c') && !g.opt.Has('l') && !g.opt.Has('L') {
			if (g.before > 0 || g.after > 0) && last > 0 && n-len(held) > last+1 {
				fmt.Fprintln(g.out, "--")
			}
			for i, h := range held {
				g.print(name, "-", n-len(held)+i, h)
			}
			g.match(name, n, line)
		}
		held, rest, last = nil, g.after, n
		if g.opt.Has('l') || count == g.limit {
			break
		}
	}
	switch {
	case g.opt.Has('l') && count > 0, g.opt.Has('L') && count == 0:
		fmt.Fprintln(g.out, name)
	case g.opt.Has('c') && g.names:
		fmt.Fprintf(g.out, "%s:%d\n", name, count)
	case g.opt.Has('c'):
		fmt.Fprintln(g.out, count)
	}
	return scan.Err()
}

func (g *grep) match(name string, n int, line string) {
	if !g.opt.Has('o') {
		g.print(name, ":", n, line)
		return
	}
	for _, m := range g.re.FindAllString(line, -1) {
		if m != "" {
			g.print(name, ":", n, m)
		}
	}
}

func (g *grep) print(name, mark string, n int, line string) {
	if g.names {
		g.out.WriteString(name + mark)
	}
	if g.opt.Has('n') {
		g.out.WriteString(strconv.Itoa(n) + mark)
	}
	g.out.WriteString(line + "\n")
}
