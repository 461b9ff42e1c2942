package erofs

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// metaStart is the offset of the first inode in the metadata: number 0 stays
// free, since directory readers take it for a deleted entry.
const metaStart = 64

// maxDepth bounds the nesting of directories.
const maxDepth = 4096

// Close writes the directories and inodes below root, then the superblock, and
// gives the size of the image in bytes, a multiple of 4096. root must be a
// directory, and every directory have one name. Close takes over the tree and
// sorts its entries. It does not close or sync the output.
func (w *Writer) Close(root *Inode) (size int64, err error) {
	if w.err != nil {
		return 0, w.err
	}
	if !root.isDir() {
		return 0, errors.New("close file system: the root is no directory")
	}
	var order []*Inode
	if err := collect(root, root, &order, 0); err != nil {
		return 0, fmt.Errorf("close file system: %w", err)
	}
	place(order)
	for _, n := range order {
		w.writeBlocks(n)
	}
	w.pad()
	meta := w.pos
	var scratch []byte
	for _, n := range order {
		if to := meta + int64(n.nid<<slotBits); w.err == nil {
			w.zeros(to - w.pos)
		}
		scratch = appendMeta(scratch[:0], n)
		w.put(scratch)
	}
	w.pad()
	if w.err == nil && w.pos>>blockBits >= nullBlock {
		w.err = ErrTooLarge
	}
	if w.err != nil {
		return 0, w.err
	}
	if err := w.buf.Flush(); err != nil {
		return 0, fmt.Errorf("write file system: %w", err)
	}
	s := super{
		root: uint16(root.nid), inodes: uint64(len(order)), blocks: w.block(),
		metaBlock: uint32(meta >> blockBits), chunked: w.chunked, uuid: w.uuid,
	}
	if _, err := w.out.WriteAt(s.block(), 0); err != nil {
		return 0, fmt.Errorf("write file system: %w", err)
	}
	w.err = errors.New("write file system: it is closed")
	return w.pos, nil
}

// collect checks the tree below n, counts links, adds "." and "..", sorts, and
// lists the inodes depth first: root comes first and so has a small number, as
// the superblock's 16 bits need.
func collect(n, parent *Inode, order *[]*Inode, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("directories are nested deeper than %d", maxDepth)
	}
	if err := check(n); err != nil {
		return err
	}
	*order = append(*order, n)
	n.nid = 1 // seen
	if !n.isDir() {
		n.nlink = 1
		return nil
	}
	n.nlink = 2
	children := n.Entries
	n.Entries = append(slices.Clip(children), Dirent{".", n}, Dirent{"..", parent})
	slices.SortFunc(n.Entries, func(a, b Dirent) int { return cmp.Compare(a.Name, b.Name) })
	for i := range n.Entries {
		if i > 0 && n.Entries[i].Name == n.Entries[i-1].Name {
			return fmt.Errorf("name %q: twice in one directory", n.Entries[i].Name)
		}
	}
	n.size, n.last = dirSize(n.Entries)
	slices.SortFunc(children, func(a, b Dirent) int { return cmp.Compare(a.Name, b.Name) })
	for _, e := range children {
		switch {
		case e.Name == "" || len(e.Name) > MaxName || strings.ContainsAny(e.Name, "/\x00"):
			return fmt.Errorf("name %q: empty, longer than %d bytes, or with a slash or NUL", e.Name, MaxName)
		case e.Inode == nil:
			return fmt.Errorf("name %q: has no inode", e.Name)
		case e.Inode.nid != 0 && e.Inode.isDir():
			return fmt.Errorf("name %q: a directory with a second name", e.Name)
		case e.Inode.nid != 0:
			e.Inode.nlink++
			continue
		}
		if e.Inode.isDir() {
			n.nlink++
		}
		if err := collect(e.Inode, n, order, depth+1); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return nil
}

// check refuses what the format cannot hold.
func check(n *Inode) error {
	switch n.Mode & TypeMask {
	case TypeReg, TypeDir, TypeFIFO:
	case TypeLink:
		if n.Target == "" || len(n.Target) > MaxTarget || strings.Contains(n.Target, "\x00") {
			return fmt.Errorf("link target %q: empty, longer than %d bytes, or with a NUL", n.Target, MaxTarget)
		}
		n.size = int64(len(n.Target))
	default:
		return fmt.Errorf("mode %o: not a type that is written", n.Mode)
	}
	if n.Nsec >= 1e9 {
		return fmt.Errorf("time: %d nanoseconds are a second or more", n.Nsec)
	}
	for _, x := range n.Xattrs {
		if !XattrName(x.Name) || len(x.Value) > 0xFFFF {
			return fmt.Errorf("extended attribute %q of %d bytes: no such name in the format, or too large", x.Name, len(x.Value))
		}
	}
	if s := xattrSize(n.Xattrs); s > MaxXattrBytes {
		return fmt.Errorf("extended attributes: %d bytes, more than %d", s, MaxXattrBytes)
	} else if inodeSize+s+len(n.tail) > blockSize && n.tail != nil {
		return errors.New("extended attributes: grew after the content was written")
	}
	slices.SortFunc(n.Xattrs, func(a, b Xattr) int { return cmp.Compare(a.Name, b.Name) })
	for i := range n.Xattrs {
		if i > 0 && n.Xattrs[i].Name == n.Xattrs[i-1].Name {
			return fmt.Errorf("extended attribute %q: twice", n.Xattrs[i].Name)
		}
	}
	return nil
}

// place gives each inode its number, which is its place in the metadata. The
// kernel wants an inline tail in the same block as its inode.
func place(order []*Inode) {
	at := int64(metaStart)
	for _, n := range order {
		head := int64(inodeSize + xattrSize(n.Xattrs))
		tail := n.planTail(head)
		need := int64(inodeSize)
		if tail > 0 {
			need = head + tail
		}
		if at%blockSize+need > blockSize {
			at = (at + blockSize - 1) &^ (blockSize - 1)
		}
		n.nid = uint64(at >> slotBits)
		at += head + tail
		for _, r := range n.runs {
			at += 4 * int64(r.chunks)
		}
		at = (at + 1<<slotBits - 1) &^ (1<<slotBits - 1)
	}
}

// planTail gives how much of the content follows the inode, whose own bytes
// and attributes take head. For a file Write has decided it.
func (n *Inode) planTail(head int64) int64 {
	if t := n.Mode & TypeMask; t == TypeDir || t == TypeLink {
		n.layout = layoutPlain
		if t := n.size % blockSize; t > 0 && head+t <= blockSize {
			n.layout = layoutInline
		}
	}
	if n.layout != layoutInline {
		return 0
	}
	return n.size % blockSize
}

// writeBlocks writes the content of a directory or link as far as it does not
// follow the inode.
func (w *Writer) writeBlocks(n *Inode) {
	switch {
	case w.err != nil || n.layout == layoutInline && n.size < blockSize:
		return
	case n.isDir():
		n.block = w.block()
		for i, next := 0, 0; i < len(n.Entries); i = next {
			next, _ = dirBlock(n.Entries, i)
			if next < len(n.Entries) || n.layout == layoutPlain {
				w.put(appendDir(nil, n.Entries[i:next]))
				w.pad()
			}
		}
	case n.Mode&TypeMask == TypeLink:
		n.block = w.block()
		w.put([]byte(n.Target))
		w.pad()
	}
}

// appendMeta appends an inode and all that follows it.
func appendMeta(b []byte, n *Inode) []byte {
	b = appendInode(b, n)
	b = appendXattrs(b, n.Xattrs)
	for _, r := range n.runs {
		for i := range r.chunks {
			block := r.block
			if block != nullBlock {
				block += i << (n.chunk - blockBits)
			}
			b = binary.LittleEndian.AppendUint32(b, block)
		}
	}
	if n.layout != layoutInline {
		return b
	}
	switch n.Mode & TypeMask {
	case TypeReg:
		return append(b, n.tail...)
	case TypeDir:
		return appendDir(b, n.Entries[n.last:])
	}
	return append(b, n.Target...)
}

// dirBlock gives the entry after the last that fits a block with entry i, and
// the bytes that they take.
func dirBlock(es []Dirent, i int) (next, size int) {
	for ; i < len(es) && size+direntSize+len(es[i].Name) <= blockSize; i++ {
		size += direntSize + len(es[i].Name)
	}
	return i, size
}

// dirSize gives the size of a directory and the first entry of its last block.
func dirSize(es []Dirent) (size int64, last int) {
	for i := 0; i < len(es); {
		next, used := dirBlock(es, i)
		size = (size+blockSize-1)&^(blockSize-1) + int64(used)
		i, last = next, i
	}
	return size, last
}

// appendDir appends one block of a directory: the entries, then their names.
func appendDir(b []byte, es []Dirent) []byte {
	name := len(es) * direntSize
	for _, e := range es {
		b = binary.LittleEndian.AppendUint64(b, e.Inode.nid)
		b = binary.LittleEndian.AppendUint16(b, uint16(name))
		b = append(b, direntType(e.Inode.Mode), 0)
		name += len(e.Name)
	}
	for _, e := range es {
		b = append(b, e.Name...)
	}
	return b
}
