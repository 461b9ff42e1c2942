package gpt

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func disk(t testing.TB, size int64) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestWriteThenRead(t *testing.T) {
	for _, size := range []int64{MinSize, 64 * mib, 20 << 30, 1 << 40} {
		f := disk(t, size)
		want, err := Write(f, size, "silo sandbox")
		if err != nil {
			t.Fatal(err)
		}
		got, err := Read(f, size)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Partition{want}, got); diff != "" {
			t.Errorf("size %d: %s", size, diff)
		}
		if want.Offset != mib || want.Size%mib != 0 || want.Offset+want.Size > size-33*512 {
			t.Errorf("size %d: partition %+v", size, want)
		}
	}
}

func TestWriteRefusesSmallDisks(t *testing.T) {
	for _, size := range []int64{0, mib, MinSize - 512, MinSize + 1} {
		if _, err := Write(disk(t, size), size, ""); err == nil {
			t.Errorf("%d bytes were taken", size)
		}
	}
}

func TestReadUsesTheBackup(t *testing.T) {
	const size = 64 * mib
	f := disk(t, size)
	want, err := Write(f, size, "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{512 + 60, 1024} { // the header, then the entries
		if _, err := f.WriteAt([]byte{0xee}, at); err != nil {
			t.Fatal(err)
		}
		got, err := Read(f, size)
		if err != nil {
			t.Fatalf("damaged at %d: %v", at, err)
		}
		if diff := cmp.Diff([]Partition{want}, got); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := f.WriteAt([]byte{0xee}, size-512+60); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(f, size); !errors.Is(err, ErrFormat) {
		t.Errorf("both damaged: %v", err)
	}
}

func TestSgdiskAgrees(t *testing.T) {
	testenv.NeedCommand(t, "sgdisk", "gdisk")
	for _, size := range []int64{64 * mib, 20 << 30} {
		f := disk(t, size)
		p, err := Write(f, size, "silo sandbox")
		if err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("sgdisk", "-v", "-p", "-i", "1", f.Name()).CombinedOutput()
		for _, want := range []string{"No problems found", "(Linux filesystem)", p.ID.String(), fmt.Sprintf("First sector: %d", p.Offset/512), "Partition name: 'silo sandbox'"} {
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("sgdisk: %v, no %q in\n%s", err, want, out)
			}
		}
	}
}

// memory is a disk in memory.
type memory []byte

func (m memory) ReadAt(b []byte, at int64) (int, error)  { return copy(b, m[at:]), nil }
func (m memory) WriteAt(b []byte, at int64) (int, error) { return copy(m[at:], b), nil }

func FuzzRead(f *testing.F) {
	f.Add(uint16(72), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add(uint16(80), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add(uint16(512+32), []byte{0xff, 0xff})
	f.Fuzz(func(t *testing.T, at uint16, change []byte) {
		m := make(memory, MinSize)
		if _, err := Write(m, MinSize, "x"); err != nil {
			t.Fatal(err)
		}
		m.WriteAt(change, 512+int64(at)%4096)
		reseal(m)
		parts, err := Read(m, MinSize)
		if err != nil && !errors.Is(err, ErrFormat) {
			t.Fatal(err)
		}
		for _, p := range parts {
			if p.Offset < 0 || p.Size <= 0 || p.Offset+p.Size > MinSize {
				t.Fatalf("%+v", p)
			}
		}
	})
}
