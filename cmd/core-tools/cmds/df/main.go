// Command df shows how full file systems are: those named, or all that have a
// size.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"coretools.silo/getopt"
)

type mount struct{ device, dir, kind string }

func main() {
	opt := getopt.Parse("hkmaTiPt:", "df [-hkmaTi] [-t type] [file ...]", map[string]string{"human-readable": "h", "all": "a", "print-type": "T", "inodes": "i"})
	var status getopt.Status
	all, err := mounts()
	status.Note(err)
	rows := all
	if len(opt.Operands) > 0 {
		rows = nil
		for _, path := range opt.Operands {
			m, err := holding(all, path)
			if err != nil {
				status.Note(err)
				continue
			}
			rows = append(rows, m)
		}
	}
	unit := map[bool]string{true: "Size", false: "1K-blocks"}[opt.Has('h')]
	if opt.Has('m') {
		unit = "1M-blocks"
	}
	if opt.Has('i') {
		unit = "Inodes"
	}
	table := [][]string{{"Filesystem", "Type", unit, "Used", "Available", "Use%", "Mounted on"}}
	seen := map[string]bool{}
	for _, m := range rows {
		var st syscall.Statfs_t
		if err := syscall.Statfs(m.dir, &st); err != nil {
			if len(opt.Operands) > 0 {
				status.Note(&os.PathError{Op: "statfs", Path: m.dir, Err: err})
			}
			continue
		}
		if len(opt.Operands) == 0 && (st.Blocks == 0 && !opt.Has('a') || seen[m.dir] || opt.Has('t') && m.kind != opt.Value('t', "")) {
			continue
		}
		seen[m.dir] = true
		table = append(table, row(opt, m, &st))
	}
	write(table, opt.Has('T'))
	status.Exit()
}

func row(opt *getopt.Set, m mount, st *syscall.Statfs_t) []string {
	size := uint64(st.Bsize)
	total, free, avail := st.Blocks*size, st.Bfree*size, st.Bavail*size
	show := func(n uint64) string {
		switch {
		case opt.Has('h'):
			return getopt.Human(n)
		case opt.Has('m'):
			return fmt.Sprint(n >> 20)
		}
		return fmt.Sprint(n >> 10)
	}
	if opt.Has('i') {
		total, free, avail = st.Files, st.Ffree, st.Ffree
		show = func(n uint64) string { return fmt.Sprint(n) }
	}
	used, percent := total-free, "-"
	if used+avail > 0 {
		percent = fmt.Sprintf("%d%%", (used*100+used+avail-1)/(used+avail))
	}
	return []string{m.device, m.kind, show(total), show(used), show(avail), percent, m.dir}
}

func write(table [][]string, withType bool) {
	var wide [7]int
	for _, r := range table {
		for i, c := range r {
			wide[i] = max(wide[i], len(c))
		}
	}
	for _, r := range table {
		line := fmt.Sprintf("%-*s ", wide[0], r[0])
		if withType {
			line += fmt.Sprintf("%-*s ", wide[1], r[1])
		}
		fmt.Printf("%s%*s %*s %*s %*s %s\n", line, wide[2], r[2], wide[3], r[3], wide[4], r[4], wide[5], r[5], r[6])
	}
}

// mounts reads /proc/self/mounts, where blanks in names are written \040.
func mounts() ([]mount, error) {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var all []mount
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) >= 3 {
			all = append(all, mount{unescape.Replace(f[0]), unescape.Replace(f[1]), f[2]})
		}
	}
	return all, nil
}

// holding finds the mount that a path lies on: the longest that is above it.
func holding(all []mount, path string) (mount, error) {
	if _, err := os.Stat(path); err != nil {
		return mount{}, err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return mount{}, err
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		abs = real
	}
	best := mount{device: "-", dir: "/", kind: "-"}
	for _, m := range all {
		if m.dir == "/" || abs == m.dir || strings.HasPrefix(abs, m.dir+"/") {
			if len(m.dir) >= len(best.dir) {
				best = m
			}
		}
	}
	return best, nil
}
