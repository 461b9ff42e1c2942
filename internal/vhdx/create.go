package vhdx

import (
	"encoding/binary"
	"fmt"
	"io"
	"unicode/utf16"
)

const (
	logicalSector  = 512
	physicalSector = 4096

	logAt     = 1 * mib
	metaAt    = 2 * mib
	batAt     = 3 * mib
	payloadAt = 4 * mib

	// fewBlocks is how many payload blocks a disk may have before its block
	// size doubles: so many fit, with their sector bitmap slots, in one 4 KiB
	// page of the table up to a disk of 127 GiB.
	fewBlocks = 508
)

// Params says what disk to make.
type Params struct {
	Size int64 // bytes; a multiple of 1 MiB, at most MaxSize
	ID   GUID  // of the disk, as SCSI page 83 gives it; zero: a random one
}

// Layout is where things lie in the file.
type Layout struct {
	PayloadOffset int64 // first byte of the disk
	FileSize      int64 // bytes; most of them a hole
	BlockSize     int64 // bytes of a payload block
}

// Writer is what Create writes to: a new, empty file.
type Writer interface {
	io.WriterAt
	Truncate(size int64) error
}

// Plan gives the layout that Create will write.
func Plan(p Params) (Layout, error) {
	if p.Size <= 0 || p.Size > MaxSize || p.Size%mib != 0 {
		return Layout{}, fmt.Errorf("vhdx of %d bytes: the size must be a multiple of 1 MiB and at most 64 TiB", p.Size)
	}
	block := int64(minBlock)
	for block < maxBlock && (p.Size+block-1)/block > fewBlocks {
		block *= 2
	}
	// A fixed disk holds each block in full, the last one too.
	blocks := (p.Size + block - 1) / block
	payload := int64(payloadAt)
	if _, _, n := batEntries(p.Size, block, logicalSector); n*8 > payloadAt-batAt {
		payload = batAt + roundUp(n*8, mib)
	}
	return Layout{PayloadOffset: payload, FileSize: payload + blocks*block, BlockSize: block}, nil
}

// Create writes a fixed disk of zeros into the empty file w. It touches only
// the structures, some 40 KiB; a hole stays a hole, and what already lies in
// the payload stays too. The identifier that makes the file a VHDX file is
// written last.
func Create(w Writer, p Params) (Layout, error) {
	l, err := Plan(p)
	if err != nil {
		return l, err
	}
	if p.ID == (GUID{}) {
		p.ID = NewGUID()
	}
	if err := w.Truncate(l.FileSize); err != nil {
		return l, err
	}
	table := regionTable(l)
	dataWrite := NewGUID()
	parts := []struct {
		at   int64
		data []byte
	}{
		{batAt, blockTable(p, l)},
		{metaAt, metadataTable()},
		{metaAt + metaTableSize, metadataItems(p, l)},
		{regionTable1At, table},
		{regionTable2At, table},
		{header1At, header(1, dataWrite)},
		{header2At, header(2, dataWrite)},
		{0, identifier()},
	}
	for _, part := range parts {
		if _, err := w.WriteAt(part.data, part.at); err != nil {
			return l, err
		}
	}
	return l, nil
}

func roundUp(n, to int64) int64 { return (n + to - 1) / to * to }

func identifier() []byte {
	b := []byte(fileSignature)
	for _, u := range utf16.Encode([]rune("Silo")) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return append(b, make([]byte, 8+512-len(b))...)
}

// header has a zero log GUID: nothing to replay.
func header(sequence uint64, dataWrite GUID) []byte {
	b := make([]byte, headerSize)
	copy(b, headerSignature)
	binary.LittleEndian.PutUint64(b[8:], sequence)
	fileWrite := NewGUID()
	copy(b[16:], fileWrite[:])
	copy(b[32:], dataWrite[:])
	binary.LittleEndian.PutUint16(b[66:], 1) // format version
	binary.LittleEndian.PutUint32(b[68:], metaAt-logAt)
	binary.LittleEndian.PutUint64(b[72:], logAt)
	binary.LittleEndian.PutUint32(b[4:], checksum(b))
	return b
}

// regionTable gives the used start of the table; its checksum is over all 64
// KiB, whose rest is a hole.
func regionTable(l Layout) []byte {
	b := make([]byte, regionTableSize)
	copy(b, regionSignature)
	binary.LittleEndian.PutUint32(b[8:], 2)
	regions := []struct {
		id      GUID
		at, len int64
	}{{regionBAT, batAt, l.PayloadOffset - batAt}, {regionMetadata, metaAt, batAt - metaAt}}
	for i, r := range regions {
		e := b[16+32*i:]
		copy(e, r.id[:])
		binary.LittleEndian.PutUint64(e[16:], uint64(r.at))
		binary.LittleEndian.PutUint32(e[24:], uint32(r.len))
		binary.LittleEndian.PutUint32(e[28:], 1) // required
	}
	binary.LittleEndian.PutUint32(b[4:], checksum(b))
	return b[:4*kib]
}

// Flags of a metadata table entry (2.6.1.2).
const (
	flagUser     = 1
	flagDisk     = 2 // of the virtual disk, not of the file
	flagRequired = 4
)

// item is a metadata item as this package writes and knows it.
type item struct {
	id     GUID
	length uint32
	flags  uint32
}

// items in the order in which they lie after the metadata table.
func items() []item {
	return []item{
		{itemFileParameters, 8, flagRequired},
		{itemDiskSize, 8, flagDisk | flagRequired},
		{itemDiskID, 16, flagDisk | flagRequired},
		{itemLogicalSector, 4, flagDisk | flagRequired},
		{itemPhysicalSector, 4, flagDisk | flagRequired},
	}
}

func metadataTable() []byte {
	b := make([]byte, 4*kib)
	copy(b, metaSignature)
	binary.LittleEndian.PutUint16(b[10:], uint16(len(items())))
	at := uint32(metaTableSize)
	for i, it := range items() {
		e := b[32+32*i:]
		copy(e, it.id[:])
		binary.LittleEndian.PutUint32(e[16:], at)
		binary.LittleEndian.PutUint32(e[20:], it.length)
		binary.LittleEndian.PutUint32(e[24:], it.flags)
		at += it.length
	}
	return b
}

func metadataItems(p Params, l Layout) []byte {
	var b []byte
	b = binary.LittleEndian.AppendUint32(b, uint32(l.BlockSize))
	b = binary.LittleEndian.AppendUint32(b, 1) // LeaveBlockAllocated: a fixed disk
	b = binary.LittleEndian.AppendUint64(b, uint64(p.Size))
	b = append(b, p.ID[:]...)
	b = binary.LittleEndian.AppendUint32(b, logicalSector)
	return binary.LittleEndian.AppendUint32(b, physicalSector)
}

// blockTable has every payload block present and in order. Sector bitmaps
// keep their slots and are not present.
func blockTable(p Params, l Layout) []byte {
	blocks, ratio, entries := batEntries(p.Size, l.BlockSize, logicalSector)
	b := make([]byte, entries*8)
	for i := range blocks {
		slot := i + i/ratio
		// The offset in MiB fills the high 44 bits, which is the offset itself.
		binary.LittleEndian.PutUint64(b[slot*8:], uint64(l.PayloadOffset+i*l.BlockSize)|blockFullyPresent)
	}
	return b
}
