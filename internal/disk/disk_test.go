package disk

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"silo/internal/errs"
	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"64m": 64 << 20, "64M": 64 << 20, "20G": 20 << 30, "20g": 20 << 30, "20gb": 20 << 30, "1.5GiB": 3 << 29,
		"1t": 1 << 40, "67108864": 64 << 20, "67108865": 65 << 20, "100000k": 98 << 20,
	} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", s, got, err, want)
		}
	}
	for s, says := range map[string]string{
		"": "not a size", "big": "not a size", "20X": "not a size", "nan": "not a size", "inf": "not a size", "1 2G": "not a size",
		"-1": "not a size", "-20G": "not a size", "0": "least is 64M", "63M": "least is 64M", "1025G": "most is 1024G",
		"99999999999P": "most is 1024G", "9999999999999999999999999999": "most is 1024G",
	} {
		_, err := ParseSize(s)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", s, err, says)
		}
	}
}

// store opens a store in a new folder; dir is for disks.
func store(t testing.TB) (s *Store, dir string) {
	t.Helper()
	testenv.NeedCommand(t, "mkfs.ext4", "e2fsprogs")
	dir = t.TempDir()
	s, err := Open(filepath.Join(dir, "templates"))
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func create(t testing.TB, s *Store, path string, size int64) {
	t.Helper()
	if err := s.Create(t.Context(), path, size); err != nil {
		t.Fatal(err)
	}
}

func allocated(t testing.TB, path string) int64 {
	t.Helper()
	n, _, err := Usage(path)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	program, err := find(name, "/usr/sbin", "/sbin")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// fileSystem names the file system of a disk as e2fsprogs open it.
func fileSystem(t testing.TB, path string) string {
	t.Helper()
	d, err := openDisk(path, os.O_RDONLY)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	p, err := d.inspect()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s?offset=%d", path, p.offset)
}

func TestFreshDiskIsSoundAndSmall(t *testing.T) {
	s, dir := store(t)
	for _, size := range []int64{MinSize, 65 << 20, 1 << 30, DefaultSize, 500 << 30, MaxSize} {
		path := filepath.Join(dir, fmt.Sprint(size))
		create(t, s, path, size)
		n, inside, err := Usage(path)
		if err != nil || n > 2<<20 || inside != size {
			t.Errorf("size %d: %d allocated, %d inside, %v", size, n, inside, err)
		}
		t.Logf("%d MiB takes %d KiB on the host", size>>20, n>>10)
		if err := Check(path); err != nil {
			t.Error(err)
		}
		run(t, "e2fsck", "-fn", fileSystem(t, path))
	}
}

func TestOtherToolsAgree(t *testing.T) {
	testenv.NeedCommand(t, "qemu-img", "qemu-utils")
	s, dir := store(t)
	path := filepath.Join(dir, "sandbox.vhdx")
	create(t, s, path, 1<<30)
	if out := run(t, "qemu-img", "check", path); !strings.Contains(out, "No errors") {
		t.Error(out)
	}
	if out := run(t, "qemu-img", "info", path); !strings.Contains(out, "file format: vhdx") || !strings.Contains(out, "1 GiB") {
		t.Error(out)
	}
	raw := filepath.Join(dir, "raw")
	run(t, "qemu-img", "convert", "-f", "vhdx", "-O", "raw", path, raw)
	run(t, "e2fsck", "-fn", raw+"?offset=1048576")
	// The host's page of the file at the payload is that raw disk.
	run(t, "qemu-img", "compare", "--image-opts", "driver=raw,offset=4194304,size=1073741824,file.driver=file,file.filename="+path,
		"driver=raw,file.driver=file,file.filename="+raw)
}

func TestEachDiskHasItsOwnIdentifiers(t *testing.T) {
	s, dir := store(t)
	seen := map[string]string{}
	for i := range 3 {
		path := filepath.Join(dir, fmt.Sprint(i))
		create(t, s, path, 5<<30) // enough groups for both copies of the superblock
		d, err := openDisk(path, os.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}
		p, err := d.inspect()
		if err != nil {
			t.Fatal(err)
		}
		ids := map[string]string{"disk": p.info.ID.String()}
		super, err := readSuper(d.File, p.offset+superAt)
		if err != nil {
			t.Fatal(err)
		}
		ids["uuid"], ids["hash seed"] = fmt.Sprintf("%x", super[superUUID:superUUID+16]), fmt.Sprintf("%x", super[superHashSeed:superHashSeed+16])
		for _, b := range []int{superBackups, superBackups + 4} {
			copied, err := readSuper(d.File, p.offset+int64(super.u32(b))*int64(super.u32(superPerGroup))*blockSize)
			if err != nil || super.u32(b) == 0 || string(copied[superUUID:superUUID+16]) != string(super[superUUID:superUUID+16]) {
				t.Errorf("copy in group %d: %v", super.u32(b), err)
			}
		}
		d.Close()
		for what, id := range ids {
			if other := seen[id]; other != "" {
				t.Errorf("disk %d: %s %s is also %s", i, what, id, other)
			}
			seen[id] = what
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	s, dir := store(t)
	there := filepath.Join(dir, "there")
	create(t, s, there, MinSize)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name string
		ctx  context.Context
		path string
		size int64
		kind errs.Kind
	}{
		{"too small", t.Context(), "a", MinSize - mib, errs.Invalid},
		{"too large", t.Context(), "a", MaxSize + mib, errs.Invalid},
		{"not whole", t.Context(), "a", MinSize + 1, errs.Invalid},
		{"exists", t.Context(), "there", MinSize, errs.Conflict},
		{"no folder", t.Context(), "none/a", MinSize, errs.Internal},
		{"cancelled", cancelled, "a", MinSize, errs.Internal},
		{"cancelled with no template", cancelled, "a", MinSize + mib, errs.Internal},
	}
	for _, tt := range tests {
		if err := s.Create(tt.ctx, filepath.Join(dir, tt.path), tt.size); err == nil || errs.KindOf(err) != tt.kind {
			t.Errorf("%s: %v, kind %d, want %d", tt.name, err, errs.KindOf(err), tt.kind)
		}
		if _, err := os.Lstat(filepath.Join(dir, "a")); !os.IsNotExist(err) {
			t.Errorf("%s left a file", tt.name)
		}
	}
	if err := Check(there); err != nil {
		t.Errorf("the disk that was there: %v", err)
	}
}

func TestMissingMkfsNamesThePackage(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := find("mkfs.ext4", t.TempDir()); !errs.Is(err, errs.NotSupported) || !strings.Contains(err.Error(), "e2fsprogs") {
		t.Error(err)
	}
}

func TestManyCreatesMakeOneTemplate(t *testing.T) {
	s, dir := store(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := s.Create(t.Context(), filepath.Join(dir, fmt.Sprint(i)), DefaultSize); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	entries, err := os.ReadDir(filepath.Join(dir, "templates"))
	if err != nil || len(entries) != 1 {
		t.Errorf("templates: %v, %v", entries, err)
	}
}

func TestDamagedTemplateIsMadeAgain(t *testing.T) {
	s, dir := store(t)
	create(t, s, filepath.Join(dir, "a"), MinSize)
	templates := filepath.Join(dir, "templates")
	entries, err := os.ReadDir(templates)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(templates, entries[0].Name()), 4096); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(templates, unfinished+"123"), []byte("from a crash"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(templates); err != nil {
		t.Fatal(err)
	}
	create(t, s, filepath.Join(dir, "b"), MinSize)
	if err := Check(filepath.Join(dir, "b")); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(templates); err != nil || len(entries) != 1 {
		t.Errorf("templates: %v, %v", entries, err)
	}
}

func TestCheckFindsDamage(t *testing.T) {
	s, dir := store(t)
	for name, at := range map[string]int64{"signature": 0, "block table": 3 << 20, "superblock": 5<<20 + 1024 + superUUID} {
		path := filepath.Join(dir, name)
		create(t, s, path, MinSize)
		damage(t, path, at)
		if err := Check(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Check(filepath.Join(dir, "none")); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	if err := os.Symlink(filepath.Join(dir, "signature"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "link"), "/dev/null"} {
		if err := Check(path); err == nil {
			t.Errorf("%s is no disk", path)
		}
	}
}

func damage(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [4]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		t.Fatal(err)
	}
	for i := range b {
		b[i] ^= 0xff
	}
	if _, err := f.WriteAt(b[:], at); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkCreate(b *testing.B) {
	s, dir := store(b)
	create(b, s, filepath.Join(dir, "first"), DefaultSize)
	for i := 0; b.Loop(); i++ {
		create(b, s, filepath.Join(dir, fmt.Sprint(i)), DefaultSize)
	}
}
