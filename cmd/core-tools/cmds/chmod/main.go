// Command chmod changes what may be done with files: to an octal mode, or by
// clauses such as u+x,go-w. With -R it changes whole trees, where it follows
// no links.
package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"coretools.silo/filemode"
	"coretools.silo/getopt"
)

func main() {
	var words []string
	os.Args, words = takeModes(os.Args)
	opt := getopt.Parse("Rvfcr:", "chmod [-Rcfv] mode file ... | chmod [-Rcfv] --reference=file file ...", map[string]string{
		"recursive": "R", "verbose": "v", "silent": "f", "quiet": "f", "changes": "c", "reference": "r",
	})
	files := opt.Operands
	text := strings.Join(words, ",")
	if len(words) == 0 && !opt.Has('r') {
		if len(files) == 0 {
			opt.Usage("no mode given")
		}
		text, files = files[0], files[1:]
	}
	if len(files) == 0 {
		opt.Usage("no file named")
	}
	if from := opt.Value('r', ""); opt.Has('r') {
		var st syscall.Stat_t
		if err := syscall.Stat(from, &st); err != nil {
			opt.Usage("--reference: %s: %v", from, err)
		}
		text = fmt.Sprintf("%05o", st.Mode&0o7777)
	}
	change, err := filemode.Parse(text)
	if err != nil {
		opt.Usage("%v", err)
	}
	c := &changer{
		change: change, umask: filemode.Umask(), out: os.Stdout, errs: os.Stderr,
		recursive: opt.Has('R'), all: opt.Has('v'), changed: opt.Has('c'), silent: opt.Has('f'), asOption: len(words) > 0,
	}
	for _, f := range files {
		c.file(f, true)
	}
	if c.failed {
		os.Exit(1)
	}
}

// takeModes takes out the arguments that look like options but are modes: -x,
// -rw, -u+s.
func takeModes(args []string) (rest, modes []string) {
	for i, a := range args {
		if a == "--" {
			return append(rest, args[i:]...), modes
		}
		if i > 0 && len(a) > 1 && a[0] == '-' && strings.IndexByte("rwxXstugoa,+=01234567", a[1]) >= 0 {
			modes = append(modes, a)
			continue
		}
		rest = append(rest, a)
	}
	return rest, modes
}

// changer applies a change to files.
type changer struct {
	change       filemode.Change
	umask        uint32
	out, errs    io.Writer
	recursive    bool
	all, changed bool // what is told: each file, or only those that change
	silent       bool
	asOption     bool // the mode came as -w: a user may have forgotten the umask
	failed       bool
}

func (c *changer) note(err error) {
	c.failed = true
	if !c.silent {
		fmt.Fprintf(c.errs, "chmod: %v\n", err)
	}
}

// file changes one file, and what is in it. named tells that a person wrote
// its name: then a link stands for what it leads to, else it is left alone.
func (c *changer) file(path string, named bool) {
	var st syscall.Stat_t
	stat := syscall.Lstat
	if named {
		stat = syscall.Stat
	}
	if err := stat(path, &st); err != nil {
		c.note(&os.PathError{Op: "stat", Path: path, Err: err})
		return
	}
	if st.Mode&syscall.S_IFMT == syscall.S_IFLNK {
		return
	}
	isDir := st.Mode&syscall.S_IFMT == syscall.S_IFDIR
	c.one(path, st.Mode&0o7777, isDir)
	if !isDir || !c.recursive {
		return
	}
	// The folder's own mode comes first: it may be what lets us look into it.
	entries, err := os.ReadDir(path)
	if err != nil {
		c.note(err)
	}
	for _, e := range entries {
		c.file(filepath.Join(path, e.Name()), false)
	}
}

func (c *changer) one(path string, was uint32, isDir bool) {
	mode := c.change.Apply(was, isDir, c.umask)
	if err := syscall.Chmod(path, mode); err != nil {
		c.note(&os.PathError{Op: "chmod", Path: path, Err: err})
		return
	}
	switch {
	case mode != was && (c.all || c.changed):
		fmt.Fprintf(c.out, "mode of '%s' changed from %04o (%s) to %04o (%s)\n", path, was, filemode.Text(was), mode, filemode.Text(mode))
	case mode == was && c.all:
		fmt.Fprintf(c.out, "mode of '%s' retained as %04o (%s)\n", path, mode, filemode.Text(mode))
	}
	if meant := c.change.Apply(was, isDir, 0); c.asOption && mode&^meant != 0 {
		c.note(fmt.Errorf("%s: the mode is %s, not %s, because of the umask %03o", path, filemode.Text(mode), filemode.Text(meant), c.umask))
	}
}
