// Command find walks folders and prints, runs commands on or deletes what its
// tests choose.
package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"coretools.silo/getopt"
)

// file is what tests look at.
type file struct {
	path  string
	depth int
	info  fs.FileInfo
	prune bool // do not go into this folder
}

// options are words that change the walk as a whole.
type options struct {
	maxDepth, minDepth int
	depthFirst, xdev   bool
}

func main() {
	roots, words := split(os.Args[1:])
	o := options{maxDepth: 1 << 30}
	p := &parser{words: words, options: &o, status: &getopt.Status{}}
	test, err := p.parse()
	if err != nil {
		fmt.Fprintf(os.Stderr, "find: %v\n", err)
		os.Exit(2)
	}
	for _, r := range roots {
		info, err := os.Lstat(r)
		if err != nil {
			p.status.Note(err)
			continue
		}
		walk(&file{path: r, info: info}, o, test, p.status, device(info))
	}
	for _, flush := range p.atEnd {
		flush()
	}
	p.status.Exit()
}

// split takes the folders to walk from the front: up to the first word that
// belongs to the expression.
func split(args []string) (roots, words []string) {
	for len(args) > 0 && (args[0] == "-H" || args[0] == "-L" || args[0] == "-P") {
		args = args[1:]
	}
	i := 0
	for i < len(args) && !strings.HasPrefix(args[i], "-") && args[i] != "!" && args[i] != "(" {
		i++
	}
	if roots = args[:i]; len(roots) == 0 {
		roots = []string{"."}
	}
	return roots, args[i:]
}

func walk(f *file, o options, test predicate, status *getopt.Status, dev uint64) {
	visit := func() {
		if f.depth >= o.minDepth {
			test(f)
		}
	}
	if !o.depthFirst {
		visit()
	}
	if f.info.IsDir() && !f.prune && f.depth < o.maxDepth && (!o.xdev || device(f.info) == dev) {
		entries, err := os.ReadDir(f.path)
		status.Note(err)
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				continue // gone meanwhile
			}
			path := filepath.Join(f.path, e.Name())
			if f.path == "." {
				path = "./" + e.Name()
			}
			walk(&file{path: path, depth: f.depth + 1, info: info}, o, test, status, dev)
		}
	}
	if o.depthFirst {
		visit()
	}
}
