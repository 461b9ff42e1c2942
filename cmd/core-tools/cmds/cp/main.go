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
	"coretools.silo/getopt"
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
	var status getopt.Status
	if len(args) > 1 && !into {
		status.Note(fmt.Errorf("%s: not a folder", target))
		status.Exit()
	}
	for _, src := range args {
		dst := target
		if into {
			dst = filepath.Join(target, filepath.Base(src))
		}
		copyAny(src, dst, true, &status)
	}
	status.Exit()
}

func recursive() bool { return opt.Has('r') || opt.Has('R') || opt.Has('a') }
func keepAll() bool   { return opt.Has('a') || opt.Has('p') }

// copyAny copies one thing of any kind. top tells that a person named it.
func copyAny(src, dst string, top bool, status *getopt.Status) {
	stat := os.Lstat
	if opt.Has('L') || !opt.Has('P') && !opt.Has('d') && !opt.Has('a') && (top && !recursive() || top && opt.Has('H') || !recursive()) {
		stat = os.Stat
	}
	info, err := stat(src)
	if err != nil {
		status.Note(err)
		return
	}
	if was, err := os.Lstat(dst); err == nil {
		switch {
		case os.SameFile(info, was):
			status.Note(fmt.Errorf("%s and %s are the same file", src, dst))
			return
		case opt.Has('u') && !was.IsDir() && !info.ModTime().After(was.ModTime()), opt.Has('n') && !was.IsDir(), opt.Has('i') && !was.IsDir() && !ask(dst):
			return
		case was.IsDir() && !info.IsDir():
			status.Note(fmt.Errorf("%s: a folder is in the way", dst))
			return
		}
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		copyDir(src, dst, info, status)
		return
	case mode&fs.ModeSymlink != 0:
		err = copyLink(src, dst)
	case mode.IsRegular() || !recursive():
		err = copyFile(src, dst, info)
	default:
		err = copySpecial(dst, info)
	}
	if err == nil {
		err = keep(dst, info)
	}
	status.Note(err)
	if err == nil && opt.Has('v') {
		fmt.Printf("%s -> %s\n", src, dst)
	}
}

func ask(path string) bool {
	fmt.Fprintf(os.Stderr, "cp: overwrite %s? ", path)
	var answer string
	_, _ = fmt.Scanln(&answer)
	return answer == "y" || answer == "yes"
}

func copyDir(src, dst string, info fs.FileInfo, status *getopt.Status) {
	if !recursive() {
		status.Note(fmt.Errorf("%s: is a folder: use -r", src))
		return
	}
	// A copy into itself would never end.
	if rel, err := filepath.Rel(src, dst); err == nil && rel != "." && filepath.IsLocal(rel) {
		status.Note(fmt.Errorf("%s: cannot copy a folder into itself, %s", src, dst))
		return
	}
	err := os.Mkdir(dst, 0o700|info.Mode().Perm())
	if err != nil && !errors.Is(err, fs.ErrExist) {
		status.Note(err)
		return
	}
	made := err == nil
	entries, err := os.ReadDir(src)
	status.Note(err)
	for _, e := range entries {
		copyAny(filepath.Join(src, e.Name()), filepath.Join(dst, e.Name()), false, status)
	}
	if made && !keepAll() {
		status.Note(setMode(dst, info.Mode().Perm()&^umask()))
	}
	status.Note(keep(dst, info))
}

// setMode leaves a folder the set-group-id bit that its parent gave it.
func setMode(dir string, perm fs.FileMode) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	return os.Chmod(dir, perm|info.Mode()&fs.ModeSetgid)
}

func umask() fs.FileMode {
	old := syscall.Umask(0)
	syscall.Umask(old)
	return fs.FileMode(old)
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
