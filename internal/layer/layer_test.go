package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	reader "github.com/erofs/go-erofs"
	"github.com/google/go-cmp/cmp"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// e is a tar entry in short: the header, and the content of a file.
type e struct {
	tar.Header
	data string
}

func file(name, data string) e {
	return e{tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o644}, data}
}

func folder(name string, mode int64) e {
	return e{Header: tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode}}
}

func symlink(name, target string) e {
	return e{Header: tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}}
}

func hard(name, target string) e {
	return e{Header: tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}}
}

// tarOf makes a tar of entries.
func tarOf(t testing.TB, entries ...e) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, x := range entries {
		h := x.Header
		if h.ModTime.IsZero() {
			h.ModTime = time.Unix(1600000000, 0)
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatalf("entry %q: %v", h.Name, err)
		}
		if _, err := io.WriteString(w, x.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// sources makes layers of tars, lowest first, with chain ids as OCI says.
func sources(tars ...[]byte) (out []Source) {
	chain := ""
	for _, b := range tars {
		diff := digestOf(b)
		if chain == "" {
			chain = diff
		} else {
			chain = digestOf([]byte(chain + " " + diff))
		}
		out = append(out, Source{DiffID: diff, ChainID: chain, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }})
	}
	return out
}

var imageA, imageB = digestOf([]byte("a")), digestOf([]byte("b"))

func open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func build(t testing.TB, tars ...[]byte) Base {
	t.Helper()
	b, err := open(t).Build(context.Background(), imageA, sources(tars...), nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// list reads a base with the library: a line for each path, in order.
//
//	path mode uid:gid links content
func list(t testing.TB, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fsys, err := reader.Open(f)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	err = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*reader.Stat)
		var content string
		switch {
		case info.Mode().IsRegular():
			b, err := fs.ReadFile(fsys, p)
			if err != nil {
				return err
			}
			content = short(b)
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := fs.ReadLink(fsys, p)
			if err != nil {
				return err
			}
			content = "-> " + to
		}
		var names []string
		for n := range st.Xattrs {
			names = append(names, n)
		}
		sort.Strings(names)
		for _, n := range names {
			content += fmt.Sprintf(" %s=%q", strings.TrimSuffix(n, "."), st.Xattrs[n])
		}
		out = append(out, line("/"+p, st.Mode, st.UID, st.GID, st.Nlink, content))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(out)
	return out
}

func line(p string, mode fs.FileMode, uid, gid uint32, links int, content string) string {
	p = strings.TrimPrefix(p, "/.")
	return strings.TrimSpace(fmt.Sprintf("/%s %v %d:%d %d %s", strings.TrimPrefix(p, "/"), mode, uid, gid, links, strings.TrimSpace(content)))
}

func short(b []byte) string {
	if len(b) > 100 || bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Sprintf("%d bytes %x", len(b), sha256.Sum256(b))
	}
	return string(b)
}

// listKernel is list by way of a mount.
func listKernel(t testing.TB, path string) []string {
	t.Helper()
	m, err := MountBase(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	return listDir(t, m.Path())
}

func listDir(t testing.TB, root string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(root+"/.", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		st := info.Sys().(*syscall.Stat_t)
		var content string
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			content = short(b)
		case info.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			content = "-> " + to
		}
		if info.Mode().IsRegular() || info.IsDir() {
			content += xattrsOf(p)
		}
		out = append(out, line(strings.TrimPrefix(p, root), info.Mode(), st.Uid, st.Gid, int(st.Nlink), content))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(out)
	return out
}

func xattrsOf(p string) (s string) {
	buf := make([]byte, 1<<17)
	n, err := syscall.Listxattr(p, buf)
	if err != nil || n == 0 {
		return ""
	}
	names := strings.Split(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00")
	sort.Strings(names)
	for _, name := range names {
		n, err := syscall.Getxattr(p, name, buf)
		if err != nil {
			return err.Error()
		}
		s += fmt.Sprintf(" %s=%q", name, buf[:n])
	}
	return s
}

func fsck(t testing.TB, path string) {
	t.Helper()
	testenv.NeedCommand(t, "fsck.erofs", "erofs-utils")
	if out, err := exec.Command("fsck.erofs", path).CombinedOutput(); err != nil || bytes.Contains(out, []byte("<E>")) {
		t.Fatalf("fsck.erofs: %v\n%s", err, out)
	}
}

// check builds a base of tars, lowest first, and compares what the library
// and, for root, the kernel see in it.
func check(t *testing.T, want []string, tars ...[]byte) Base {
	t.Helper()
	b := build(t, tars...)
	if d := cmp.Diff(want, list(t, b.Path)); d != "" {
		t.Errorf("read by the library (-want +got):\n%s", d)
	}
	if os.Geteuid() == 0 {
		if d := cmp.Diff(want, listKernel(t, b.Path)); d != "" {
			t.Errorf("read by the kernel (-want +got):\n%s", d)
		}
	}
	fsck(t, b.Path)
	return b
}

func TestKernelSeesBase(t *testing.T) {
	testenv.NeedRoot(t)
	b := build(t, tarOf(t, file("a", "x")))
	if d := cmp.Diff([]string{"/ drwxr-xr-x 0:0 2", "/a -rw-r--r-- 0:0 1 x"}, listKernel(t, b.Path)); d != "" {
		t.Fatal(d)
	}
	m, err := MountBase(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := os.WriteFile(m.Path()+"/a", nil, 0o644); !errors.Is(err, syscall.EROFS) {
		t.Errorf("writing to a base: %v", err)
	}
}

// TestLoop mounts a base as kernels below 6.12 do.
func TestLoop(t *testing.T) {
	testenv.NeedRoot(t)
	b := build(t, tarOf(t, file("a", "x"), hard("b", "a")))
	m, err := mountLoop(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/ drwxr-xr-x 0:0 2", "/a -rw-r--r-- 0:0 2 x", "/b -rw-r--r-- 0:0 2 x"}
	if d := cmp.Diff(want, listDir(t, m.Path())); d != "" {
		t.Error(d)
	}
	m.Close()
	// TestMain fails if the device is not given back.
}

func TestMountErrors(t *testing.T) {
	testenv.NeedRoot(t)
	if _, err := MountBase(t.TempDir() + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	rubbish := t.TempDir() + "/rubbish"
	if err := os.WriteFile(rubbish, make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := MountBase(rubbish); !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), rubbish) {
		t.Errorf("rubbish: %v", err)
	}
}
