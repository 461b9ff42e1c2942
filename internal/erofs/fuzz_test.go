package erofs_test

import (
	"bytes"
	"fmt"
	"testing"

	"silo/internal/erofs"
)

// memory is an Output in memory.
type memory struct{ bytes.Buffer }

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	return copy(m.Bytes()[at:], p), nil
}

// FuzzLayout builds a tree from the input, four bytes an inode, and reads the
// image back.
func FuzzLayout(f *testing.F) {
	f.Add([]byte("\x00\x10\x00\x00\x01\x00\x00\x00\x02\x20\xff\x01\x03\x05\x05\x05"))
	f.Add(bytes.Repeat([]byte{0, 8, 200, 3}, 40))
	f.Add(bytes.Repeat([]byte{0, 255, 0, 7, 1, 200, 3, 0}, 60))
	f.Fuzz(func(t *testing.T, program []byte) {
		s := &sample{root: dir(nil, ""), content: map[*erofs.Inode][]byte{}}
		dirs, here := []*erofs.Inode{s.root}, s.root
		for i := 0; i+4 <= len(program) && i < 4*300; i += 4 {
			op, a, b, c := program[i], int(program[i+1]), int(program[i+2]), int(program[i+3])
			name := fmt.Sprint(i, "-", string(bytes.Repeat([]byte{'a' + op%26}, b%240)))
			switch op % 6 {
			case 0, 1:
				n := s.file(here, name, bytes.Repeat([]byte{byte(c)}, a<<4+c))
				if c%4 == 3 {
					n.Xattrs = []erofs.Xattr{{Name: "user.x", Value: string(make([]byte, a*20))}}
				}
			case 2:
				dirs = append(dirs, dir(here, name))
			case 3:
				here = dirs[a%len(dirs)]
			case 4:
				here.Entries = append(here.Entries, erofs.Dirent{Name: name, Inode: &erofs.Inode{
					Mode: erofs.TypeLink | 0o777, Target: string(bytes.Repeat([]byte{'t'}, 1+a*16)),
				}})
			case 5:
				if len(s.order) > 0 {
					here.Entries = append(here.Entries, erofs.Dirent{Name: name, Inode: s.order[a%len(s.order)]})
				}
			}
		}
		var m memory
		if size := s.write(t, &m); size != int64(m.Len()) {
			t.Fatalf("Close said %d bytes of %d", size, m.Len())
		}
		if d := diff(s.want(), readLibrary(t, bytes.NewReader(m.Bytes()))); d != "" {
			t.Fatal(d)
		}
	})
}
