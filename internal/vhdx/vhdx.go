// Package vhdx writes and reads the VHDX file format, as [MS-VHDX] describes
// it. It is pure: it knows readers and writers, no kernel and no mounts.
//
// Create writes a fixed disk whose payload blocks all lie in the file, in
// order and without a gap, so that the disk is also a plain run of bytes at
// Layout.PayloadOffset: a loop device serves it with no translation, and the
// block allocation table never changes while it does. Open accepts disks of
// other makers too and tells by Info.Contiguous whether they have that form.
//
//	0       file type identifier
//	64 KiB  header 1        128 KiB  header 2
//	192 KiB region table 1  256 KiB  region table 2
//	1 MiB   log (empty)     2 MiB    metadata
//	3 MiB   block allocation table
//	4 MiB   payload
//
// [MS-VHDX]: https://learn.microsoft.com/openspecs/windows_protocols/ms-vhdx
package vhdx

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

const (
	kib = 1 << 10
	mib = 1 << 20

	// MaxSize is the largest virtual disk of the format, 64 TiB (2.6.2.2).
	MaxSize = 64 << 40

	// Places and sizes fixed by the format (2.2).
	headerSection   = mib
	headerSize      = 4 * kib
	regionTableSize = 64 * kib
	metaTableSize   = 64 * kib
	header1At       = 64 * kib
	header2At       = 128 * kib
	regionTable1At  = 192 * kib
	regionTable2At  = 256 * kib

	maxTableEntries = 2047    // 2.2.3.1 and 2.6.1.1
	maxUserEntries  = 1024    // 2.6.1.2
	chunkSectors    = 1 << 23 // logical sectors that one sector bitmap describes (2.4)
	minBlock        = mib
	maxBlock        = 256 * mib
)

// Signatures. Numbers are those of the specification, read little-endian.
const (
	fileSignature   = "vhdxfile"
	headerSignature = "head"
	regionSignature = "regi"
	metaSignature   = "metadata"
)

// States of a block (2.5.1.1). A sector bitmap of a disk without a parent is
// never present.
const (
	blockNotPresent   = 0
	blockUndefined    = 1
	blockZero         = 2
	blockUnmapped     = 3
	blockFullyPresent = 6
)

// Kinds of failure that a caller may tell apart.
var (
	// ErrFormat: the file is not a VHDX file, or a damaged one.
	ErrFormat = errors.New("not a sound VHDX file")
	// ErrUnsupported: a sound file that needs what this package has not.
	ErrUnsupported = errors.New("VHDX file of a kind that is not supported")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

// Regions and metadata items that this package knows (2.2.3.2, 2.6.2).
var (
	regionBAT      = mustGUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
	regionMetadata = mustGUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")

	itemFileParameters = mustGUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
	itemDiskSize       = mustGUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
	itemDiskID         = mustGUID("BECA12AB-B2E6-4523-93EF-C309E000C746")
	itemLogicalSector  = mustGUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
	itemPhysicalSector = mustGUID("CDA348C7-445D-4471-9CC9-E9885251C556")
	itemParentLocator  = mustGUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
)

// GUID is an identifier in its binary form: the first three fields
// little-endian, the rest as written. GPT uses the same form.
type GUID [16]byte

// NewGUID makes a random (version 4) identifier.
func NewGUID() GUID {
	var g GUID
	rand.Read(g[:])         // never fails (crypto/rand)
	g[7] = g[7]&0x0f | 0x40 // version 4, in the high byte of field 3
	g[8] = g[8]&0x3f | 0x80 // variant of RFC 9562
	return g
}

// ParseGUID reads the form 2DC27766-F623-4200-9D64-115E9BFD4A08.
func ParseGUID(s string) (GUID, error) {
	var a uint32
	var b, c, d uint16
	var e uint64
	if n, err := fmt.Sscanf(s, "%08x-%04x-%04x-%04x-%012x", &a, &b, &c, &d, &e); err != nil || n != 5 || len(s) != 36 {
		return GUID{}, malformed("%q is not a GUID", s)
	}
	var g GUID
	binary.LittleEndian.PutUint32(g[0:], a)
	binary.LittleEndian.PutUint16(g[4:], b)
	binary.LittleEndian.PutUint16(g[6:], c)
	binary.BigEndian.PutUint64(g[8:], uint64(d)<<48|e)
	return g, nil
}

func mustGUID(s string) GUID {
	g, err := ParseGUID(s)
	if err != nil {
		panic(err)
	}
	return g
}

func (g GUID) String() string {
	return fmt.Sprintf("%08X-%04X-%04X-%04X-%012X", binary.LittleEndian.Uint32(g[0:]), binary.LittleEndian.Uint16(g[4:]),
		binary.LittleEndian.Uint16(g[6:]), binary.BigEndian.Uint16(g[8:]), binary.BigEndian.Uint64(g[8:])&(1<<48-1))
}

// castagnoli gives the polynomial of CRC-32C; the table itself is cached by
// hash/crc32.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// checksum is the CRC-32C of b with its four bytes at offset 4, where headers
// and region tables keep it, taken as zero.
func checksum(b []byte) uint32 {
	t := castagnoli()
	sum := crc32.Update(0, t, b[:4])
	sum = crc32.Update(sum, t, []byte{0, 0, 0, 0})
	return crc32.Update(sum, t, b[8:])
}

// batEntries gives the length of the block allocation table of a disk without
// a parent: one slot a payload block, and one for a sector bitmap after each
// full chunk, but none after the last block (2.5).
func batEntries(size, blockSize, logicalSector int64) (blocks, ratio, entries int64) {
	ratio = chunkSectors * logicalSector / blockSize
	blocks = (size + blockSize - 1) / blockSize
	return blocks, ratio, blocks + (blocks-1)/ratio
}
