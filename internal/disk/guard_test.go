package disk

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"silo/internal/linux"
	"silo/internal/testenv"
)

func TestHeldLeavesNoMoreThanTheRoom(t *testing.T) {
	for _, c := range []struct {
		what                     string
		blocks, free, room, want int64
	}{
		{"all fits", 5 << 20, 5 << 20, 100 << 30, 4096},
		{"a small disk, all fits", 10000, 9000, 1 << 30, 200},
		{"part fits", 5 << 20, 5 << 20, 1 << 30, 5<<20 - 1<<18},
		{"next to all fits", 5 << 20, 5 << 20, 5<<32 - 1<<20, 4096},
		{"none is left", 5 << 20, 1000000, 0, 1000000},
		{"less than none is left", 5 << 20, 1000000, -1 << 30, 1000000},
		{"empty, nothing is left", 1000, 1000, 0, 999},
		{"full inside", 5 << 20, 0, 0, 4096},
	} {
		if got := held(c.blocks, c.free, c.room); got != c.want {
			t.Errorf("%s: %d blocks of %d are held back, want %d", c.what, got, c.blocks, c.want)
		}
	}
}

func TestPauseFollowsTheRoom(t *testing.T) {
	for _, c := range []struct {
		free, promised int64
		want           time.Duration
	}{
		{1 << 40, 0, lookMost},
		{keptMost + 2<<30, 0, time.Second},
		{keptMost + 4<<30, 2 << 30, time.Second},
		{keptMost + mib, 0, lookLeast},
		{keptMost + mib - 1, 0, lookFull},
		{keptMost + 1<<30, 2 << 30, lookFull},
	} {
		h := host{size: 1 << 41, free: c.free, promised: c.promised}
		if got := h.pause(); got != c.want {
			t.Errorf("%d bytes free, %d promised: pause of %v, want %v", c.free, c.promised, got, c.want)
		}
	}
	if kept := (host{size: 256 << 20}).kept(); kept != 16<<20 {
		t.Errorf("of 256 MiB %d bytes are kept", kept)
	}
}

func TestJournalTakesItsRoom(t *testing.T) {
	s, dir := store(t)
	for size, journal := range map[int64]int64{MinSize: 4 << 20, DefaultSize: 16 << 20} {
		path := filepath.Join(dir, "sandbox.vhdx")
		create(t, s, path, size)
		a := attachAt(t, path)
		before := allocated(t, path)
		for range 2 { // a second time takes nothing
			if err := keepJournal(listed(t, dir)[0]); err != nil {
				t.Fatal(err)
			}
			// The first block was there already.
			if took := allocated(t, path) - before; took < journal-64<<10 || took > journal+64<<10 {
				t.Errorf("disk of %d bytes: its journal took %d bytes, want %d", size, took, journal)
			}
		}
		closeDisk(t, a)
		eventually(t, "the loop device is free", func() bool { return len(listed(t, dir)) == 0 })
		run(t, "e2fsck", "-fn", fileSystem(t, path))
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJournalIsNotBelievedAnything(t *testing.T) {
	tree := func(entries, depth, length uint16, block uint32) superblock {
		s := make(superblock, superSize)
		s[superBackedUp] = 1
		for i, v := range []uint16{extentMagic, entries, extentsMost, depth} {
			binary.LittleEndian.PutUint16(s[superJournal+2*i:], v)
		}
		binary.LittleEndian.PutUint16(s[superJournal+12+4:], length)
		binary.LittleEndian.PutUint32(s[superJournal+12+8:], block)
		return s
	}
	if runs, err := tree(1, 0, 4096, 96).journal(1 << 20); err != nil || len(runs) != 1 || runs[0] != (extent{96, 4096}) {
		t.Errorf("%v, %v", runs, err)
	}
	unset := tree(1, 0, 4096, 96)
	unset[superBackedUp] = 0
	for what, s := range map[string]superblock{
		"no copy": unset, "no extents": tree(0, 0, 4096, 96), "too many": tree(5, 0, 4096, 96), "deep": tree(1, 1, 4096, 96),
		"empty": tree(1, 0, 0, 96), "long": tree(1, 0, 4097, 96), "behind the end": tree(1, 0, 4096, 1<<20-4095),
	} {
		if runs, err := s.journal(1 << 20); err == nil {
			t.Errorf("%s: %v", what, runs)
		}
	}
}

// leave takes all of a host's disk but a rest, in bytes.
func leave(t *testing.T, dir string, rest int64) {
	t.Helper()
	st, err := linux.StatFS(dir)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "fallocate", "-l", strconv.FormatInt(st.Free-rest, 10), filepath.Join(dir, "filler"))
}

// A container must be told by write(2) itself, its file system must live, and
// it must find room when the host does.
func TestGuardOfAFullHost(t *testing.T) {
	testenv.NeedCommand(t, "mkfs.ext4", "e2fsprogs")
	dir := smallHost(t, 512<<20)
	s, err := Open(filepath.Join(dir, "templates"))
	if err != nil {
		t.Fatal(err)
	}
	disks := filepath.Join(dir, "disks")
	if err := os.Mkdir(disks, 0o700); err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	g := NewGuard(disks, slog.New(slog.NewTextHandler(&told, nil)))
	if pause, err := g.look(); pause != 0 || err != nil {
		t.Errorf("with no disk: look again after %v, %v", pause, err)
	}
	path := filepath.Join(disks, "sandbox.vhdx")
	create(t, s, path, DefaultSize)
	a := attachAt(t, path)
	look(t, g)
	if st, err := linux.StatFS(a.Mount.Path()); err != nil || st.Free > 512<<20 {
		t.Errorf("on a host of 512 MiB there seem to be %d bytes free inside, %v", st.Free, err)
	}
	leave(t, dir, 80<<20)
	look(t, g)
	if err := put(a, "large", 200); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("200 MiB into a host with 80: %v, want ENOSPC", err)
	}
	look(t, g)
	if err := put(a, "more", 1); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("and then 1 MiB: %v, want ENOSPC", err)
	}
	flush(t, a, "large") // what write has taken is kept
	if n := strings.Count(told.String(), "the host's disk is full"); n != 1 {
		t.Errorf("told %d times:\n%s", n, told.String())
	}
	if err := os.Remove(filepath.Join(dir, "filler")); err != nil {
		t.Fatal(err)
	}
	look(t, g)
	if err := put(a, "again", 20); err != nil {
		t.Errorf("with room again: %v", err)
	}
	flush(t, a, "again")
	if n, err := g.read(listed(t, disks)[0], "reserved_clusters"); err != nil || n < 4096 {
		t.Errorf("%d blocks are held back, %v", n, err)
	}
	closeDisk(t, a)
	eventually(t, "the loop device is free", func() bool { return len(listed(t, disks)) == 0 })
	run(t, "e2fsck", "-fn", fileSystem(t, path))
}

func look(t *testing.T, g *Guard) {
	t.Helper()
	if pause, err := g.look(); err != nil || pause <= 0 {
		t.Errorf("look again after %v, %v", pause, err)
	}
}

// put writes megabytes into the disk without a sync.
func put(a *Attached, name string, megabytes int) error {
	f, err := os.Create(a.Mount.Path() + "/upper/" + name)
	if err != nil {
		return err
	}
	defer f.Close()
	for range megabytes {
		if _, err := f.Write(make([]byte, mib)); err != nil {
			return err
		}
	}
	return nil
}

func flush(t *testing.T, a *Attached, name string) {
	t.Helper()
	f, err := os.Open(a.Mount.Path() + "/upper/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Error(err)
	}
}
