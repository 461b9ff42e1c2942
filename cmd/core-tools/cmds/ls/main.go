// Command ls lists folders: names in columns on a terminal, one a line
// elsewhere, with -l type, mode, links, owner, group, size and time.
package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"coretools.silo/getopt"
	"coretools.silo/passwd"
)

var (
	opt   *getopt.Set
	names *passwd.Names
)

// item is one thing to list: its name as shown, and where it lies.
type item struct {
	name, path string
	info       fs.FileInfo
}

func main() {
	opt = getopt.Parse("1AaCdFghiklnoRrSstUuLHxp", "ls [-1AaCdFhilnRrStL] [file ...]", map[string]string{
		"all": "a", "almost-all": "A", "human-readable": "h", "recursive": "R", "reverse": "r",
		"directory": "d", "inode": "i", "color": "k", "numeric-uid-gid": "n", "size": "s",
	})
	names = passwd.Load()
	var status getopt.Status
	operands := opt.Operands
	if len(operands) == 0 {
		operands = []string{"."}
	}
	var files, dirs []item
	for _, o := range operands {
		stat := os.Stat
		if (opt.Has('l') || opt.Has('d') || opt.Has('F')) && !opt.Has('H') && !opt.Has('L') {
			stat = os.Lstat
		}
		info, err := stat(o)
		if err != nil { // a link that leads nowhere is still there
			info, err = os.Lstat(o)
		}
		if err != nil {
			status.Note(err)
			continue
		}
		it := item{o, o, info}
		if info.IsDir() && !opt.Has('d') {
			dirs = append(dirs, it)
		} else {
			files = append(files, it)
		}
	}
	sortItems(files)
	sortItems(dirs)
	print(files)
	for i, d := range dirs {
		if len(files) > 0 || i > 0 {
			fmt.Println()
		}
		listDir(d.path, len(operands) > 1 || opt.Has('R'), &status)
	}
	status.Exit()
}

func listDir(dir string, title bool, status *getopt.Status) {
	entries, err := os.ReadDir(dir)
	status.Note(err)
	if title {
		fmt.Println(dir + ":")
	}
	var items []item
	if opt.Has('a') {
		for _, n := range []string{".", ".."} {
			if info, err := os.Lstat(filepath.Join(dir, n)); err == nil {
				items = append(items, item{n, filepath.Join(dir, n), info})
			}
		}
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !opt.Has('a') && !opt.Has('A') {
			continue
		}
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err == nil && opt.Has('L') {
			info, err = os.Stat(path)
		}
		if err != nil { // gone meanwhile
			status.Note(err)
			continue
		}
		items = append(items, item{e.Name(), path, info})
	}
	sortItems(items)
	if opt.Has('l') || opt.Has('s') {
		var blocks int64
		for _, it := range items {
			blocks += stat(it.info).Blocks
		}
		if opt.Has('h') {
			fmt.Println("total", getopt.Human(uint64(blocks)*512))
		} else {
			fmt.Println("total", blocks/2)
		}
	}
	print(items)
	if !opt.Has('R') {
		return
	}
	for _, it := range items {
		if it.info.IsDir() && it.name != "." && it.name != ".." {
			fmt.Println()
			listDir(it.path, true, status)
		}
	}
}

func stat(info fs.FileInfo) *syscall.Stat_t {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st
	}
	return &syscall.Stat_t{}
}

func sortItems(items []item) {
	if opt.Has('U') {
		return
	}
	slices.SortStableFunc(items, func(a, b item) int {
		var c int
		switch {
		case opt.Has('t'):
			c = b.info.ModTime().Compare(a.info.ModTime())
		case opt.Has('S'):
			c = cmp.Compare(b.info.Size(), a.info.Size())
		}
		if c == 0 {
			c = strings.Compare(a.name, b.name)
		}
		if opt.Has('r') {
			return -c
		}
		return c
	})
}

func print(items []item) {
	width := terminalWidth()
	switch {
	case opt.Has('l') || opt.Has('n') || opt.Has('g') || opt.Has('o'):
		printLong(items)
	case width > 0 && !opt.Has('1') || opt.Has('C'):
		if width == 0 {
			width = 80
		}
		printColumns(items, width)
	default:
		for _, it := range items {
			fmt.Println(short(it))
		}
	}
}

// short is the name with what -i, -s and -F add to it.
func short(it item) string {
	s := it.name + mark(it.info)
	if opt.Has('s') {
		s = fmt.Sprintf("%4d %s", stat(it.info).Blocks/2, s)
	}
	if opt.Has('i') {
		s = fmt.Sprintf("%d %s", stat(it.info).Ino, s)
	}
	return s
}

func mark(info fs.FileInfo) string {
	if !opt.Has('F') && (!opt.Has('p') || !info.IsDir()) {
		return ""
	}
	switch m := info.Mode(); {
	case m.IsDir():
		return "/"
	case m&fs.ModeSymlink != 0:
		return "@"
	case m&fs.ModeNamedPipe != 0:
		return "|"
	case m&fs.ModeSocket != 0:
		return "="
	case m&0o111 != 0:
		return "*"
	}
	return ""
}

func printColumns(items []item, width int) {
	longest := 0
	for _, it := range items {
		longest = max(longest, len([]rune(short(it))))
	}
	columns := max(1, (width+2)/(longest+2))
	rows := (len(items) + columns - 1) / columns
	for r := range rows {
		var line strings.Builder
		for c := range columns {
			if i := c*rows + r; i < len(items) {
				s := short(items[i])
				line.WriteString(s)
				if i+rows < len(items) {
					line.WriteString(strings.Repeat(" ", longest+2-len([]rune(s))))
				}
			}
		}
		fmt.Println(line.String())
	}
}

func printLong(items []item) {
	rows := make([][6]string, len(items))
	var wide [6]int
	for i, it := range items {
		st := stat(it.info)
		owner, group := fmt.Sprint(st.Uid), fmt.Sprint(st.Gid)
		if !opt.Has('n') {
			owner, group = names.User(st.Uid), names.Group(st.Gid)
		}
		rows[i] = [6]string{modeText(it.info.Mode()), fmt.Sprint(st.Nlink), owner, group, size(it.info, st), timeText(it.info.ModTime())}
		for k, cell := range rows[i] {
			wide[k] = max(wide[k], len(cell))
		}
	}
	for i, it := range items {
		r := rows[i]
		prefix := ""
		if opt.Has('i') {
			prefix = fmt.Sprintf("%8d ", stat(it.info).Ino)
		}
		name := it.name + mark(it.info)
		if it.info.Mode()&fs.ModeSymlink != 0 {
			target, _ := os.Readlink(it.path)
			name = it.name + " -> " + target
		}
		fmt.Printf("%s%s %*s %-*s %-*s %*s %s %s\n", prefix, r[0], wide[1], r[1], wide[2], r[2], wide[3], r[3], wide[4], r[4], r[5], name)
	}
}

func size(info fs.FileInfo, st *syscall.Stat_t) string {
	switch {
	case info.Mode()&fs.ModeDevice != 0:
		major := st.Rdev>>8&0xfff | st.Rdev>>32&^0xfff
		minor := st.Rdev&0xff | st.Rdev>>12&^0xff
		return fmt.Sprintf("%d, %d", major, uint32(minor))
	case opt.Has('h'):
		return getopt.Human(uint64(info.Size()))
	}
	return fmt.Sprint(info.Size())
}

// timeText shows the clock for what is younger than half a year, else the year.
func timeText(t time.Time) string {
	t = t.Local()
	if age := time.Since(t); age > 182*24*time.Hour || age < -time.Hour {
		return t.Format("Jan _2  2006")
	}
	return t.Format("Jan _2 15:04")
}

// modeText is the mode as ls writes it: drwxr-sr-t.
func modeText(m fs.FileMode) string {
	kinds := []struct {
		bit  fs.FileMode
		text byte
	}{
		{fs.ModeDir, 'd'},
		{fs.ModeSymlink, 'l'},
		{fs.ModeNamedPipe, 'p'},
		{fs.ModeSocket, 's'},
		{fs.ModeCharDevice, 'c'},
		{fs.ModeDevice, 'b'},
	}
	b := []byte(m.Perm().String())
	for _, k := range kinds {
		if m&k.bit != 0 {
			b[0] = k.text
			break
		}
	}
	for _, s := range []struct {
		bit      fs.FileMode
		at       int
		set, off byte
	}{{fs.ModeSetuid, 3, 's', 'S'}, {fs.ModeSetgid, 6, 's', 'S'}, {fs.ModeSticky, 9, 't', 'T'}} {
		if m&s.bit != 0 {
			if b[s.at] == 'x' {
				b[s.at] = s.set
			} else {
				b[s.at] = s.off
			}
		}
	}
	return string(b)
}

// terminalWidth is the number of columns of standard output, 0 if that is no
// terminal.
func terminalWidth() int {
	var size struct{ rows, cols, x, y uint16 }
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, 1, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0
	}
	if size.cols == 0 {
		return 80
	}
	return int(size.cols)
}
