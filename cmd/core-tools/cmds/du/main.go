// Command du adds up the space that folders take on disk; a file with several
// names counts once.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"coretools.silo/getopt"
)

type walker struct {
	opt    *getopt.Set
	status getopt.Status
	seen   map[[2]uint64]bool
	depth  int
	dev    uint64
}

func main() {
	opt := getopt.Parse("shakmcxbd:", "du [-shakmcxb] [-d depth] [file ...]",
		map[string]string{"summarize": "s", "human-readable": "h", "all": "a", "max-depth": "d", "total": "c", "one-file-system": "x", "apparent-size": "b"})
	w := &walker{opt: opt, seen: map[[2]uint64]bool{}, depth: 1 << 30}
	if opt.Has('d') {
		n, err := strconv.Atoi(opt.Value('d', ""))
		if err != nil || n < 0 {
			opt.Usage("-d: a depth from 0 up")
		}
		w.depth = n
	}
	if opt.Has('s') {
		w.depth = 0
	}
	operands := opt.Operands
	if len(operands) == 0 {
		operands = []string{"."}
	}
	var total uint64
	for _, o := range operands {
		info, err := os.Lstat(o)
		if err != nil {
			w.status.Note(err)
			continue
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			w.dev = st.Dev
		}
		n := w.add(o, 0)
		total += n
	}
	if opt.Has('c') {
		w.print(total, "total")
	}
	w.status.Exit()
}

func (w *walker) add(path string, level int) uint64 {
	info, err := os.Lstat(path)
	if err != nil {
		w.status.Note(err)
		return 0
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || w.opt.Has('x') && st.Dev != w.dev {
		return 0
	}
	if id := [2]uint64{st.Dev, st.Ino}; st.Nlink > 1 && !info.IsDir() {
		if w.seen[id] {
			return 0
		}
		w.seen[id] = true
	}
	total := uint64(st.Blocks) * 512
	if w.opt.Has('b') {
		total = uint64(st.Size)
	}
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		w.status.Note(err)
		for _, e := range entries {
			total += w.add(filepath.Join(path, e.Name()), level+1)
		}
	}
	if level <= w.depth && (info.IsDir() || level == 0 || w.opt.Has('a')) {
		w.print(total, path)
	}
	return total
}

func (w *walker) print(n uint64, name string) {
	switch {
	case w.opt.Has('h'):
		fmt.Printf("%s\t%s\n", getopt.Human(n), name)
	case w.opt.Has('b'):
		fmt.Printf("%d\t%s\n", n, name)
	case w.opt.Has('m'):
		fmt.Printf("%d\t%s\n", (n+1<<20-1)>>20, name)
	default:
		fmt.Printf("%d\t%s\n", (n+1023)>>10, name)
	}
}
