// Command mv renames files and moves them into folders, also to another file
// system: there it copies and then removes.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/term"

	"coretools.silo/filemode"
	"coretools.silo/getopt"
)

const usage = "mv [-finuv] [-T] source target | mv [-finuv] source ... folder | mv [-finuv] -t folder source ..."

func main() {
	opt := getopt.Parse("finvTt:u", usage, map[string]string{
		"force": "f", "interactive": "i", "no-clobber": "n", "verbose": "v", "no-target-directory": "T", "target-directory": "t", "update": "u",
	})
	m := &mover{
		in: os.Stdin, out: os.Stdout, errs: os.Stderr, rename: syscall.Rename, made: map[string]bool{},
		policy: opt.Last("fin"), update: opt.Has('u'), verbose: opt.Has('v'), terminal: term.IsTerminal(0),
	}
	var status getopt.Status
	sources, target, into, err := m.plan(opt)
	opt.Refuse(err)
	for _, src := range sources {
		dst := target
		if into {
			dst = filepath.Join(target, filepath.Base(src))
		}
		status.Note(m.move(src, dst))
	}
	status.Exit()
}

// mover moves files as its options say.
type mover struct {
	in        io.Reader
	out, errs io.Writer
	rename    func(string, string) error
	policy    byte // 'f', 'i', 'n' or 0: what happens to a target that is there
	update    bool
	verbose   bool
	terminal  bool // standard input is one
	made      map[string]bool
}

// plan tells what is moved where: under the target or into it.
func (m *mover) plan(opt *getopt.Set) (sources []string, target string, into bool, err error) {
	args := opt.Operands
	if target = opt.Value('t', ""); opt.Has('t') {
		if opt.Has('T') {
			return nil, "", false, errors.New("-t and -T exclude each other")
		}
		if len(args) == 0 {
			return nil, "", false, errors.New("no source named")
		}
		return args, target, true, needFolder(target)
	}
	if len(args) < 2 {
		return nil, "", false, errors.New("needs a source and a target")
	}
	target, sources = args[len(args)-1], args[:len(args)-1]
	if opt.Has('T') {
		if len(sources) > 1 {
			return nil, "", false, fmt.Errorf("%q: more than one source with -T", sources[1])
		}
		return sources, target, false, nil
	}
	info, err := os.Stat(target)
	if err == nil && info.IsDir() {
		return sources, target, true, nil
	}
	if len(sources) > 1 {
		return nil, "", false, needFolder(target)
	}
	return sources, target, false, nil
}

func needFolder(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = &os.PathError{Op: "move into", Path: path, Err: syscall.ENOTDIR}
	}
	return err
}

// move moves one file or folder to the very name dst.
func (m *mover) move(src, dst string) error {
	from, err := os.Lstat(src)
	if err != nil {
		return err
	}
	to, err := os.Lstat(dst)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return err
	}
	if err == nil {
		skip, err := m.occupied(src, dst, from, to)
		if skip || err != nil {
			return err
		}
	}
	err = m.rename(src, dst)
	switch {
	case errors.Is(err, syscall.EXDEV):
		if err := m.across(src, dst, from); err != nil {
			return err
		}
	case errors.Is(err, syscall.EINVAL) && from.IsDir():
		return fmt.Errorf("cannot move '%s' into itself, '%s'", src, dst)
	case err != nil:
		return &os.LinkError{Op: "move", Old: src, New: dst, Err: err}
	}
	m.made[dst] = true
	if m.verbose {
		_, err := fmt.Fprintf(m.out, "renamed '%s' -> '%s'\n", src, dst)
		return err
	}
	return nil
}

// occupied looks at a target that is there: whether it may be replaced, is to
// be left (skip), or is the source itself.
func (m *mover) occupied(src, dst string, from, to fs.FileInfo) (skip bool, err error) {
	if sameFile(src, from, to) {
		return false, fmt.Errorf("'%s' and '%s' are the same file", src, dst)
	}
	switch {
	case m.made[dst]:
		return false, fmt.Errorf("%s: was just made: '%s' does not replace it", dst, src)
	case m.policy == 'n', m.update && !from.ModTime().After(to.ModTime()):
		return true, nil
	case to.IsDir() && !from.IsDir():
		return false, fmt.Errorf("'%s': a folder is in the way of '%s'", dst, src)
	case from.IsDir() && !to.IsDir():
		return false, fmt.Errorf("'%s': a file is in the way of the folder '%s'", dst, src)
	}
	return !m.mayReplace(dst, to), nil
}

// sameFile also holds for a link and what it leads to: the file would be lost.
func sameFile(src string, from, to fs.FileInfo) bool {
	if os.SameFile(from, to) {
		return true
	}
	if from.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	target, err := os.Stat(src)
	return err == nil && os.SameFile(target, to)
}

// mayReplace asks if -i was given, and, on a terminal, for files that are
// protected from being written.
func (m *mover) mayReplace(dst string, to fs.FileInfo) bool {
	const writable = 2
	protected := to.Mode()&fs.ModeSymlink == 0 && syscall.Access(dst, writable) != nil
	switch {
	case m.policy == 'i':
		fmt.Fprintf(m.errs, "mv: overwrite '%s'? ", dst)
	case m.policy == 0 && m.terminal && protected:
		fmt.Fprintf(m.errs, "mv: replace '%s', whose mode is %s? ", dst, filemode.Text(uint32(to.Mode().Perm())))
	default:
		return true
	}
	return getopt.Yes(m.in)
}
