package erofs

import (
	"encoding/binary"
	"hash/crc32"
	"strings"
)

// File types and permission bits of Inode.Mode, as in stat(2).
const (
	TypeMask  = 0o170000
	TypeFIFO  = 0o010000
	TypeDir   = 0o040000
	TypeReg   = 0o100000
	TypeLink  = 0o120000
	PermMask  = 0o007777
	MaxName   = 255  // bytes of one name
	MaxTarget = 4095 // bytes of a symbolic link's target: PATH_MAX less its NUL
)

// MaxXattrBytes bounds the extended attributes of one inode as stored; the
// format holds 256 KiB, Linux gives no more than 64 KiB to one value.
const MaxXattrBytes = 128 << 10

const (
	blockBits   = 12
	blockSize   = 1 << blockBits
	slotBits    = 5 // inode numbers count slots of 32 bytes
	superOffset = 1024
	superMagic  = 0xE0F5E1E2

	compatChecksum  = 0x1
	compatMtime     = 0x2
	incompatChunked = 0x4

	inodeSize  = 64 // the extended form; the compact one has no time
	direntSize = 12

	layoutPlain  = 0
	layoutInline = 2
	layoutChunk  = 4

	nullBlock = 0xFFFFFFFF

	xattrHeader = 12
	xattrEntry  = 4
)

// direntType gives the file type number of directory entries.
func direntType(mode uint16) uint8 {
	switch mode & TypeMask {
	case TypeReg:
		return 1
	case TypeDir:
		return 2
	case TypeFIFO:
		return 5
	case TypeLink:
		return 7
	}
	return 0
}

// xattrPrefixes are the names that the kernel's EROFS serves. An ACL's name
// is its prefix, with nothing after it.
var xattrPrefixes = []struct {
	index  uint8
	prefix string
	whole  bool
}{
	{1, "user.", false},
	{2, "system.posix_acl_access", true},
	{3, "system.posix_acl_default", true},
	{4, "trusted.", false},
	{6, "security.", false},
}

// splitXattr gives the number of a name's prefix and the rest of the name.
func splitXattr(name string) (index uint8, rest string, ok bool) {
	for _, p := range xattrPrefixes {
		rest, found := strings.CutPrefix(name, p.prefix)
		if found && (rest == "") == p.whole && len(rest) <= 255 {
			return p.index, rest, true
		}
	}
	return 0, "", false
}

// XattrName tells whether the format can hold an attribute of this name: one
// of user., trusted. and security., or a POSIX ACL.
func XattrName(name string) bool {
	_, _, ok := splitXattr(name)
	return ok
}

// xattrSize gives the bytes that attributes take after their inode.
func xattrSize(xs []Xattr) int {
	if len(xs) == 0 {
		return 0
	}
	n := xattrHeader
	for _, x := range xs {
		_, rest, _ := splitXattr(x.Name)
		n += (xattrEntry + len(rest) + len(x.Value) + 3) &^ 3
	}
	return n
}

// appendXattrs appends attributes as they follow an inode.
func appendXattrs(b []byte, xs []Xattr) []byte {
	if len(xs) == 0 {
		return b
	}
	b = append(b, make([]byte, xattrHeader)...)
	for _, x := range xs {
		index, rest, _ := splitXattr(x.Name)
		b = append(b, uint8(len(rest)), index)
		b = binary.LittleEndian.AppendUint16(b, uint16(len(x.Value)))
		b = append(b, rest...)
		b = append(b, x.Value...)
		for len(b)%4 != 0 {
			b = append(b, 0)
		}
	}
	return b
}

// appendInode appends the extended form of an inode.
func appendInode(b []byte, n *Inode) []byte {
	le := binary.LittleEndian
	count := 0
	if len(n.Xattrs) > 0 {
		count = (xattrSize(n.Xattrs)-xattrHeader)/4 + 1
	}
	b = le.AppendUint16(b, 1|uint16(n.layout)<<1)
	b = le.AppendUint16(b, uint16(count))
	b = le.AppendUint16(b, n.Mode)
	b = le.AppendUint16(b, 0)
	b = le.AppendUint64(b, uint64(n.size))
	b = le.AppendUint32(b, n.union())
	b = le.AppendUint32(b, uint32(n.nid))
	b = le.AppendUint32(b, n.UID)
	b = le.AppendUint32(b, n.GID)
	b = le.AppendUint64(b, uint64(n.Sec))
	b = le.AppendUint32(b, n.Nsec)
	b = le.AppendUint32(b, n.nlink)
	return append(b, make([]byte, 16)...)
}

// super holds what differs between the superblocks of two images.
type super struct {
	root      uint16
	inodes    uint64
	blocks    uint32
	metaBlock uint32
	chunked   bool
	uuid      [16]byte
}

// block gives block 0: the superblock, with its checksum.
func (s super) block() []byte {
	b := make([]byte, blockSize)
	p := b[superOffset:]
	le := binary.LittleEndian
	le.PutUint32(p[0:], superMagic)
	le.PutUint32(p[8:], compatChecksum|compatMtime)
	p[12] = blockBits
	le.PutUint16(p[14:], s.root)
	le.PutUint64(p[16:], s.inodes)
	le.PutUint32(p[36:], s.blocks)
	le.PutUint32(p[40:], s.metaBlock)
	copy(p[48:], s.uuid[:])
	if s.chunked {
		le.PutUint32(p[80:], incompatChunked)
	}
	// CRC-32C of the rest of the block, without the final inversion.
	le.PutUint32(p[4:], ^crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
	return b
}
