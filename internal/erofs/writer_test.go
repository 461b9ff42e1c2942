package erofs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"silo/internal/erofs"
	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// seen is one path as a reader of the image sees it.
type seen struct {
	Mode      uint32
	UID, GID  uint32
	Sec, Nsec int64
	Nlink     uint64
	Size      int64
	Content   string // or the target of a link
	Xattrs    string
	SameAs    string // the first path, in order, with this inode
}

// sample is a tree to be written, with the content of its files.
type sample struct {
	root    *erofs.Inode
	content map[*erofs.Inode][]byte
	order   []*erofs.Inode // files, in the order in which content is written
}

func (s *sample) file(dir *erofs.Inode, name string, data []byte) *erofs.Inode {
	n := &erofs.Inode{Mode: erofs.TypeReg | 0o644, Sec: 1700000000, Nsec: 123456789}
	dir.Entries = append(dir.Entries, erofs.Dirent{Name: name, Inode: n})
	s.content[n] = data
	s.order = append(s.order, n)
	return n
}

func dir(parent *erofs.Inode, name string) *erofs.Inode {
	n := &erofs.Inode{Mode: erofs.TypeDir | 0o755, Sec: 1600000000}
	if parent != nil {
		parent.Entries = append(parent.Entries, erofs.Dirent{Name: name, Inode: n})
	}
	return n
}

func (s *sample) write(t testing.TB, out erofs.Output) int64 {
	t.Helper()
	w := erofs.NewWriter(out, [16]byte{1, 2, 3})
	for _, n := range s.order {
		if err := w.Write(n, bytes.NewReader(s.content[n]), int64(len(s.content[n]))); err != nil {
			t.Fatal(err)
		}
	}
	size, err := w.Close(s.root)
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// want lists what a reader must see of the sample.
func (s *sample) want() map[string]seen {
	out := map[string]seen{}
	links := map[*erofs.Inode]uint64{}
	first := map[*erofs.Inode]string{}
	var walk func(n *erofs.Inode, path string)
	walk = func(n *erofs.Inode, path string) {
		links[n]++
		if links[n] > 1 {
			return
		}
		for _, e := range n.Entries {
			if e.Name == "." || e.Name == ".." {
				continue
			}
			if e.Inode.Mode&erofs.TypeMask == erofs.TypeDir {
				links[n]++
			}
			walk(e.Inode, path+"/"+e.Name)
		}
		if n.Mode&erofs.TypeMask == erofs.TypeDir {
			links[n]++
		}
	}
	walk(s.root, "")
	var list func(n *erofs.Inode, path string)
	list = func(n *erofs.Inode, path string) {
		v := seen{Mode: uint32(n.Mode), UID: n.UID, GID: n.GID, Sec: n.Sec, Nsec: int64(n.Nsec), Nlink: links[n]}
		sort.Slice(n.Xattrs, func(i, j int) bool { return n.Xattrs[i].Name < n.Xattrs[j].Name })
		for _, x := range n.Xattrs {
			v.Xattrs += fmt.Sprintf("%s=%x;", x.Name, x.Value)
		}
		switch n.Mode & erofs.TypeMask {
		case erofs.TypeReg:
			v.Content, v.Size = string(s.content[n]), int64(len(s.content[n]))
		case erofs.TypeLink:
			v.Content, v.Size = n.Target, int64(len(n.Target))
		}
		if first[n] == "" {
			first[n] = path
		}
		v.SameAs = first[n]
		out[path] = v
		names := n.Entries
		sort.Slice(names, func(i, j int) bool { return names[i].Name < names[j].Name })
		for _, e := range names {
			if e.Name != "." && e.Name != ".." {
				list(e.Inode, path+"/"+e.Name)
			}
		}
	}
	list(s.root, "")
	return out
}

// fsck asks the format's own checker.
func fsck(t testing.TB, path string) {
	t.Helper()
	testenv.NeedCommand(t, "fsck.erofs", "erofs-utils")
	if out, err := exec.Command("fsck.erofs", path).CombinedOutput(); err != nil || bytes.Contains(out, []byte("<E>")) {
		t.Fatalf("fsck.erofs: %v\n%s", err, out)
	}
}

// everything is a tree with one of each thing that the format can hold.
func everything() *sample {
	s := &sample{root: dir(nil, ""), content: map[*erofs.Inode][]byte{}}
	r := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32() | 1)
		}
		return b
	}
	s.root.Mode = erofs.TypeDir | 0o1751
	for _, size := range []int{0, 1, 2048, 2049, 3968, 4095, 4096, 4097, 6144, 8191, 8192, 65536, 65537, 1<<20 - 1, 1 << 20, 1<<20 + 1} {
		s.file(s.root, fmt.Sprint("size-", size), random(size))
	}
	holes := make([]byte, 3<<20+77)
	copy(holes[1<<20:], random(70000))
	s.file(s.root, "holes", holes)
	s.file(s.root, "only-hole", make([]byte, 2<<20+5))
	end := make([]byte, 1<<20+9)
	end[len(end)-1] = 7
	s.file(s.root, "hole-then-byte", end)

	links := dir(s.root, "links")
	one := s.file(links, "one", []byte("linked"))
	one.UID, one.GID, one.Mode = 4294967294, 1<<31, erofs.TypeReg|0o7777
	for _, name := range []string{"two", "!three", "-four"} {
		links.Entries = append(links.Entries, erofs.Dirent{Name: name, Inode: one})
	}
	sub := dir(links, "sub")
	sub.Entries = append(sub.Entries, erofs.Dirent{Name: "five", Inode: one})
	for name, n := range map[string]*erofs.Inode{
		"sym":                    {Mode: erofs.TypeLink | 0o777, Target: "../../../etc/passwd", Sec: -5},
		"sym-long":               {Mode: erofs.TypeLink | 0o777, Target: strings.Repeat("x/", 2047) + "y"},
		"fifo":                   {Mode: erofs.TypeFIFO | 0o600, Sec: 1 << 33},
		"\xff\xfe":               {Mode: erofs.TypeFIFO | 0o600},
		strings.Repeat("n", 255): {Mode: erofs.TypeDir | 0o700},
	} {
		s.root.Entries = append(s.root.Entries, erofs.Dirent{Name: name, Inode: n})
	}
	many := dir(s.root, "many")
	for i := range 3000 {
		many.Entries = append(many.Entries, erofs.Dirent{Name: fmt.Sprintf("entry-%d-%s", i*7919%3000, strings.Repeat("z", i%50)), Inode: one})
	}
	s.attributes(random)
	return s
}

// attributes adds what has extended attributes.
func (s *sample) attributes(random func(int) []byte) {
	x := s.file(s.root, "xattrs", random(1500))
	x.Xattrs = []erofs.Xattr{
		{Name: "user.empty"},
		{Name: "trusted.t", Value: "v"},
		{Name: "user.note", Value: "hello"},
		{Name: "security.capability", Value: "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"},
		{Name: "system.posix_acl_access", Value: acl},
	}
	big := s.file(s.root, "xattrs-big", random(1500))
	big.Xattrs = []erofs.Xattr{{Name: "user.big", Value: string(random(9000))}, {Name: "user.small", Value: "s"}}
	xd := dir(s.root, "xattr-dir")
	xd.Xattrs = []erofs.Xattr{{Name: "system.posix_acl_default", Value: acl}, {Name: "user.dir", Value: string(random(3000))}}
	s.file(xd, strings.Repeat("long", 50), nil)
	s.file(xd, strings.Repeat("name", 60), nil)
	s.file(xd, strings.Repeat("here", 60), nil)
	s.file(xd, strings.Repeat("more", 60), nil)
	s.file(xd, strings.Repeat("last", 60), nil)
}

// acl is user::rw-, user:1000:r--, group::r--, mask::r--, other::r--.
const acl = "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xe8\x03\x00\x00" +
	"\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x04\x00\xff\xff\xff\xff"

func writeFile(t testing.TB, s *sample) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size := s.write(t, f)
	if st, err := f.Stat(); err != nil || st.Size() != size || size%4096 != 0 {
		t.Fatalf("size is %d, Close said %d: %v", st.Size(), size, err)
	}
	return path
}

func TestEverythingChecked(t *testing.T) { fsck(t, writeFile(t, everything())) }

func TestEverythingByLibrary(t *testing.T) {
	s := everything()
	b, err := os.ReadFile(writeFile(t, s))
	if err != nil {
		t.Fatal(err)
	}
	if d := diff(s.want(), readLibrary(t, bytes.NewReader(b))); d != "" {
		t.Fatal(d)
	}
}

func TestEverythingByKernel(t *testing.T) {
	testenv.NeedRoot(t)
	s := everything()
	if d := diff(s.want(), readKernel(t, writeFile(t, s))); d != "" {
		t.Fatal(d)
	}
}

// diff names the paths that differ and shows short fields of them.
func diff(want, got map[string]seen) string {
	short := func(m map[string]seen) map[string]seen {
		out := map[string]seen{}
		for k, v := range m {
			if len(v.Content) > 200 {
				v.Content = fmt.Sprintf("%d bytes, sum %x", len(v.Content), sum(v.Content))
			}
			if len(v.Xattrs) > 300 {
				v.Xattrs = fmt.Sprintf("%d bytes, sum %x", len(v.Xattrs), sum(v.Xattrs))
			}
			out[k] = v
		}
		return out
	}
	return cmp.Diff(short(want), short(got))
}

func sum(s string) (h uint64) {
	for i := range len(s) {
		h = h*1099511628211 + uint64(s[i])
	}
	return h
}

func TestSameCallsSameBytes(t *testing.T) {
	a, _ := os.ReadFile(writeFile(t, everything()))
	b, _ := os.ReadFile(writeFile(t, everything()))
	if !bytes.Equal(a, b) {
		t.Fatal("two images of one tree differ")
	}
}

func TestHolesTakeNoSpace(t *testing.T) {
	s := &sample{root: dir(nil, ""), content: map[*erofs.Inode][]byte{}}
	n := &erofs.Inode{Mode: erofs.TypeReg | 0o644}
	s.root.Entries = []erofs.Dirent{{Name: "huge", Inode: n}}
	path := filepath.Join(t.TempDir(), "image")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := erofs.NewWriter(f, [16]byte{})
	const size = 6<<30 + 1
	if err := w.Write(n, io.MultiReader(io.LimitReader(zeros{}, size-1), strings.NewReader("!")), size); err != nil {
		t.Fatal(err)
	}
	got, err := w.Close(s.root)
	if err != nil {
		t.Fatal(err)
	}
	if got > 1<<20 {
		t.Errorf("a hole of 6 GB takes %d bytes", got)
	}
	fsck(t, path)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestRefused(t *testing.T) {
	inode := func(mode uint16) *erofs.Inode { return &erofs.Inode{Mode: mode} }
	loop := inode(erofs.TypeDir)
	loop.Entries = []erofs.Dirent{{Name: "again", Inode: loop}}
	for name, root := range map[string]*erofs.Inode{
		"root is a file": inode(erofs.TypeReg),
		"loop":           loop,
		"device":         {Mode: erofs.TypeDir, Entries: []erofs.Dirent{{Name: "d", Inode: inode(0o020000)}}},
		"no inode":       {Mode: erofs.TypeDir, Entries: []erofs.Dirent{{Name: "d"}}},
		"twice":          {Mode: erofs.TypeDir, Entries: []erofs.Dirent{{Name: "d", Inode: inode(erofs.TypeReg)}, {Name: "d", Inode: inode(erofs.TypeReg)}}},
		"dot":            {Mode: erofs.TypeDir, Entries: []erofs.Dirent{{Name: ".", Inode: inode(erofs.TypeReg)}}},
		"slash":          {Mode: erofs.TypeDir, Entries: []erofs.Dirent{{Name: "a/b", Inode: inode(erofs.TypeReg)}}},
		"long name":      {Mode: erofs.TypeDir, Entries: []erofs.Dirent{{Name: strings.Repeat("x", 256), Inode: inode(erofs.TypeReg)}}},
		"long target":    {Mode: erofs.TypeDir, Entries: []erofs.Dirent{{Name: "l", Inode: &erofs.Inode{Mode: erofs.TypeLink, Target: strings.Repeat("x", 4096)}}}},
		"no target":      {Mode: erofs.TypeDir, Entries: []erofs.Dirent{{Name: "l", Inode: inode(erofs.TypeLink)}}},
		"xattr name":     {Mode: erofs.TypeDir, Xattrs: []erofs.Xattr{{Name: "lustre.x"}}},
		"xattr twice":    {Mode: erofs.TypeDir, Xattrs: []erofs.Xattr{{Name: "user.x"}, {Name: "user.x"}}},
		"xattr value":    {Mode: erofs.TypeDir, Xattrs: []erofs.Xattr{{Name: "user.x", Value: strings.Repeat("x", 65536)}}},
		"nanoseconds":    {Mode: erofs.TypeDir, Nsec: 1e9},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Create(filepath.Join(t.TempDir(), "image"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := erofs.NewWriter(f, [16]byte{}).Close(root); err == nil {
				t.Fatal("accepted")
			}
		})
	}
}

func TestShortContent(t *testing.T) {
	for _, size := range []int64{10, 5000, 2 << 20} {
		f, err := os.Create(filepath.Join(t.TempDir(), "image"))
		if err != nil {
			t.Fatal(err)
		}
		err = erofs.NewWriter(f, [16]byte{}).Write(&erofs.Inode{Mode: erofs.TypeReg}, strings.NewReader("short"), size)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("size %d: %v", size, err)
		}
		f.Close()
	}
}
