package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"silo/internal/erofs"
	"silo/internal/errs"
)

// builder merges the layers of one image, the topmost first.
type builder struct {
	ctx    context.Context
	limits Limits
	out    *erofs.Writer
	spool  *spool

	merged *node   // the layers so far; nil before the first
	layer  *node   // the layer being read
	links  []*link // hard links of the layer being read into lower layers
	open   []*link // … of the layers above it

	entries  int
	size     int64
	metadata int64
	devices  tally
	xattrs   tally
	owners   tally
}

// tally counts something left out or changed.
type tally struct {
	n     int
	first string
}

func (t *tally) add(path string) {
	if t.n++; t.n == 1 {
		t.first = quote(path)
	}
}

// quote makes a name of a tar fit for a message: it may be a megabyte of
// control characters.
func quote(name string) string {
	const most = 120
	if len(name) <= most {
		return strconv.Quote(name)
	}
	return strconv.Quote(name[:most/2]) + "…" + strconv.Quote(name[len(name)-most/2:])
}

// source is the tar of one layer with what is needed to read it.
type source struct {
	Source
	progress func(bytes int64)
}

// read takes in one layer and gives the length of its tar in bytes.
func (b *builder) read(src source) (size int64, err error) {
	in, err := src.Open()
	if err != nil {
		return 0, fmt.Errorf("open: %w", err)
	}
	s := newStream(b.ctx, in, b.limits.Size+tarOverhead, src.progress)
	defer func() { err = errors.Join(err, s.Close()) }()

	b.layer = &node{inode: &erofs.Inode{Mode: erofs.TypeDir | 0o755}, children: map[string]*node{}, implied: true, upper: b.merged}
	b.links = nil
	for t := tar.NewReader(s); ; {
		h, err := t.Next()
		if err == io.EOF {
			break
		}
		// Where GODEBUG asks for it, names with ".." come with this error.
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return 0, badTar(err)
		}
		if err := b.entry(h, t); err != nil {
			return 0, fmt.Errorf("entry %s: %w", quote(h.Name), badTar(err))
		}
	}
	// The digest covers what follows the end of the archive, too.
	if _, err := io.Copy(io.Discard, s); err != nil {
		return 0, err
	}
	if got := s.digest(); got != src.DiffID {
		return 0, errs.Invalidf("its content is %s, not what its image says: fetch the image again", got)
	}
	return s.total, b.endLayer()
}

// endLayer merges the layer that was read under those above it.
func (b *builder) endLayer() error {
	var open []*link
	var wanted []*erofs.Inode
	for _, l := range b.open {
		n, a := lookup(b.layer, l.target)
		switch {
		case a == absent:
			return l.missing()
		case a == unknown:
			open = append(open, l)
		case n.link != nil:
			l.next = n.link
		default:
			l.found = n.inode
			wanted = append(wanted, n.inode)
		}
	}
	for _, l := range b.links {
		if _, a := lookup(b.layer, l.target); a != unknown { // hidden, or comes after the link
			return l.missing()
		}
	}
	b.open = append(open, b.links...)
	if b.merged == nil {
		b.merged = b.layer
		return nil
	}
	merge(b.merged, b.layer, func(n *node) {
		if !b.spool.empty() {
			wanted = collect(wanted, n)
		}
	})
	b.layer = nil
	return b.spool.release(wanted, b.out)
}

// collect lists the inodes at and below n.
func collect(to []*erofs.Inode, n *node) []*erofs.Inode {
	if n.inode != nil {
		to = append(to, n.inode)
	}
	for _, c := range n.children {
		to = collect(to, c)
	}
	return to
}

func (l *link) missing() error {
	return errs.Invalidf("entry %s: the target %s of the hard link is not in this layer or a lower one", quote(l.name), quote(l.target))
}

// close writes the file system and gives its size.
func (b *builder) close() (int64, error) {
	if len(b.open) > 0 {
		return 0, b.open[0].missing()
	}
	if b.merged == nil {
		b.merged = &node{inode: &erofs.Inode{Mode: erofs.TypeDir | 0o755}}
	}
	b.fill(b.merged, "")
	return b.out.Close(b.merged.inode)
}

// fill turns the tree of nodes below a folder into entries of inodes.
func (b *builder) fill(n *node, dir string) {
	names := make([]string, 0, len(n.children))
	for name := range n.children {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	n.inode.Entries = make([]erofs.Dirent, 0, len(names)+2)
	for _, name := range names {
		c := n.children[name]
		inode := c.inode
		if c.link != nil {
			inode = c.link.inode()
		}
		if inode == nil {
			continue // a mark
		}
		if inode.UID >= containerIDs || inode.GID >= containerIDs {
			b.owners.add(dir + "/" + name)
		}
		if c.isDir() {
			b.fill(c, dir+"/"+name)
		}
		n.inode.Entries = append(n.inode.Entries, erofs.Dirent{Name: name, Inode: inode})
	}
	n.children = nil
}

// warnings tells in words what is not as in the layers.
func (b *builder) warnings() (out []string) {
	if t := b.devices; t.n > 0 {
		out = append(out, fmt.Sprintf("%d device nodes were left out, the first is %s: a container has its own /dev", t.n, t.first))
	}
	if t := b.xattrs; t.n > 0 {
		out = append(out, fmt.Sprintf("%d extended attributes were left out, the first is of %s", t.n, t.first))
	}
	if t := b.owners; t.n > 0 {
		out = append(out, fmt.Sprintf("%d files belong to user or group numbers from %d on, which a container does not have, the first is %s: they show as nobody's", t.n, containerIDs, t.first))
	}
	return out
}

// spool keeps content of files that upper layers hide until their layer has
// been read: a hard link of another name may yet show it.
type spool struct {
	dir  string
	file *os.File
	end  int64
	kept map[*erofs.Inode]span
	buf  []byte
}

type span struct{ at, size int64 }

func (s *spool) empty() bool { return len(s.kept) == 0 }

// keep copies size bytes of content to the spool; zeros become holes.
func (s *spool) keep(n *erofs.Inode, r io.Reader, size int64) (err error) {
	if s.file == nil {
		if s.file, err = os.CreateTemp(s.dir, "spool"); err != nil {
			return err
		}
		s.kept, s.buf = map[*erofs.Inode]span{}, make([]byte, 64<<10)
	}
	for at := int64(0); at < size; {
		b := s.buf[:min(int64(len(s.buf)), size-at)]
		if _, err := io.ReadFull(r, b); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		if slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
			if _, err := s.file.WriteAt(b, s.end+at); err != nil {
				return err
			}
		}
		at += int64(len(b))
	}
	s.kept[n] = span{s.end, size}
	s.end += size
	return nil
}

// release moves the content of the wanted inodes into the file system, in the
// order of the tar, and forgets the rest.
func (s *spool) release(wanted []*erofs.Inode, out *erofs.Writer) error {
	if s.empty() {
		return nil
	}
	wanted = slices.DeleteFunc(wanted, func(n *erofs.Inode) bool { return s.kept[n].size == 0 })
	slices.SortFunc(wanted, func(a, b *erofs.Inode) int { return int(s.kept[a].at - s.kept[b].at) })
	if err := s.file.Truncate(s.end); err != nil { // the last bytes may be a hole
		return err
	}
	for _, n := range slices.Compact(wanted) {
		k := s.kept[n]
		if err := out.Write(n, io.NewSectionReader(s.file, k.at, k.size), k.size); err != nil {
			return err
		}
	}
	clear(s.kept)
	s.end = 0
	return s.file.Truncate(0)
}

func (s *spool) Close() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}
