package vhdx

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Info is what a sound VHDX file says about its disk.
type Info struct {
	Size           int64 // bytes of the virtual disk
	BlockSize      int64 // bytes of a payload block
	LogicalSector  int   // bytes
	PhysicalSector int   // bytes
	Fixed          bool  // blocks are never taken out of the file
	ID             GUID  // of the disk, as SCSI page 83 gives it

	contiguous bool
	payload    int64
}

// Contiguous gives the offset in the file at which the whole disk lies as one
// run of bytes, and whether it does.
func (i *Info) Contiguous() (offset int64, ok bool) { return i.payload, i.contiguous }

// Open reads and checks all structures of a VHDX file of fileSize bytes:
// signatures, checksums, alignment, bounds, and that no two structures or
// blocks overlap. It writes nothing and allocates at most a few MiB, whatever
// the file holds. Errors are ErrFormat, ErrUnsupported, or those of r.
func Open(r io.ReaderAt, fileSize int64) (*Info, error) {
	if fileSize < headerSection {
		return nil, malformed("%d bytes are fewer than its header takes", fileSize)
	}
	if fileSize > 2*MaxSize {
		return nil, malformed("%d bytes are more than the format can use", fileSize)
	}
	f := &file{r: r, size: fileSize, claimed: newSpans(fileSize)}
	if sig, err := f.read(0, len(fileSignature)); err != nil {
		return nil, err
	} else if string(sig) != fileSignature {
		return nil, malformed("it does not start with %q", fileSignature)
	}
	if err := f.claim("the header", 0, headerSection); err != nil {
		return nil, err
	}
	if err := f.readHeaders(); err != nil {
		return nil, err
	}
	bat, meta, err := f.readRegions()
	if err != nil {
		return nil, err
	}
	info, err := f.readMetadata(meta)
	if err != nil {
		return nil, err
	}
	return info, f.readBlocks(bat, info)
}

// file is a VHDX file while it is opened.
type file struct {
	r       io.ReaderAt
	size    int64
	claimed spans
}

type region struct{ at, length int64 }

func (f *file) read(at int64, n int) ([]byte, error) {
	if at < 0 || at > f.size-int64(n) {
		return nil, malformed("it ends at %d, before %d bytes at %d", f.size, n, at)
	}
	b := make([]byte, n)
	if _, err := f.r.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	} else if err != nil {
		return nil, malformed("it ends before %d bytes at %d", n, at)
	}
	return b, nil
}

// claim marks a part of the file as used by one structure.
func (f *file) claim(what string, at, length int64) error {
	switch {
	case at < 0 || length < 0 || at%mib != 0 || length%mib != 0:
		return malformed("%s, %d bytes at %d, is not aligned to 1 MiB", what, length, at)
	case at > f.size || length > f.size-at:
		return malformed("%s, %d bytes at %d, lies beyond the end at %d", what, length, at, f.size)
	case !f.claimed.add(at/mib, length/mib):
		return malformed("%s, %d bytes at %d, overlaps another structure", what, length, at)
	}
	return nil
}

// readHeaders finds the current header (2.2.2) and checks it.
func (f *file) readHeaders() error {
	var current []byte
	var twins bool
	for _, at := range []int64{header1At, header2At} {
		h, err := f.read(at, headerSize)
		if err != nil {
			return err
		}
		if string(h[:4]) != headerSignature || binary.LittleEndian.Uint32(h[4:]) != checksum(h) {
			continue
		}
		switch {
		case current == nil || sequence(h) > sequence(current):
			current, twins = h, false
		case sequence(h) == sequence(current):
			twins = string(h) != string(current)
		}
	}
	if current == nil {
		return malformed("neither header has its signature and checksum")
	}
	if twins {
		return malformed("two different headers have sequence number %d", sequence(current))
	}
	if v := binary.LittleEndian.Uint16(current[66:]); v != 1 {
		return unsupported("version %d, only 1 is known", v)
	}
	if GUID(current[48:64]) != (GUID{}) {
		return unsupported("its log holds changes to replay: let `qemu-img check -r all` do that once")
	}
	at, length := binary.LittleEndian.Uint64(current[72:]), binary.LittleEndian.Uint32(current[68:])
	if at > uint64(f.size) {
		return malformed("the log lies at %d, beyond the end at %d", at, f.size)
	}
	return f.claim("the log", int64(at), int64(length))
}

func sequence(h []byte) uint64 { return binary.LittleEndian.Uint64(h[8:]) }

// readRegions reads the first sound region table (2.2.3).
func (f *file) readRegions() (bat, meta region, err error) {
	var table []byte
	for _, at := range []int64{regionTable1At, regionTable2At} {
		t, err := f.read(at, regionTableSize)
		if err != nil {
			return bat, meta, err
		}
		if string(t[:4]) == regionSignature && binary.LittleEndian.Uint32(t[4:]) == checksum(t) {
			table = t
			break
		}
	}
	if table == nil {
		return bat, meta, malformed("neither region table has its signature and checksum")
	}
	n := binary.LittleEndian.Uint32(table[8:])
	if n > maxTableEntries {
		return bat, meta, malformed("%d regions, at most %d are allowed", n, maxTableEntries)
	}
	seen := map[GUID]bool{}
	for i := range n {
		e := table[16+32*i:]
		id, at, length := GUID(e[:16]), binary.LittleEndian.Uint64(e[16:]), int64(binary.LittleEndian.Uint32(e[24:]))
		if seen[id] {
			return bat, meta, malformed("region %s is there twice", id)
		}
		seen[id] = true
		if at > uint64(f.size) || length == 0 {
			return bat, meta, malformed("region %s, %d bytes at %d, does not lie in the file", id, length, at)
		}
		if err := f.claim("region "+id.String(), int64(at), length); err != nil {
			return bat, meta, err
		}
		switch {
		case id == regionBAT:
			bat = region{int64(at), length}
		case id == regionMetadata:
			meta = region{int64(at), length}
		case binary.LittleEndian.Uint32(e[28:])&1 != 0:
			return bat, meta, unsupported("it requires the unknown region %s", id)
		}
	}
	if !seen[regionBAT] || !seen[regionMetadata] {
		return bat, meta, malformed("it lacks the block allocation table or the metadata region")
	}
	return bat, meta, nil
}

// readMetadata reads the metadata table and the items that it needs (2.6).
func (f *file) readMetadata(meta region) (*Info, error) {
	values, err := f.readItems(meta)
	if err != nil {
		return nil, err
	}
	for _, it := range items() {
		if values[it.id] == nil {
			return nil, malformed("it lacks metadata item %s", it.id)
		}
	}
	params := values[itemFileParameters]
	flags := binary.LittleEndian.Uint32(params[4:])
	if flags&2 != 0 {
		return nil, unsupported("it holds only the differences to a parent disk")
	}
	info := &Info{
		BlockSize:      int64(binary.LittleEndian.Uint32(params)),
		Fixed:          flags&1 != 0,
		ID:             GUID(values[itemDiskID]),
		LogicalSector:  int(binary.LittleEndian.Uint32(values[itemLogicalSector])),
		PhysicalSector: int(binary.LittleEndian.Uint32(values[itemPhysicalSector])),
	}
	size := binary.LittleEndian.Uint64(values[itemDiskSize])
	for _, s := range []int{info.LogicalSector, info.PhysicalSector} {
		if s != 512 && s != 4096 {
			return nil, malformed("a sector size of %d bytes", s)
		}
	}
	if b := info.BlockSize; b < minBlock || b > maxBlock || b&(b-1) != 0 {
		return nil, malformed("a block size of %d bytes", b)
	}
	if size == 0 || size > MaxSize || size%uint64(info.LogicalSector) != 0 {
		return nil, malformed("a disk size of %d bytes", size)
	}
	info.Size = int64(size)
	return info, nil
}

// readItems checks the whole metadata table and gives the known items.
func (f *file) readItems(meta region) (map[GUID][]byte, error) {
	table, err := f.read(meta.at, metaTableSize)
	if err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint16(table[10:])
	if string(table[:8]) != metaSignature || n > maxTableEntries {
		return nil, malformed("the metadata table has no signature, or %d entries", n)
	}
	known := map[GUID]uint32{}
	for _, it := range items() {
		known[it.id] = it.length
	}
	values := map[GUID][]byte{}
	type key struct {
		id   GUID
		user bool
	}
	seen := map[key]bool{}
	users := 0
	for i := range n {
		e := table[32+32*int(i):]
		id, flags := GUID(e[:16]), binary.LittleEndian.Uint32(e[24:])
		at, length := int64(binary.LittleEndian.Uint32(e[16:])), int64(binary.LittleEndian.Uint32(e[20:]))
		k := key{id, flags&flagUser != 0}
		if seen[k] {
			return nil, malformed("metadata item %s is there twice", id)
		}
		seen[k] = true
		if k.user {
			users++
		}
		if length > mib || (length == 0) != (at == 0) || length > 0 && (at < metaTableSize || at+length > meta.length) {
			return nil, malformed("metadata item %s, %d bytes at %d, does not lie in its region of %d", id, length, at, meta.length)
		}
		want, ok := known[id]
		switch {
		case ok && !k.user && length != int64(want):
			return nil, malformed("metadata item %s has %d bytes, not %d", id, length, want)
		case ok && !k.user:
			if values[id], err = f.read(meta.at+at, int(length)); err != nil {
				return nil, err
			}
		case id == itemParentLocator && !k.user:
			return nil, unsupported("it holds only the differences to a parent disk")
		case flags&flagRequired != 0:
			return nil, unsupported("it requires the unknown metadata item %s", id)
		}
	}
	if users > maxUserEntries {
		return nil, malformed("%d user metadata items, at most %d are allowed", users, maxUserEntries)
	}
	return values, itemsApart(table, int(n))
}

// itemsApart checks that no two metadata items share a byte.
func itemsApart(table []byte, n int) error {
	type span struct{ from, to uint32 }
	var all []span
	for i := range n {
		e := table[32+32*i:]
		if at, length := binary.LittleEndian.Uint32(e[16:]), binary.LittleEndian.Uint32(e[20:]); length > 0 {
			all = append(all, span{at, at + length})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	for i := 1; i < len(all); i++ {
		if all[i].from < all[i-1].to {
			return malformed("metadata items at %d and %d overlap", all[i-1].from, all[i].from)
		}
	}
	return nil
}

// readBlocks checks every entry of the block allocation table (2.5), a chunk
// at a time, and finds out whether the payload is one run.
func (f *file) readBlocks(bat region, info *Info) error {
	blocks, ratio, entries := batEntries(info.Size, info.BlockSize, int64(info.LogicalSector))
	if entries*8 > bat.length {
		return malformed("its block allocation table of %d bytes is too short for %d entries", bat.length, entries)
	}
	info.contiguous = true
	buf := make([]byte, 64*kib)
	for slot := int64(0); slot < entries; {
		part := buf[:min(int64(len(buf)), (entries-slot)*8)]
		if _, err := f.r.ReadAt(part, bat.at+slot*8); err != nil {
			return fmt.Errorf("read the block allocation table: %w", err)
		}
		for ; len(part) > 0; part, slot = part[8:], slot+1 {
			e := binary.LittleEndian.Uint64(part)
			if slot%(ratio+1) == ratio {
				if e&7 != blockNotPresent {
					return malformed("entry %d: a sector bitmap on a disk without a parent", slot)
				}
				continue
			}
			if err := f.block(info, slot-slot/(ratio+1), e); err != nil {
				return err
			}
		}
	}
	if !info.contiguous || blocks == 0 {
		info.contiguous, info.payload = false, 0
	}
	return nil
}

// block checks the entry of payload block i.
func (f *file) block(info *Info, i int64, e uint64) error {
	at := e &^ (mib - 1)
	if e&(mib-1)&^7 != 0 {
		return malformed("block %d: reserved bits are set in %#x", i, e)
	}
	switch e & 7 {
	case blockNotPresent, blockUndefined, blockZero, blockUnmapped:
		info.contiguous = false
		return nil
	case blockFullyPresent:
	default:
		return malformed("block %d: state %d", i, e&7)
	}
	if at > uint64(f.size) {
		return malformed("block %d lies at %d, beyond the end at %d", i, at, f.size)
	}
	if i == 0 {
		info.payload = int64(at)
	}
	info.contiguous = info.contiguous && int64(at) == info.payload+i*info.BlockSize
	if err := f.claim("a payload block", int64(at), info.BlockSize); err != nil {
		return fmt.Errorf("block %d: %w", i, err)
	}
	return nil
}
