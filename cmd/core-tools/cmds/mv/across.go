package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"coretools.silo/attr"
	"coretools.silo/paths"
)

// across moves to another file system. The copy grows under a name of its own
// and takes the target's place only when it is whole.
func (m *mover) across(src, dst string, from fs.FileInfo) error {
	if from.IsDir() {
		dst = filepath.Clean(dst) // folders may be named with a slash at the end
		inside, err := paths.Inside(filepath.Dir(dst), from)
		if err != nil {
			return err
		}
		if inside {
			return fmt.Errorf("cannot move '%s' into itself, '%s'", src, dst)
		}
		if entries, err := os.ReadDir(dst); err == nil && len(entries) > 0 {
			return &os.LinkError{Op: "move", Old: src, New: dst, Err: syscall.ENOTEMPTY}
		}
	}
	// In the same folder: who may not write to a folder cannot give it another parent.
	work := filepath.Join(filepath.Dir(dst), fmt.Sprintf(".mv-%016x", rand.Uint64()))
	defer os.RemoveAll(work)
	tree := &copier{links: map[[2]uint64]string{}}
	if err := tree.copy(src, work, from); err != nil {
		return err
	}
	if err := syscall.Rename(work, dst); err != nil {
		return &os.LinkError{Op: "move", Old: src, New: dst, Err: err}
	}
	return os.RemoveAll(src)
}

// copier copies one tree. Files that have several names in it share one file
// in the copy too.
type copier struct{ links map[[2]uint64]string }

// copy copies one thing and what is in it, with owner, mode and times.
func (c *copier) copy(src, dst string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s: unknown kind", src)
	}
	if !info.IsDir() && st.Nlink > 1 {
		id := [2]uint64{st.Dev, st.Ino}
		if first, ok := c.links[id]; ok {
			return os.Link(first, dst)
		}
		c.links[id] = dst
	}
	var err error
	switch mode := info.Mode(); {
	case mode.IsDir():
		err = c.copyDir(src, dst)
	case mode.IsRegular():
		err = copyFile(src, dst)
	case mode&fs.ModeSymlink != 0:
		var target string
		if target, err = os.Readlink(src); err == nil {
			err = os.Symlink(target, dst)
		}
	default:
		if err = syscall.Mknod(dst, st.Mode, int(st.Rdev)); err != nil {
			err = &os.PathError{Op: "mknod", Path: dst, Err: err}
		}
	}
	if err != nil {
		return err
	}
	return attr.Keep(dst, info) // a folder's after its content, which changes its time
}

func (c *copier) copyDir(src, dst string) error {
	if err := os.Mkdir(dst, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(src)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if err := c.copy(filepath.Join(src, e.Name()), filepath.Join(dst, e.Name()), info); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(src, dst string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
