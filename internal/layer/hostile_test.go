package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"silo/internal/errs"
)

// refused builds a base that must fail and leave nothing.
func refused(t *testing.T, s *Store, kind errs.Kind, text string, layers []Source) {
	t.Helper()
	_, err := s.Build(context.Background(), imageA, layers, nil)
	if !errs.Is(err, kind) || !strings.Contains(err.Error(), text) {
		t.Errorf("error is %v (kind %d), want %q of kind %d", err, errs.KindOf(err), text, kind)
	}
	if err != nil && len(err.Error()) > 800 {
		t.Errorf("the message has %d bytes", len(err.Error()))
	}
	empty(t, s)
}

func empty(t *testing.T, s *Store) {
	t.Helper()
	for _, dir := range []string{s.bases, s.layers} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s holds %v after an error: %v", dir, left, err)
		}
	}
}

func TestRefusedTars(t *testing.T) {
	var loop []e
	for i := range 50 {
		loop = append(loop, symlink(fmt.Sprint("l", i), fmt.Sprint("l", i+1)))
	}
	device := e{Header: tar.Header{Typeflag: tar.TypeReg, Name: "x", Uid: 1 << 32, Format: tar.FormatGNU}}
	cases := []struct {
		name, want string
		layers     [][]e
	}{
		{"dot dot", "leaves the root", [][]e{{file("../../etc/passwd", "x")}}},
		{"dot dot inside", "leaves the root", [][]e{{file("a/../../b", "x")}}},
		{"hard link out", "leaves the root", [][]e{{hard("a", "../../etc/shadow")}}},
		{"hard link to nothing", `target "b" of the hard link is not in this layer`, [][]e{{hard("a", "b")}}},
		{"hard link to a later entry", "of the hard link is not", [][]e{{hard("a", "b"), file("b", "1")}}},
		{"hard links in a ring", "of the hard link is not", [][]e{{hard("a", "b"), hard("b", "a")}}},
		{"hard link to a folder", "hard link to the folder", [][]e{{folder("d", 0o755), hard("a", "d")}}},
		{"hard link to the root", "hard link to the root", [][]e{{hard("a", "/")}}},
		{"hard link to what is deleted", "of the hard link is not", [][]e{{file("a", "1")}, {file(".wh.a", "")}, {hard("b", "a")}}},
		{"hard link to a lower folder", "of the hard link is not", [][]e{{folder("d", 0o755)}, {hard("b", "d")}}},
		{"hard link in an opaque folder", "of the hard link is not", [][]e{{file("d/a", "1")}, {file("d/.wh..wh..opq", "")}, {hard("b", "d/a")}}},
		{"below a file", "is not a folder", [][]e{{file("a", "1"), file("a/b", "2")}}},
		{"below a mark", "cannot be a folder", [][]e{{file(".wh.a/b", "2")}}},
		{"whiteout of nothing", "a whiteout of", [][]e{{file("d/.wh.", "")}}},
		{"whiteout of dot dot", "a whiteout of", [][]e{{file("d/.wh...", "")}}},
		{"ring of symbolic links", "symbolic links on the way", [][]e{{symlink("a", "b"), symlink("b", "a"), file("a/x", "1")}}},
		{"many symbolic links", "symbolic links on the way", [][]e{append(loop, file("l0/x", "1"))}},
		{"root as a file", "root of the image is not a folder", [][]e{{symlink("./", "/etc")}}},
		{"long name", "longer than 255", [][]e{{file(strings.Repeat("n", 256), "")}}},
		{"long path", "longer than 4096", [][]e{{file(strings.Repeat("n/", 2100)+"n", "")}}},
		{"long target", "more than 4095", [][]e{{symlink("a", strings.Repeat("n", 5000))}}},
		{"owner above 32 bits", "owner 4294967296:0", [][]e{{device}}},
		{"negative owner", "owner -2:0", [][]e{{{Header: tar.Header{Typeflag: tar.TypeReg, Name: "x", Uid: -2, Format: tar.FormatGNU}}}}},
		{"large attributes", "extended attributes", [][]e{{{Header: tar.Header{Typeflag: tar.TypeReg, Name: "x", PAXRecords: map[string]string{
			"SCHILY.xattr.user.a": strings.Repeat("x", 60000), "SCHILY.xattr.user.b": strings.Repeat("x", 60000), "SCHILY.xattr.user.c": strings.Repeat("x", 60000),
		}}}}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var tars [][]byte
			for _, l := range c.layers {
				tars = append(tars, tarOf(t, l...))
			}
			refused(t, open(t), errs.Invalid, c.want, sources(tars...))
		})
	}
}

func TestDamagedTars(t *testing.T) {
	good := tarOf(t, file("a", strings.Repeat("x", 3000)), file("b", "2"))
	refused(t, open(t), errs.Invalid, "truncated", sources(good[:2000]))
	refused(t, open(t), errs.Invalid, "truncated", sources(good[:300]))
	refused(t, open(t), errs.Invalid, "not a tar", sources(bytes.Repeat([]byte("rubbish "), 1000)))

	swapped := sources(good, tarOf(t, file("c", "1")))
	swapped[1].DiffID = swapped[0].DiffID
	refused(t, open(t), errs.Invalid, "not what its image says", swapped)

	trailing := sources(append(bytes.Clone(good), "more"...))
	trailing[0].DiffID = digestOf(good)
	refused(t, open(t), errs.Invalid, "not what its image says", trailing)

	broken := sources(good)
	broken[0].Open = func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(good[:1000]), badReader{})), nil
	}
	refused(t, open(t), errs.Internal, "the cable is cut", broken)
	broken[0].Open = func() (io.ReadCloser, error) { return nil, errors.New("no such blob") }
	refused(t, open(t), errs.Internal, "no such blob", broken)
}

type badReader struct{}

func (badReader) Read([]byte) (int, error) { return 0, errors.New("the cable is cut") }

func TestLimits(t *testing.T) {
	s := open(t)
	s.Limits.Size = 1 << 20
	refused(t, s, errs.Invalid, "larger than the limit of 1048576", sources(sparse(t, 1<<50)))
	refused(t, s, errs.Invalid, "larger than the limit", sources(tarOf(t, file("a", strings.Repeat("x", 600000))), tarOf(t, file("a", strings.Repeat("x", 600000)))))
	s = open(t)
	s.Limits.Entries = 10
	refused(t, s, errs.Invalid, "limit of 10 files", sources(tarOf(t, file("a/b/c/d/e/f/g/h/i/j/k", ""))))
	s = open(t)
	s.Limits.Metadata = 1000
	refused(t, s, errs.Invalid, "limit of 1000 bytes", sources(tarOf(t, symlink("a", strings.Repeat("x", 1000)))))
}

// sparse is a tar with a PAX sparse file that is one hole of size bytes, as
// GNU tar writes it; archive/tar writes none.
func sparse(t *testing.T, size int64) []byte {
	t.Helper()
	record := func(k, v string) string {
		s := fmt.Sprintf(" %s=%s\n", k, v)
		for n := len(s); ; n++ {
			if out := fmt.Sprint(n) + s; len(out) == n {
				return out
			}
		}
	}
	pax := record("GNU.sparse.major", "1") + record("GNU.sparse.minor", "0") + record("GNU.sparse.name", "hole") + record("GNU.sparse.realsize", fmt.Sprint(size))
	var b bytes.Buffer
	header := func(kind byte, name string, size int) {
		h := make([]byte, 512)
		copy(h, name)
		copy(h[100:], "0000644\x000000000\x000000000\x00")
		copy(h[124:], fmt.Sprintf("%011o\x0014000000000\x00", size))
		copy(h[148:], "        ")
		h[156] = kind
		copy(h[257:], "ustar\x0000")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		b.Write(h)
	}
	header('x', "pax", len(pax))
	b.WriteString(pax + strings.Repeat("\x00", (512-len(pax)%512)%512))
	sparseMap := fmt.Sprintf("1\n%d\n0\n", size)
	header('0', "GNUSparseFile.0/hole", 512)
	b.WriteString(sparseMap + strings.Repeat("\x00", 512-len(sparseMap)))
	b.Write(make([]byte, 1024))
	return b.Bytes()
}

func TestSparseFile(t *testing.T) {
	b := build(t, sparse(t, 1<<30), tarOf(t, file("a", "1")))
	if b.Size > 1<<20 {
		t.Errorf("a hole of 1 GB takes %d bytes", b.Size)
	}
	fsck(t, b.Path)
	// One that is hidden, and one that a hard link shows again.
	b = build(t, sparse(t, 256<<20), tarOf(t, file("hole", "1")))
	if b.Size > 1<<20 {
		t.Errorf("a hidden hole takes %d bytes", b.Size)
	}
	b = build(t, sparse(t, 256<<20), tarOf(t, hard("link", "hole")), tarOf(t, file(".wh.hole", "")))
	if b.Size > 1<<20 {
		t.Errorf("a hole that only a link shows takes %d bytes", b.Size)
	}
}

func TestAttributes(t *testing.T) {
	cap := "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	acl := "\x02\x00\x00\x00" + "\x01\x00\x07\x00\xff\xff\xff\xff" + "\x04\x00\x05\x00\xff\xff\xff\xff" + "\x20\x00\x05\x00\xff\xff\xff\xff"
	x := func(name string, kind byte, mode int64, records ...string) e {
		h := tar.Header{Typeflag: kind, Name: name, Mode: mode, Uid: 1000, Gid: 70000, PAXRecords: map[string]string{}}
		if kind == tar.TypeSymlink {
			h.Linkname = "x"
		}
		for i := 0; i < len(records); i += 2 {
			h.PAXRecords["SCHILY.xattr."+records[i]] = records[i+1]
		}
		return e{Header: h}
	}
	b := check(t, []string{
		"/ drwxr-xr-x 0:0 3",
		fmt.Sprintf("/d dgtrwxrwxrwx 1000:70000 2 security.x=\"1\" system.posix_acl_default=%q", acl),
		"/f urwx------ 1000:70000 1 security.capability=" + fmt.Sprintf("%q", cap) + ` user.u="2"`,
		"/l Lrwxrwxrwx 1000:70000 1 -> x",
		"/p prw-r--r-- 1000:70000 1",
	}, tarOf(t,
		x("f", tar.TypeReg, 0o4700, "security.capability", cap, "user.u", "2", "trusted.overlay.opaque", "y", "user.overlay.redirect", "/x", "btrfs.compression", "zstd", "system.posix_acl_access", "rubbish"),
		x("d", tar.TypeDir, 0o3777, "system.posix_acl_default", acl, "security.x", "1"),
		x("l", tar.TypeSymlink, 0o777, "user.u", "2"),
		x("p", tar.TypeFifo, 0o644, "user.u", "2"),
		e{Header: tar.Header{Typeflag: tar.TypeChar, Name: "dev/null", Devmajor: 1, Devminor: 3}},
		e{Header: tar.Header{Typeflag: tar.TypeBlock, Name: "sda", Devmajor: 8}},
		file(".wh.dev", ""), file(".wh..wh..opq", ""),
	), tarOf(t, file(".wh.dev", "")))
	want := []string{
		`2 device nodes were left out, the first is "dev/null": a container has its own /dev`,
		`6 extended attributes were left out, the first is of "f"`,
		`4 files belong to user or group numbers from 65536 on, which a container does not have, the first is "/d": they show as nobody's`,
	}
	if d := cmp.Diff(want, b.Warnings); d != "" {
		t.Errorf("warnings (-want +got):\n%s", d)
	}
}

// A device node hides what a lower layer has under its name.
func TestDeviceHides(t *testing.T) {
	check(t, []string{"/ drwxr-xr-x 0:0 2"}, tarOf(t, file("x", "1")),
		tarOf(t, e{Header: tar.Header{Typeflag: tar.TypeChar, Name: "x"}}))
}

func TestTimesAreClamped(t *testing.T) {
	at := func(name string, sec int64) e {
		return e{Header: tar.Header{Typeflag: tar.TypeReg, Name: name, ModTime: time.Unix(sec, 5), Format: tar.FormatPAX}}
	}
	for sec, want := range map[int64]int64{-1 << 40: minTime, -7: -7, 1 << 33: 1 << 33, 1 << 60: maxTime} {
		b := tarOf(t, at("a", sec))
		h, err := tar.NewReader(bytes.NewReader(b)).Next()
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := clampTime(h); got != want {
			t.Errorf("%d becomes %d, want %d", sec, got, want)
		}
		build(t, b)
	}
}

func TestNothingOnHost(t *testing.T) {
	t.Chdir(t.TempDir()) // nothing of a tar may ever appear on the host
	build(t, tarOf(t, symlink("out", "/"), file("out/inside", "1"), file("/here", "2")))
	if got, _ := filepath.Glob("*"); len(got) > 0 {
		t.Errorf("on the host: %v", got)
	}
}
