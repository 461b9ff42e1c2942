package erofs_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"

	reader "github.com/erofs/go-erofs"

	"silo/internal/erofs"
	"silo/internal/linux"
	"silo/internal/testenv"
)

// readLibrary reads an image with the library.
func readLibrary(t testing.TB, image io.ReaderAt) map[string]seen {
	t.Helper()
	fsys, err := reader.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]seen{}
	first := map[int64]string{}
	err = fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*reader.Stat)
		key := strings.TrimPrefix("/"+path, "/.")
		v := seen{UID: st.UID, GID: st.GID, Sec: info.ModTime().Unix(), Nsec: int64(info.ModTime().Nanosecond()), Nlink: uint64(st.Nlink)}
		v.Mode = unixMode(st.Mode)
		var names []string
		for k := range st.Xattrs {
			names = append(names, k)
		}
		sort.Strings(names)
		for _, k := range names {
			v.Xattrs += fmt.Sprintf("%s=%x;", strings.TrimSuffix(k, "."), st.Xattrs[k])
		}
		switch {
		case info.Mode().IsRegular():
			b, err := fs.ReadFile(fsys, path)
			if err != nil {
				return err
			}
			v.Content, v.Size = string(b), info.Size()
		case info.Mode()&fs.ModeSymlink != 0:
			v.Content, err = fs.ReadLink(fsys, path)
			if err != nil {
				return err
			}
			v.Size = info.Size()
		}
		if first[st.Ino] == "" {
			first[st.Ino] = key
		}
		v.SameAs = first[st.Ino]
		out[key] = v
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	for _, b := range []struct {
		go_  fs.FileMode
		unix uint32
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&b.go_ != 0 {
			mode |= b.unix
		}
	}
	switch m.Type() {
	case 0:
		mode |= erofs.TypeReg
	case fs.ModeDir:
		mode |= erofs.TypeDir
	case fs.ModeSymlink:
		mode |= erofs.TypeLink
	case fs.ModeNamedPipe:
		mode |= erofs.TypeFIFO
	}
	return mode
}

// readKernel reads an image through a mount.
func readKernel(t testing.TB, path string) map[string]seen {
	t.Helper()
	m, err := linux.MountFS("erofs", []linux.FSOption{{Key: "source", Value: path}, {Key: "ro"}}, linux.AttrReadOnly|linux.AttrNoDev)
	if errors.Is(err, syscall.ENOTBLK) {
		testenv.NeedKernel(t, 6, 12, "EROFS from a file (internal/layer tests the loop device)")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	out := map[string]seen{}
	first := map[uint64]string{}
	err = filepath.WalkDir(m.Path()+"/.", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return err
		}
		key := strings.TrimPrefix(path, m.Path())
		if key == "/." {
			key = ""
		}
		v := seen{Mode: st.Mode, UID: st.Uid, GID: st.Gid, Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec, Nlink: uint64(st.Nlink)} //nolint:unconvert // 32 bits on arm64
		switch st.Mode & erofs.TypeMask {
		case erofs.TypeReg:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			v.Content, v.Size = string(b), st.Size
		case erofs.TypeLink:
			if v.Content, err = os.Readlink(path); err != nil {
				return err
			}
			v.Size = st.Size
		}
		if t := st.Mode & erofs.TypeMask; t == erofs.TypeReg || t == erofs.TypeDir {
			v.Xattrs = kernelXattrs(path)
		}
		if first[st.Ino] == "" {
			first[st.Ino] = key
		}
		v.SameAs = first[st.Ino]
		out[key] = v
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func kernelXattrs(path string) string {
	buf := make([]byte, 1<<17)
	n, err := syscall.Listxattr(path, buf)
	if err != nil || n == 0 {
		return ""
	}
	names := strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00")
	sort.Strings(names)
	var s string
	for _, name := range names {
		n, err := syscall.Getxattr(path, name, buf)
		if err != nil {
			return err.Error()
		}
		s += fmt.Sprintf("%s=%x;", name, buf[:n])
	}
	return s
}
