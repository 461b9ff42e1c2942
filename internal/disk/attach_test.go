package disk

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/testenv"
	"silo/internal/vhdx"
)

// attached makes and attaches a disk; the test closes it or its end does.
func attached(t *testing.T, size int64) (a *Attached, path string) {
	t.Helper()
	s, dir := store(t)
	path = filepath.Join(dir, "sandbox.vhdx")
	create(t, s, path, size)
	return attachAt(t, path), path
}

func attachAt(t *testing.T, path string) *Attached {
	t.Helper()
	testenv.NeedRoot(t)
	a, err := Attach(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func closeDisk(t *testing.T, a *Attached) {
	t.Helper()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

// write writes n random bytes into the disk and to its device.
func write(t *testing.T, a *Attached, name string, n int) {
	t.Helper()
	f, err := os.OpenFile(a.Mount.Path()+"/upper/"+name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, n)
	rand.Read(b)
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what the kernel does in its own time.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for range 500 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("not within five seconds: %s", what)
}

func listed(t *testing.T, root string) []AttachedDisk {
	t.Helper()
	all, err := List(root)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAttachServesTheDiskAndGivesItBack(t *testing.T) {
	a, path := attached(t, DefaultSize)
	if !a.DirectIO {
		t.Logf("the file system of %s refuses direct I/O", path)
	}
	for name, mode := range map[string]os.FileMode{"": 0o755, "/upper": 0o755, "/work": 0o700} {
		st, err := os.Stat(a.Mount.Path() + name + "/.")
		if err != nil || st.Mode().Perm() != mode || st.Sys().(*syscall.Stat_t).Uid != 0 || st.Sys().(*syscall.Stat_t).Gid != 0 {
			t.Errorf("%q: %v, %v", name, st.Mode(), err)
		}
	}
	if n := allocated(t, path); n > 2<<20 {
		t.Errorf("mounted, it takes %d bytes", n)
	}
	write(t, a, "file", 1<<20)
	all := listed(t, filepath.Dir(path))
	if len(all) != 1 || all[0].Device != a.Device || all[0].Path != path || all[0].Deleted {
		t.Errorf("listed: %+v, attached %+v", all, a)
	}
	if others := listed(t, filepath.Dir(path)+"/sand"); len(others) != 0 {
		t.Errorf("below a folder of which only the name's start fits: %+v", others)
	}
	closeDisk(t, a)
	eventually(t, "the loop device is free", func() bool { return len(listed(t, filepath.Dir(path))) == 0 })
	run(t, "e2fsck", "-fn", fileSystem(t, path))

	again := attachAt(t, path)
	if st, err := os.Stat(again.Mount.Path() + "/upper/file"); err != nil || st.Size() != 1<<20 {
		t.Errorf("attached again: %v", err)
	}
}

func TestDeletedFilesGiveSpaceBack(t *testing.T) {
	a, path := attached(t, 1<<30)
	fresh := allocated(t, path)
	write(t, a, "big", 50<<20)
	if n := allocated(t, path); n < 50<<20 {
		t.Errorf("50 MiB written, %d bytes allocated", n)
	}
	if err := os.Remove(a.Mount.Path() + "/upper/big"); err != nil {
		t.Fatal(err)
	}
	// ext4 discards when the journal commits, which a write makes it do.
	write(t, a, "small", 1)
	eventually(t, "the space is back", func() bool { return allocated(t, path) < fresh+2<<20 })
	t.Logf("fresh %d KiB, after 50 MiB written and deleted %d KiB", fresh>>10, allocated(t, path)>>10)
	closeDisk(t, a)
}

func TestDiskIsAttachedOnce(t *testing.T) {
	a, path := attached(t, MinSize)
	if _, err := Attach(t.Context(), path); !errs.Is(err, errs.Conflict) {
		t.Errorf("attached twice: %v", err)
	}
	go func() {
		time.Sleep(50 * time.Millisecond)
		a.Close()
	}()
	attachAt(t, path) // waits for the end of the first
}

func TestMountShowsTheSameFiles(t *testing.T) {
	a, path := attached(t, MinSize)
	d := listed(t, filepath.Dir(path))[0]
	for _, readOnly := range []bool{true, false} {
		m, err := Mount(d, readOnly)
		if err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprint("file", readOnly)
		write(t, a, name, 10)
		if _, err := os.Stat(m.Path() + "/upper/" + name); err != nil {
			t.Error(err)
		}
		if err := os.Mkdir(m.Path()+"/upper/made", 0o755); errors.Is(err, syscall.EROFS) != readOnly {
			t.Errorf("read-only %v: %v", readOnly, err)
		}
		m.Close()
	}
}

func TestUncleanDiskIsReplayed(t *testing.T) {
	a, path := attached(t, MinSize)
	write(t, a, "kept", 100<<10)
	// What lies on the host now is what a power failure would leave.
	crashed := filepath.Join(filepath.Dir(path), "crashed.vhdx")
	run(t, "cp", "--sparse=always", path, crashed)
	closeDisk(t, a)
	b := attachAt(t, crashed)
	if st, err := os.Stat(b.Mount.Path() + "/upper/kept"); err != nil || st.Size() != 100<<10 {
		t.Errorf("after replay: %v", err)
	}
	closeDisk(t, b)
	eventually(t, "the loop device is free", func() bool { return len(listed(t, filepath.Dir(path))) == 0 })
	run(t, "e2fsck", "-fn", fileSystem(t, crashed))
}

func TestListAndDetachWhatNobodyClaims(t *testing.T) {
	a, path := attached(t, MinSize)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	all := listed(t, filepath.Dir(path))
	if len(all) != 1 || !all[0].Deleted || all[0].Path != path {
		t.Fatalf("a deleted disk: %+v", all)
	}
	stale := all[0]
	stale.inode++
	if err := Detach(stale); err != nil {
		t.Errorf("a device that serves another file now: %v", err)
	}
	write(t, a, "still here", 10)
	if err := Detach(all[0]); err != nil {
		t.Fatal(err)
	}
	write(t, a, "still mounted", 10)
	closeDisk(t, a)
	eventually(t, "the loop device is free", func() bool { return len(listed(t, filepath.Dir(path))) == 0 })
	if err := Detach(all[0]); err != nil {
		t.Errorf("detached twice: %v", err)
	}
}

func TestDetachALoopDeviceWithNoMount(t *testing.T) {
	testenv.NeedRoot(t)
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := linux.Open(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	loop, err := linux.LoopAttach(file, 0, 1<<20, linux.LoopOptions{})
	if err != nil {
		t.Fatal(err)
	}
	loop.FD.Close()
	for _, d := range listed(t, filepath.Dir(path)) {
		if err := Detach(d); err != nil {
			t.Error(err)
		}
	}
	eventually(t, "the loop device is free", func() bool { return len(listed(t, filepath.Dir(path))) == 0 })
}

func TestManyAtOnce(t *testing.T) {
	testenv.NeedRoot(t)
	s, dir := store(t)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			path := filepath.Join(dir, fmt.Sprint(i))
			if err := s.Create(t.Context(), path, MinSize); err != nil {
				t.Error(err)
				return
			}
			a, err := Attach(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer a.Close()
			if err := os.WriteFile(a.Mount.Path()+"/upper/file", []byte(path), 0o600); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	eventually(t, "all loop devices are free", func() bool { return len(listed(t, dir)) == 0 })
	for i := range 20 {
		run(t, "e2fsck", "-fn", fileSystem(t, filepath.Join(dir, fmt.Sprint(i))))
	}
}

func TestAttachRefusesDamage(t *testing.T) {
	testenv.NeedRoot(t)
	s, dir := store(t)
	path := filepath.Join(dir, "a")
	create(t, s, path, MinSize)
	damage(t, path, 3<<20)
	if _, err := Attach(t.Context(), path); !errors.Is(err, vhdx.ErrFormat) {
		t.Errorf("damaged block table: %v", err)
	}
	path = filepath.Join(dir, "b")
	create(t, s, path, MinSize)
	damage(t, path, 5<<20+1024+superMagic)
	if _, err := Attach(t.Context(), path); err == nil {
		t.Error("damaged superblock: attached")
	}
	if _, err := Attach(t.Context(), filepath.Join(dir, "none")); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	eventually(t, "no loop device is left", func() bool { return len(listed(t, dir)) == 0 })
}

// smallHost mounts a tmpfs of n bytes.
func smallHost(t *testing.T, n int) string {
	t.Helper()
	testenv.NeedRoot(t)
	dir := t.TempDir()
	m, err := linux.MountFS("tmpfs", []linux.FSOption{{Key: "size", Value: fmt.Sprint(n)}}, 0)
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

func TestFullHost(t *testing.T) {
	s, elsewhere := store(t)
	create(t, s, filepath.Join(elsewhere, "a"), DefaultSize)
	host := smallHost(t, 64<<10)

	path := filepath.Join(host, "sandbox.vhdx")
	if err := s.Create(t.Context(), path, DefaultSize); !errs.Is(err, errs.Unavailable) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("no room for the copy: %v", err)
	}
	full, err := Open(filepath.Join(host, "templates"))
	if err != nil {
		t.Fatal(err)
	}
	if err := full.Create(t.Context(), filepath.Join(elsewhere, "b"), DefaultSize); !errs.Is(err, errs.Unavailable) {
		t.Errorf("no room for the template: %v", err)
	}
	for dir, want := range map[string]int{host: 1, host + "/templates": 0, elsewhere: 2} {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != want {
			t.Errorf("%s holds %v, %v", dir, entries, err)
		}
	}
}

// TestHostFullWhileWritingInside: the writer sees an error, nothing hangs, and
// the disk can be closed.
func TestHostFullWhileWritingInside(t *testing.T) {
	host := smallHost(t, 16<<20)
	s, _ := store(t)
	path := filepath.Join(host, "sandbox.vhdx")
	create(t, s, path, 1<<30)
	a := attachAt(t, path)
	f, err := os.Create(a.Mount.Path() + "/upper/big")
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write(make([]byte, 32<<20))
	err = errors.Join(err, f.Sync())
	f.Close()
	if err == nil {
		t.Error("32 MiB fit into a host of 16 MiB")
	}
	t.Logf("the writer sees: %v; direct I/O: %v", err, a.DirectIO)
	closeDisk(t, a)
	eventually(t, "the loop device is free", func() bool { return len(listed(t, host)) == 0 })
}

func BenchmarkAttach(b *testing.B) {
	testenv.NeedRoot(b)
	s, dir := store(b)
	for i := 0; b.Loop(); i++ {
		path := filepath.Join(dir, fmt.Sprint(i))
		create(b, s, path, DefaultSize)
		a, err := Attach(b.Context(), path)
		if err != nil {
			b.Fatal(err)
		}
		a.Close()
	}
}
