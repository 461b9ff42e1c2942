package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"coretools.silo/passwd"
)

// create writes the operands and what lies below them. Files with several
// names are stored once.
func (t *tool) create(f *os.File) error {
	var w io.Writer = f
	var z *gzip.Writer
	if name := t.opt.Value('f', ""); t.opt.Has('z') || t.opt.Has('a') && strings.HasSuffix(name, "gz") {
		z = gzip.NewWriter(f)
		w = z
	}
	a := &adder{tool: t, out: tar.NewWriter(w), names: passwd.Load(), seen: map[[2]uint64]string{}}
	a.self, _ = f.Stat()
	for _, root := range t.opt.Operands {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil {
				err = a.add(path, d)
			}
			if errors.Is(err, fs.SkipDir) || errors.Is(err, errWriting) {
				return err
			}
			t.status.Note(err)
			return nil
		})
		if err != nil {
			return err
		}
	}
	err := a.out.Close()
	if z != nil {
		err = errors.Join(err, z.Close())
	}
	return err
}

// errWriting marks that the archive itself cannot be written any more.
var errWriting = errors.New("the archive is broken")

type adder struct {
	*tool
	out   *tar.Writer
	names *passwd.Names
	seen  map[[2]uint64]string
	self  fs.FileInfo
}

func (a *adder) add(path string, d fs.DirEntry) error {
	if !a.wanted(path) {
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	info, err := d.Info()
	if err == nil && a.opt.Has('h') {
		info, err = os.Stat(path)
	}
	if err != nil || a.self != nil && os.SameFile(info, a.self) {
		return err
	}
	if info.Mode()&fs.ModeSocket != 0 {
		return nil
	}
	link, _ := os.Readlink(path)
	h, err := tar.FileInfoHeader(info, link)
	if err != nil {
		return err
	}
	h.Name = strings.TrimLeft(filepath.ToSlash(path), "/")
	if info.IsDir() {
		h.Name += "/"
	}
	if h.Name == "/" || h.Name == "" {
		return nil
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		h.Uname, h.Gname = a.names.User(st.Uid), a.names.Group(st.Gid)
		if id := [2]uint64{st.Dev, st.Ino}; st.Nlink > 1 && info.Mode().IsRegular() {
			if first, ok := a.seen[id]; ok {
				h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
			} else {
				a.seen[id] = h.Name
			}
		}
	}
	a.say(h.Name)
	return a.write(path, h)
}

func (a *adder) write(path string, h *tar.Header) error {
	var content *os.File
	if h.Typeflag == tar.TypeReg {
		var err error
		if content, err = os.Open(path); err != nil {
			return err
		}
		defer content.Close()
	}
	if err := a.out.WriteHeader(h); err != nil {
		return errors.Join(errWriting, err)
	}
	if content == nil {
		return nil
	}
	// A file that changes meanwhile must still fill the size in its header.
	n, err := io.Copy(a.out, io.LimitReader(content, h.Size))
	if err == nil && n < h.Size {
		_, err = io.CopyN(a.out, zeros{}, h.Size-n)
	}
	if err != nil {
		return errors.Join(errWriting, err)
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
