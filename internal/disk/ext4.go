package disk

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"

	"silo/internal/errs"
	"silo/internal/vhdx"
)

// Places in the ext4 superblock, from Documentation/filesystems/ext4/super.rst.
const (
	superAt       = 1024 // from the start of its block group, the first one only
	superSize     = 1024
	blockSize     = 4096
	superBlocks   = 0x04  // u32, low half
	superLogBlock = 0x18  // u32, block size is 1024 << it
	superPerGroup = 0x20  // u32, blocks in a group
	superMagic    = 0x38  // u16
	superIncompat = 0x60  // u32
	superUUID     = 0x68  // 16 bytes
	superHashSeed = 0xec  // 16 bytes
	superBackedUp = 0xfd  // u8, 1: the next is valid
	superJournal  = 0x10c // 15 u32, copy of the extent tree of the journal's inode
	superBackups  = 0x24c // two u32, groups that hold copies (sparse_super2)
	superChecksum = 0x3fc // u32, of all before it

	ext4Magic    = 0xef53
	csumSeedFlag = 0x2000 // incompatible feature metadata_csum_seed
	extentMagic  = 0xf30a
	extentsMost  = 4 // in an inode
)

// superblock is one copy of it.
type superblock []byte

func (s superblock) u32(at int) uint32 { return binary.LittleEndian.Uint32(s[at:]) }

// sum is ext4's CRC-32C, which does not invert the result as hash/crc32 does.
func (s superblock) sum() uint32 {
	return ^crc32.Checksum(s[:superChecksum], crc32.MakeTable(crc32.Castagnoli))
}

func readSuper(f *os.File, at int64) (superblock, error) {
	s := make(superblock, superSize)
	if _, err := f.ReadAt(s, at); err != nil {
		return nil, fmt.Errorf("read the ext4 superblock: %w", err)
	}
	if binary.LittleEndian.Uint16(s[superMagic:]) != ext4Magic || s.sum() != s.u32(superChecksum) {
		return nil, errs.New(errs.Internal, "no sound ext4 superblock at byte %d", at)
	}
	return s, nil
}

// extent is a run of blocks of a file system.
type extent struct{ block, blocks int64 }

// journal gives the places of the journal in a file system of so many blocks.
func (s superblock) journal(blocks int64) ([]extent, error) {
	tree := s[superJournal:]
	n := int(binary.LittleEndian.Uint16(tree[2:]))
	depth := binary.LittleEndian.Uint16(tree[6:])
	if s[superBackedUp] != 1 || binary.LittleEndian.Uint16(tree) != extentMagic || n < 1 || n > extentsMost || depth != 0 {
		return nil, errs.New(errs.NotSupported, "the superblock does not tell where the journal is")
	}
	var runs []extent
	for i := range n {
		e := tree[12*(i+1):]
		r := extent{
			block:  int64(binary.LittleEndian.Uint16(e[6:]))<<32 | int64(binary.LittleEndian.Uint32(e[8:])),
			blocks: int64(binary.LittleEndian.Uint16(e[4:])),
		}
		if r.blocks < 1 || r.blocks > journalMost*mib/blockSize || r.block > blocks-r.blocks {
			return nil, errs.New(errs.Internal, "the superblock tells of a journal in blocks %d to %d of %d", r.block, r.block+r.blocks, blocks)
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// sound tells whether f is a template for size bytes that renew can handle.
func sound(f *os.File, size int64) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	s, err := readSuper(f, superAt)
	if err != nil {
		return err
	}
	if st.Size() != size || int64(s.u32(superBlocks))*blockSize != size || 1024<<s.u32(superLogBlock) != blockSize || s.u32(superIncompat)&csumSeedFlag == 0 {
		return fmt.Errorf("not the expected file system of %d bytes", size)
	}
	return nil
}

// renew gives the copied file system at byte at a UUID and a hash seed of its
// own, in the superblock and its copies. Two disks with one UUID confuse the
// host's tools; with one hash seed, names that collide in one collide in all.
// No folder of a template is large enough to have been hashed with the old one.
func renew(f *os.File, at int64) error {
	s, err := readSuper(f, at+superAt)
	if err != nil {
		return err
	}
	// Only the fields of a GUID differ in byte order; a random one has none.
	uuid, seed := uuid4(), uuid4()
	places := []int64{superAt}
	for _, b := range []int{superBackups, superBackups + 4} {
		if group := s.u32(b); group != 0 {
			places = append(places, int64(group)*int64(s.u32(superPerGroup))*blockSize)
		}
	}
	for _, place := range places {
		s, err := readSuper(f, at+place)
		if err != nil {
			return err
		}
		copy(s[superUUID:], uuid[:])
		copy(s[superHashSeed:], seed[:])
		binary.LittleEndian.PutUint32(s[superChecksum:], s.sum())
		if _, err := f.WriteAt(s, at+place); err != nil {
			return err
		}
	}
	return nil
}

// uuid4 is a random UUID in the byte order of RFC 9562, in which ext4 keeps it.
func uuid4() [16]byte {
	g := vhdx.NewGUID()
	g[6], g[7] = g[7], g[6]
	return g
}
