package layer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/testenv"
)

// tmpfs mounts a small file system at a folder of the test.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	testenv.NeedRoot(t)
	dir := t.TempDir()
	m, err := linux.MountFS("tmpfs", []linux.FSOption{{Key: "size", Value: size}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := linux.MoveMount(m, nil, dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := linux.UnmountDetach(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDisk(t *testing.T) {
	s, err := Open(tmpfs(t, "2m"))
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 4<<20)
	rand.NewChaCha8([32]byte{}).Read(noise)
	data := string(noise)
	refused(t, s, errs.Unavailable, "no space left on "+s.bases, sources(tarOf(t, file("a", data))))
	// Hidden content fills the disk, too, until its layer is read.
	refused(t, s, errs.Unavailable, "no space left on "+s.bases, sources(tarOf(t, file("a", data)), tarOf(t, file("a", "1"))))
	if _, err := s.Build(context.Background(), imageA, sources(tarOf(t, file("a", data[:1<<20]))), nil); err != nil {
		t.Errorf("what fits, afterwards: %v", err)
	}
}

// TestRealTree compares a base made of a tar by GNU tar with the host's own
// files: names, owners, links and contents of many kinds.
func TestRealTree(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.NeedCommand(t, "tar", "tar")
	// A copy does not change while the test reads it.
	dir := t.TempDir()
	for _, cmd := range [][]string{
		{"cp", "-a", "/etc", dir + "/etc"}, {"mkdir", "-p", dir + "/usr/share"}, {"cp", "-a", "/usr/share/zoneinfo", dir + "/usr/share/zoneinfo"},
	} {
		if cmd[0] == "cp" {
			if _, err := os.Stat(cmd[2]); err != nil {
				continue
			}
		}
		if out, err := exec.Command(cmd[0], cmd[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd, err, out)
		}
	}
	if err := os.Link(dir+"/etc/passwd", dir+"/etc/passwd-link"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("tar", "--xattrs", "--xattrs-include=*", "-S", "-C", dir, "-c", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	b := build(t, out)
	fsck(t, b.Path)
	m, err := MountBase(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	// An ext4 folder counts its links as EROFS does; other file systems may not.
	drop := func(lines []string) []string {
		for i, l := range lines {
			if f := strings.Fields(l); strings.HasPrefix(f[1], "d") {
				lines[i] = strings.Join(append(f[:3:3], f[4:]...), " ")
			}
		}
		return lines
	}
	if d := cmp.Diff(drop(listDir(t, dir)), drop(listDir(t, m.Path()))); d != "" {
		t.Error(d)
	}
}

func TestLongBasePath(t *testing.T) {
	testenv.NeedRoot(t)
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 200), strings.Repeat("e", 200))
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Build(context.Background(), imageA, sources(tarOf(t, file("a", "x"))), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := listKernel(t, b.Path); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// FuzzBuild feeds any bytes as a layer over one that is known, and reads the
// base if there is one.
func FuzzBuild(f *testing.F) {
	f.Add(tarOf(f, file("a", "1"), hard("b", "a"), symlink("c", "d"), folder("d/e", 0o755), file("c/x", "2")))
	f.Add(tarOf(f, file("d/.wh.low", ""), file("d/.wh..wh..opq", ""), hard("up", "d/other"), file("low", "2")))
	f.Add([]byte("rubbish"))
	low := tarOf(f, file("d/low", "1"), file("low", "1"), file("d/other", "3"), symlink("link", "d"), hard("hard", "d/low"))
	f.Fuzz(func(t *testing.T, tar []byte) {
		s, err := Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		s.Limits = Limits{Size: 1 << 20, Entries: 1000, Metadata: 1 << 20}
		for _, order := range [][]Source{sources(low, tar), sources(tar, low)} {
			b, err := s.Build(context.Background(), imageA, order, nil)
			if err != nil {
				if k := errs.KindOf(err); k != errs.Invalid {
					t.Fatalf("kind %d: %v", k, err)
				}
				empty(t, s)
				continue
			}
			list(t, b.Path)
			if err := s.Remove(imageA, nil); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A large layer goes through in one pass with its content intact.
func TestLargeLayer(t *testing.T) {
	data := make([]byte, 20<<20)
	rand.NewChaCha8([32]byte{1}).Read(data)
	var entries []e
	for i := range 2000 {
		at, n := i*9000, (i*i)%9000
		entries = append(entries, file(fmt.Sprintf("usr/lib/%d/file-%d", i%30, i), string(data[at:at+n])))
	}
	entries = append(entries, file("large", string(data)))
	got := list(t, build(t, tarOf(t, entries...)).Path)
	if want := "/large -rw-r--r-- 0:0 1 " + short(data); len(got) != 2034 || got[1] != want {
		t.Errorf("%d paths, %s, want %s", len(got), got[1], want)
	}
	for i := range 2000 {
		want := fmt.Sprintf("/usr/lib/%d/file-%d -rw-r--r-- 0:0 1 %s", i%30, i, short(data[i*9000:][:(i*i)%9000]))
		if !slices.Contains(got, strings.TrimSpace(want)) {
			t.Fatalf("missing: %s", want)
		}
	}
}
