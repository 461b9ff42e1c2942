package vhdx

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// sparse is a file in memory that keeps only the pages written to it.
type sparse struct {
	size  int64
	pages map[int64][]byte
}

func newSparse() *sparse { return &sparse{pages: map[int64][]byte{}} }

func (s *sparse) Truncate(n int64) error { s.size = n; return nil }

func (s *sparse) WriteAt(b []byte, at int64) (int, error) {
	for i, c := range b {
		o := at + int64(i)
		if s.pages[o/4096] == nil {
			s.pages[o/4096] = make([]byte, 4096)
		}
		s.pages[o/4096][o%4096] = c
	}
	return len(b), nil
}

func (s *sparse) ReadAt(b []byte, at int64) (int, error) {
	for i := range b {
		o := at + int64(i)
		if o >= s.size {
			return i, io.EOF
		}
		b[i] = 0
		if p := s.pages[o/4096]; p != nil {
			b[i] = p[o%4096]
		}
	}
	return len(b), nil
}

func create(t testing.TB, p Params) (*sparse, Layout) {
	t.Helper()
	s := newSparse()
	l, err := Create(s, p)
	if err != nil {
		t.Fatal(err)
	}
	return s, l
}

func TestCreateThenOpenGivesTheSameDisk(t *testing.T) {
	sizes := []int64{mib, 64 * mib, 507 * mib, 508 * mib, 509 * mib, 1 << 30, 20 << 30, 1 << 40, MaxSize}
	for range 40 {
		sizes = append(sizes, (1+rand.Int64N(4<<20))*mib)
	}
	for _, size := range sizes {
		id := NewGUID()
		s, l := create(t, Params{Size: size, ID: id})
		info, err := Open(s, s.size)
		if err != nil {
			t.Fatalf("size %d: %v", size, err)
		}
		at, ok := info.Contiguous()
		if !ok || at != l.PayloadOffset || info.Size != size || info.ID != id || !info.Fixed ||
			info.LogicalSector != 512 || info.PhysicalSector != 4096 || info.BlockSize != l.BlockSize || s.size != l.FileSize {
			t.Errorf("size %d: made %+v, opened %+v at %d, %v", size, l, info, at, ok)
		}
		if at%mib != 0 || l.FileSize < at+size {
			t.Errorf("size %d: payload at %d in a file of %d", size, at, l.FileSize)
		}
		if size <= 1<<40 && len(s.pages) > 20 {
			t.Errorf("size %d: %d pages written", size, len(s.pages))
		}
	}
}

func TestCreateRefusesSizes(t *testing.T) {
	for _, size := range []int64{-1, 0, 1, mib + 512, MaxSize + mib} {
		if _, err := Create(newSparse(), Params{Size: size}); err == nil {
			t.Errorf("size %d was taken", size)
		}
	}
}

// reseal corrects the checksums after a change, so that the change itself is
// what Open must find.
func reseal(s *sparse) {
	for at, n := range map[int64]int{header1At: headerSize, header2At: headerSize, regionTable1At: regionTableSize, regionTable2At: regionTableSize} {
		b := make([]byte, n)
		s.ReadAt(b, at)
		binary.LittleEndian.PutUint32(b[4:], checksum(b))
		s.WriteAt(b[:4096], at)
	}
}

func put(s *sparse, value uint64, width int, places ...int64) {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], value)
	for _, at := range places {
		s.WriteAt(b[:width], at)
	}
}

func TestOpenRefuses(t *testing.T) {
	both := func(off int64) []int64 { return []int64{header1At + off, header2At + off} }
	regions := func(off int64) []int64 { return []int64{regionTable1At + off, regionTable2At + off} }
	const items = metaAt + metaTableSize
	tests := []struct {
		name   string
		change func(*sparse)
		want   error
		says   string
	}{
		{"signature", func(s *sparse) { put(s, 0, 1, 0) }, ErrFormat, "does not start"},
		{"log to replay", func(s *sparse) { put(s, 7, 1, both(48)...) }, ErrUnsupported, "replay"},
		{"version", func(s *sparse) { put(s, 2, 2, both(66)...) }, ErrUnsupported, "version 2"},
		{"log beyond end", func(s *sparse) { put(s, 1<<50, 8, both(72)...) }, ErrFormat, "the log"},
		{"log offset negative", func(s *sparse) { put(s, 1<<63, 8, both(72)...) }, ErrFormat, "the log"},
		{"log over header", func(s *sparse) { put(s, 0, 8, both(72)...) }, ErrFormat, "overlaps"},
		{"log unaligned", func(s *sparse) { put(s, 4096, 4, both(68)...) }, ErrFormat, "aligned"},
		{"same sequence, different headers", func(s *sparse) { put(s, 9, 8, both(8)...) }, ErrFormat, "sequence"},
		{"many regions", func(s *sparse) { put(s, 2048, 4, regions(8)...) }, ErrFormat, "2048 regions"},
		{"no regions", func(s *sparse) { put(s, 0, 4, regions(8)...) }, ErrFormat, "lacks"},
		{"unknown required region", func(s *sparse) { put(s, 1, 1, regions(16)...) }, ErrUnsupported, "unknown region"},
		{"region beyond end", func(s *sparse) { put(s, 1<<62, 8, regions(32)...) }, ErrFormat, "does not lie"},
		{"regions overlap", func(s *sparse) { put(s, metaAt, 8, regions(32)...) }, ErrFormat, "overlaps"},
		{"region of nothing", func(s *sparse) { put(s, 0, 4, regions(40)...) }, ErrFormat, "does not lie"},
		{"metadata signature", func(s *sparse) { put(s, 0, 1, metaAt) }, ErrFormat, "metadata table"},
		{"metadata entries", func(s *sparse) { put(s, 0xffff, 2, metaAt+10) }, ErrFormat, "65535"},
		{"metadata item twice", func(s *sparse) { s.WriteAt(itemFileParameters[:], metaAt+64) }, ErrFormat, "twice"},
		{"metadata item outside", func(s *sparse) { put(s, 0xfffffff0, 4, metaAt+48) }, ErrFormat, "does not lie"},
		{"metadata items overlap", func(s *sparse) { put(s, metaTableSize, 4, metaAt+64+16) }, ErrFormat, "overlap"},
		{"metadata item length", func(s *sparse) { put(s, 4, 4, metaAt+52) }, ErrFormat, "not 8"},
		{"metadata item unknown", func(s *sparse) { put(s, 1, 1, metaAt+32) }, ErrUnsupported, "unknown metadata"},
		{"parent locator", func(s *sparse) { s.WriteAt(itemParentLocator[:], metaAt+32) }, ErrUnsupported, "parent"},
		{"has a parent", func(s *sparse) { put(s, 2, 4, items+4) }, ErrUnsupported, "parent"},
		{"block size", func(s *sparse) { put(s, 3*mib, 4, items) }, ErrFormat, "block size"},
		{"disk size", func(s *sparse) { put(s, 1<<60, 8, items+8) }, ErrFormat, "disk size"},
		{"disk larger than its table", func(s *sparse) { put(s, 1<<40, 8, items+8) }, ErrFormat, "too short"},
		{"sector size", func(s *sparse) { put(s, 520, 4, items+32) }, ErrFormat, "sector size"},
		{"block beyond end", func(s *sparse) { put(s, 1<<40|6, 8, batAt) }, ErrFormat, "beyond the end"},
		{"block in metadata", func(s *sparse) { put(s, metaAt|6, 8, batAt) }, ErrFormat, "overlaps"},
		{"two blocks in one place", func(s *sparse) { put(s, payloadAt|6, 8, batAt+8) }, ErrFormat, "overlaps"},
		{"block state", func(s *sparse) { put(s, payloadAt|7, 8, batAt) }, ErrFormat, "state 7"},
		{"reserved bits", func(s *sparse) { put(s, payloadAt|6|64, 8, batAt) }, ErrFormat, "reserved"},
		{"shorter than its blocks", func(s *sparse) { s.size -= mib }, ErrFormat, "beyond the end"},
		{"shorter than its header", func(s *sparse) { s.size = 100 }, ErrFormat, "fewer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := create(t, Params{Size: 64 * mib})
			tt.change(s)
			reseal(s)
			_, err := Open(s, s.size)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v with %q", err, tt.want, tt.says)
			}
		})
	}
}

func TestOpenUsesTheSecondCopy(t *testing.T) {
	for _, at := range []int64{header1At + 100, header2At + 100, regionTable1At + 100, regionTable2At + 100} {
		s, _ := create(t, Params{Size: 64 * mib})
		put(s, 1, 1, at)
		if _, err := Open(s, s.size); err != nil {
			t.Errorf("one damaged copy at %d: %v", at, err)
		}
	}
	s, _ := create(t, Params{Size: 64 * mib})
	put(s, 1, 1, header1At+100, header2At+100)
	if _, err := Open(s, s.size); !errors.Is(err, ErrFormat) {
		t.Errorf("both headers damaged: %v", err)
	}
}

func TestDiskWithHolesIsNotContiguous(t *testing.T) {
	for name, entry := range map[string]uint64{"not present": 0, "zero": 2, "unmapped": 3} {
		s, _ := create(t, Params{Size: 64 * mib})
		put(s, entry, 8, batAt+8)
		info, err := Open(s, s.size)
		if err != nil {
			t.Fatal(err)
		}
		if at, ok := info.Contiguous(); ok || at != 0 {
			t.Errorf("block %s: contiguous at %d", name, at)
		}
	}
}

func TestSpans(t *testing.T) {
	s := newSpans(300 * mib)
	for _, tt := range []struct {
		first, n int64
		want     bool
	}{{0, 1, true}, {0, 1, false}, {60, 200, true}, {259, 2, false}, {260, 40, true}, {1, 59, true}, {1, 59, false}} {
		if got := s.add(tt.first, tt.n); got != tt.want {
			t.Errorf("add(%d, %d) = %v", tt.first, tt.n, got)
		}
	}
}

func TestGUIDForm(t *testing.T) {
	const s = "2DC27766-F623-4200-9D64-115E9BFD4A08"
	g, err := ParseGUID(s)
	if err != nil || g.String() != s || !bytes.Equal(g[:4], []byte{0x66, 0x77, 0xc2, 0x2d}) || g[8] != 0x9d {
		t.Errorf("%x, %v", g, err)
	}
	for _, bad := range []string{"", "2DC27766", s + "0", strings.Replace(s, "-", "+", 1)} {
		if _, err := ParseGUID(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if a, b := NewGUID(), NewGUID(); a == b || a[7]>>4 != 4 || a[8]>>6 != 2 {
		t.Errorf("random %v, %v", a, b)
	}
}

// FuzzOpen changes the structures of sound files; checksums are corrected so
// that what is behind them is reached.
func FuzzOpen(f *testing.F) {
	f.Add(uint32(0), []byte("vhdxfile"), false)
	f.Add(uint32(header1At+72), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, true)
	f.Add(uint32(regionTable1At+8), []byte{0xff, 7}, true)
	f.Add(uint32(metaAt+10), []byte{0xff, 7}, false)
	f.Add(uint32(metaAt+metaTableSize), []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40}, false)
	f.Add(uint32(batAt), []byte{6, 0, 0x10}, false)
	f.Fuzz(func(t *testing.T, at uint32, change []byte, seal bool) {
		s := newSparse()
		if _, err := Create(s, Params{Size: 64 * mib}); err != nil {
			t.Fatal(err)
		}
		s.WriteAt(change, int64(at)%(payloadAt+mib))
		if seal {
			reseal(s)
		}
		info, err := Open(s, s.size)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("neither malformed nor unsupported: %v", err)
			}
			return
		}
		if off, ok := info.Contiguous(); ok && (off < mib || off+info.Size > s.size || info.Size <= 0) {
			t.Fatalf("payload at %d, %d bytes, in a file of %d", off, info.Size, s.size)
		}
	})
}

func qemuImg(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("qemu-img", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("qemu-img %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestQemuAgrees(t *testing.T) {
	testenv.NeedCommand(t, "qemu-img", "qemu-utils")
	for _, size := range []int64{64 * mib, 777 * mib, 5 << 30, 20 << 30, 1 << 40} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.vhdx")
			file, err := os.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			l, err := Create(file, Params{Size: size})
			if err != nil {
				t.Fatal(err)
			}
			for i := range int64(64) {
				at := size / 64 * i / 512 * 512
				if _, err := file.WriteAt(fmt.Appendf(nil, "here is %d", at), l.PayloadOffset+at); err != nil {
					t.Fatal(err)
				}
			}
			if out := qemuImg(t, "check", "-f", "vhdx", path); !strings.Contains(out, "No errors were found") {
				t.Errorf("check says %s", out)
			}
			if out := qemuImg(t, "info", "--output=json", path); !strings.Contains(out, fmt.Sprintf(`"virtual-size": %d`, size)) || !strings.Contains(out, `"format": "vhdx"`) {
				t.Errorf("info says %s", out)
			}
			if size > 5<<30 { // two chunks; qemu-img reads every zero
				return
			}
			raw := fmt.Sprintf("driver=raw,offset=%d,size=%d,file.driver=file,file.filename=%s", l.PayloadOffset, size, path)
			if out := qemuImg(t, "compare", "--image-opts", "driver=vhdx,file.driver=file,file.filename="+path, raw); !strings.Contains(out, "identical") {
				t.Errorf("compare says %s", out)
			}
		})
	}
}

// TestOpenReadsQemuDisks: a disk of another maker opens; what qemu-img marks
// as zero blocks is not contiguous.
func TestOpenReadsQemuDisks(t *testing.T) {
	testenv.NeedCommand(t, "qemu-img", "qemu-utils")
	for _, subformat := range []string{"fixed", "dynamic"} {
		path := filepath.Join(t.TempDir(), "q.vhdx")
		qemuImg(t, "create", "-q", "-f", "vhdx", "-o", "subformat="+subformat, path, "100M")
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		st, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		info, err := Open(file, st.Size())
		if err != nil {
			t.Fatalf("%s: %v", subformat, err)
		}
		if _, ok := info.Contiguous(); ok || info.Size != 100*mib {
			t.Errorf("%s: %+v", subformat, info)
		}
	}
}
