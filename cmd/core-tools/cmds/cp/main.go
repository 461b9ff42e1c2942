// Command cp copies files and, with -r or -a, folders; -a keeps modes, owners,
// times and links as they are.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"coretools.silo/attr"
	"coretools.silo/filemode"
	"coretools.silo/getopt"
	"coretools.silo/paths"
)

var opt *getopt.Set

func main() {
	opt = getopt.Parse("rRafipPLHvdnTt:u", "cp [-rRafipPLHvdnuT] source ... target | cp [...] -t folder source ...", map[string]string{
		"recursive": "r", "archive": "a", "force": "f", "interactive": "i", "verbose": "v", "no-clobber": "n",
		"preserve": "p", "target-directory": "t", "no-dereference": "P", "dereference": "L", "update": "u", "no-target-directory": "T",
	})
	args := opt.Operands
	target := opt.Value('t', "")
	if target == "" {
		if len(args) < 2 {
			opt.Usage("needs a source and a target")
		}
		target, args = args[len(args)-1], args[:len(args)-1]
	}
	info, err := os.Stat(target)
	into := err == nil && info.IsDir() && !opt.Has('T')
	c := newCopier()
	if len(args) > 1 && !into {
		c.status.Note(fmt.Errorf("%s: not a folder", target))
		c.status.Exit()
	}
	for _, src := range args {
		dst := target
		if into {
			dst = filepath.Join(target, filepath.Base(src))
		}
		c.copyAny(src, dst, true)
	}
	c.status.Exit()
}

// copier copies all that one call names.
type copier struct {
	status getopt.Status
	links  map[[2]uint64]string // the copies of files that have several names
}

func newCopier() *copier { return &copier{links: map[[2]uint64]string{}} }

func recursive() bool { return opt.Has('r') || opt.Has('R') || opt.Has('a') }
func keepAll() bool   { return opt.Has('a') || opt.Has('p') }

// copyAny copies one thing of any kind. top tells that a person named it.
func (c *copier) copyAny(src, dst string, top bool) {
	stat := os.Lstat
	if opt.Has('L') || !opt.Has('P') && !opt.Has('d') && !opt.Has('a') && (top && !recursive() || top && opt.Has('H') || !recursive()) {
		stat = os.Stat
	}
	info, err := stat(src)
	if err != nil {
		c.status.Note(err)
		return
	}
	if was, err := os.Lstat(dst); err == nil {
		skip, err := occupied(src, dst, info, was)
		c.status.Note(err)
		if skip || err != nil {
			return
		}
	}
	id, several := identity(info)
	first, linked := c.links[id]
	switch mode := info.Mode(); {
	case mode.IsDir():
		c.copyDir(src, dst, info)
		return
	case several && linked:
		err = linkCopy(first, dst)
	case mode&fs.ModeSymlink != 0:
		err = copyLink(src, dst)
	case mode.IsRegular() || !recursive():
		err = copyFile(src, dst, info)
	default:
		err = copySpecial(dst, info)
	}
	if err == nil && !linked {
		err = keep(dst, info)
	}
	c.status.Note(err)
	if err == nil && several && !linked {
		c.links[id] = dst
	}
	if err == nil && opt.Has('v') {
		fmt.Printf("%s -> %s\n", src, dst)
	}
}

// occupied looks at a target that is there: whether it is to be left (skip),
// or must not be written because it is the source or a folder.
func occupied(src, dst string, info, was fs.FileInfo) (skip bool, err error) {
	switch {
	case sameFile(src, dst, info, was):
		return false, fmt.Errorf("'%s' and '%s' are the same file", src, dst)
	case opt.Has('u') && !was.IsDir() && !info.ModTime().After(was.ModTime()), opt.Has('n') && !was.IsDir(), opt.Has('i') && !was.IsDir() && !ask(dst):
		return true, nil
	case was.IsDir() && !info.IsDir():
		return false, fmt.Errorf("%s: a folder is in the way", dst)
	}
	return false, nil
}

// sameFile also holds if one is a link to the other: opening the target for
// writing would empty the source, and a link would take the place of the only
// file it leads to.
func sameFile(src, dst string, info, was fs.FileInfo) bool {
	if os.SameFile(info, was) {
		return true
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		leads, err := os.Stat(src)
		return err == nil && os.SameFile(leads, was)
	}
	leads, err := os.Stat(dst)
	return err == nil && os.SameFile(info, leads)
}

// identity tells files that have several names apart, if their links are to be
// kept.
func identity(info fs.FileInfo) (id [2]uint64, several bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || info.IsDir() || st.Nlink < 2 || !opt.Has('a') && !opt.Has('d') {
		return id, false
	}
	return [2]uint64{st.Dev, st.Ino}, true
}

// linkCopy gives a copy that is there one more name.
func linkCopy(first, dst string) error {
	err := os.Link(first, dst)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	one, err := os.Lstat(first)
	if err != nil {
		return err
	}
	if two, err := os.Lstat(dst); err == nil && os.SameFile(one, two) {
		return nil
	}
	if err := os.Remove(dst); err != nil {
		return err
	}
	return os.Link(first, dst)
}

func ask(path string) bool {
	fmt.Fprintf(os.Stderr, "cp: overwrite %s? ", path)
	return getopt.Yes(os.Stdin)
}

func (c *copier) copyDir(src, dst string, info fs.FileInfo) {
	if !recursive() {
		c.status.Note(fmt.Errorf("%s: is a folder: use -r", src))
		return
	}
	// A copy into itself would never end.
	inside, err := paths.Inside(filepath.Dir(filepath.Clean(dst)), info)
	if err == nil && inside {
		err = fmt.Errorf("%s: cannot copy a folder into itself, %s", src, dst)
	}
	if err != nil {
		c.status.Note(err)
		return
	}
	err = os.Mkdir(dst, 0o700|info.Mode().Perm())
	if err != nil && !errors.Is(err, fs.ErrExist) {
		c.status.Note(err)
		return
	}
	made := err == nil
	entries, err := os.ReadDir(src)
	c.status.Note(err)
	for _, e := range entries {
		c.copyAny(filepath.Join(src, e.Name()), filepath.Join(dst, e.Name()), false)
	}
	if made && !keepAll() {
		c.status.Note(setMode(dst, info.Mode().Perm()&^fs.FileMode(filemode.Umask())))
	}
	c.status.Note(keep(dst, info))
}

// setMode leaves a folder the set-group-id bit that its parent gave it.
func setMode(dir string, perm fs.FileMode) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	return os.Chmod(dir, perm|info.Mode()&fs.ModeSetgid)
}

func copyLink(src, dst string) error {
	target, err := os.Readlink(src)
	if err != nil {
		return err
	}
	if err := os.Symlink(target, dst); err == nil {
		return nil
	}
	if err := os.Remove(dst); err != nil {
		return err
	}
	return os.Symlink(target, dst)
}

func copyFile(src, dst string, info fs.FileInfo) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	if err != nil && opt.Has('f') {
		_ = os.Remove(dst)
		out, err = os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, info.Mode().Perm())
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

func copySpecial(dst string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: unknown kind", dst)
	}
	if err := syscall.Mknod(dst, st.Mode, int(st.Rdev)); err != nil {
		return &os.PathError{Op: "mknod", Path: dst, Err: err}
	}
	return nil
}

// keep gives the copy the owner, mode and times of the original, as -p and -a
// ask for.
func keep(dst string, info fs.FileInfo) error {
	if !keepAll() {
		return nil
	}
	return attr.Keep(dst, info)
}
