package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"coretools.silo/filemode"
)

// read lists or extracts. A compressed archive is recognised by its first bytes.
func (t *tool) read(f *os.File) error {
	in := bufio.NewReader(f)
	var r io.Reader = in
	if magic, err := in.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		r = z
	}
	// Everything is opened below this folder and nowhere else: links in the
	// archive cannot lead out.
	root, err := os.OpenRoot(".")
	if err != nil {
		return err
	}
	defer root.Close()
	archive := tar.NewReader(r)
	var late []*tar.Header // folders, whose times change until all is in them
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if !t.wanted(h.Name) {
			continue
		}
		if t.opt.Has('t') {
			t.list(h)
			continue
		}
		if h.Name = t.stripped(h.Name); h.Name == "." || h.Name == "" {
			continue
		}
		t.say(h.Name)
		if t.opt.Has('O') {
			if _, err := io.Copy(os.Stdout, archive); err != nil {
				return err
			}
			continue
		}
		if h.Linkname != "" && h.Typeflag == tar.TypeLink {
			h.Linkname = t.stripped(h.Linkname)
		}
		if err := t.extract(root, h, archive); err != nil {
			t.status.Note(fmt.Errorf("%s: %w", h.Name, err))
			continue
		}
		if h.Typeflag == tar.TypeDir {
			late = append(late, h)
		}
	}
	for i := len(late) - 1; i >= 0; i-- {
		t.status.Note(t.finish(root, late[i]))
	}
	return nil
}

func (t *tool) stripped(name string) string {
	name = strings.TrimLeft(path.Clean(name), "/")
	for range t.strip {
		_, rest, ok := strings.Cut(name, "/")
		if !ok {
			return ""
		}
		name = rest
	}
	return name
}

func (t *tool) list(h *tar.Header) {
	if !t.opt.Has('v') {
		fmt.Println(h.Name)
		return
	}
	name := h.Name
	switch h.Typeflag {
	case tar.TypeSymlink:
		name += " -> " + h.Linkname
	case tar.TypeLink:
		name += " link to " + h.Linkname
	}
	owner, group := h.Uname, h.Gname
	if owner == "" {
		owner = fmt.Sprint(h.Uid)
	}
	if group == "" {
		group = fmt.Sprint(h.Gid)
	}
	fmt.Printf("%s %s/%s %9d %s %s\n", h.FileInfo().Mode(), owner, group, h.Size, h.ModTime.Local().Format("2006-01-02 15:04"), name)
}

func (t *tool) extract(root *os.Root, h *tar.Header, content io.Reader) error {
	if dir := path.Dir(h.Name); dir != "." {
		if err := root.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if h.Typeflag == tar.TypeDir {
		err := root.Mkdir(h.Name, 0o700)
		if errors.Is(err, fs.ErrExist) {
			err = nil
		}
		return err // the rest follows at the end
	}
	if _, err := root.Lstat(h.Name); err == nil {
		if t.opt.Has('k') {
			return fs.ErrExist
		}
		if err := root.Remove(h.Name); err != nil {
			return err
		}
	}
	switch h.Typeflag {
	case tar.TypeReg:
		f, err := root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(f, content)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	case tar.TypeSymlink:
		if err := root.Symlink(h.Linkname, h.Name); err != nil {
			return err
		}
		return t.own(root, h)
	case tar.TypeLink:
		return root.Link(h.Linkname, h.Name)
	case tar.TypeFifo, tar.TypeChar, tar.TypeBlock:
		if err := mknod(root, h); err != nil {
			return err
		}
	default:
		return fmt.Errorf("unknown kind %q", h.Typeflag)
	}
	return t.finish(root, h)
}

// finish sets owner, mode and times, in this order: a change of owner takes
// away the setuid bit.
func (t *tool) finish(root *os.Root, h *tar.Header) error {
	if err := t.own(root, h); err != nil {
		return err
	}
	mode := h.FileInfo().Mode()
	if !t.opt.Has('p') && os.Geteuid() != 0 {
		mode = mode.Perm() &^ fs.FileMode(filemode.Umask())
	}
	if err := root.Chmod(h.Name, mode); err != nil {
		return err
	}
	if t.opt.Has('m') {
		return nil
	}
	return root.Chtimes(h.Name, time.Time{}, h.ModTime)
}

// own gives the file to its owner in the archive, which only root can do.
func (t *tool) own(root *os.Root, h *tar.Header) error {
	if os.Geteuid() != 0 || t.opt.Has('o') {
		return nil
	}
	return root.Lchown(h.Name, h.Uid, h.Gid)
}

// mknod makes a special file beside its folder's descriptor.
func mknod(root *os.Root, h *tar.Header) error {
	dir, err := root.Open(path.Dir(h.Name))
	if err != nil {
		return err
	}
	defer dir.Close()
	mode := uint32(h.Mode & 0o7777)
	switch h.Typeflag {
	case tar.TypeFifo:
		mode |= syscall.S_IFIFO
	case tar.TypeChar:
		mode |= syscall.S_IFCHR
	case tar.TypeBlock:
		mode |= syscall.S_IFBLK
	}
	dev := h.Devminor&0xff | h.Devmajor<<8 | (h.Devminor&^0xff)<<12
	return os.NewSyscallError("mknodat", syscall.Mknodat(int(dir.Fd()), path.Base(h.Name), mode, int(dev)))
}
