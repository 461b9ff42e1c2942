package linux

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"silo/internal/testenv"

	"golang.org/x/sys/unix"
)

func backingFile(t *testing.T, size int) *FD {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backing")
	if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path, unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestLoopServesAPartOfAFile(t *testing.T) {
	testenv.NeedRoot(t)
	file := backingFile(t, 4<<20)
	l, err := LoopAttach(file, 1<<20, 2<<20, LoopOptions{ReadOnly: true, Autoclear: true, BlockSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	defer l.FD.Close()
	s, err := LoopInfo(l.FD)
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(file.Int(), &st); err != nil {
		t.Fatal(err)
	}
	want := LoopStatus{Device: l.Device, Backing: file.Name(), Offset: 1 << 20, Size: 2 << 20, Dev: st.Dev, Inode: st.Ino, ReadOnly: true, Autoclear: true}
	if s != want {
		t.Errorf("got %+v, want %+v", s, want)
	}
	all, err := Loops(func(backing string) bool { return backing == file.Name() })
	if err != nil || len(all) != 1 || all[0] != want {
		t.Errorf("listed %+v, %v", all, err)
	}
}

func TestLoopWithoutDevices(t *testing.T) {
	testenv.NeedRoot(t)
	file := backingFile(t, 1<<20)
	if _, err := loopAttach(t.TempDir(), file, 0, 1<<20, LoopOptions{}); !errors.Is(err, ErrNoLoop) {
		t.Errorf("no loop-control: %v", err)
	}
	dev := t.TempDir() // as in a container: the control device and no other
	if err := os.Symlink("/dev/loop-control", dev+"/loop-control"); err != nil {
		t.Fatal(err)
	}
	if _, err := loopAttach(dev, file, 0, 1<<20, LoopOptions{}); !errors.Is(err, ErrNoLoop) {
		t.Errorf("no device nodes: %v", err)
	}
}

func TestLockOutlivesTheDescriptorInALoopDevice(t *testing.T) {
	testenv.NeedRoot(t)
	file := backingFile(t, 1<<20)
	if err := LockExclusive(file); err != nil {
		t.Fatal(err)
	}
	l, err := LoopAttach(file, 0, 1<<20, LoopOptions{Autoclear: true})
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(file.Name(), unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	file.Close()
	if err := LockExclusive(other); !errors.Is(err, unix.EWOULDBLOCK) {
		t.Errorf("while it is served: %v", err)
	}
	l.FD.Close()
	for range 500 {
		if err = LockExclusive(other); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("after it was served: %v", err)
}

func TestNextData(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	if start, end, err := NextData(f, 0); err != nil || start != -1 || end != -1 {
		t.Errorf("nothing but a hole: %d to %d, %v", start, end, err)
	}
	if _, err := f.WriteAt(make([]byte, 4096), 512<<10); err != nil {
		t.Fatal(err)
	}
	start, end, err := NextData(f, 0)
	if err != nil || start > 512<<10 || end < 512<<10+4096 || end > 1<<20 {
		t.Errorf("data: %d to %d, %v", start, end, err)
	}
}
