// Package gpt writes and reads a GUID partition table, as the UEFI
// specification (2.10, chapter 5) describes it, for disks of 512-byte
// sectors. It is pure: it knows readers and writers only.
package gpt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf16"

	"silo/internal/vhdx"
)

const (
	sector     = 512
	mib        = 1 << 20
	headerSize = 92
	entrySize  = 128
	entryCount = 128
	tableSize  = entrySize * entryCount
	signature  = "EFI PART"

	// maxTable bounds the entries that Read takes from a foreign disk.
	maxTable = mib

	// MinSize is the smallest disk for Write: 1 MiB in front of the
	// partition, 1 MiB of it, 1 MiB behind it.
	MinSize = 3 * mib
)

// ErrFormat: the disk holds no sound GUID partition table.
var ErrFormat = errors.New("no sound GUID partition table")

// LinuxFilesystem is the partition type of a Linux file system.
func LinuxFilesystem() vhdx.GUID {
	// 0FC63DAF-8483-4772-8E79-3D69D8477DE4
	return vhdx.GUID{0xaf, 0x3d, 0xc6, 0x0f, 0x83, 0x84, 0x72, 0x47, 0x8e, 0x79, 0x3d, 0x69, 0xd8, 0x47, 0x7d, 0xe4}
}

// Partition is one partition; Offset and Size are in bytes.
type Partition struct {
	Type, ID     vhdx.GUID
	Offset, Size int64
	Name         string // at most 36 UTF-16 units
}

// Plan gives the place of the one partition on a disk of size bytes: from
// 1 MiB on, up to the last whole MiB that leaves room for the backup table.
func Plan(size int64) (offset, length int64, err error) {
	if size < MinSize || size%sector != 0 {
		return 0, 0, fmt.Errorf("partition a disk of %d bytes: it must be a multiple of 512 and at least %d", size, MinSize)
	}
	return mib, (size-tableSize-sector)/mib*mib - mib, nil
}

// Write writes a protective MBR, the table and its backup for one Linux file
// system partition, with new identifiers, onto a disk of zeros.
func Write(w io.WriterAt, size int64, name string) (Partition, error) {
	at, length, err := Plan(size)
	if err != nil {
		return Partition{}, err
	}
	p := Partition{Type: LinuxFilesystem(), ID: vhdx.NewGUID(), Offset: at, Size: length, Name: name}
	table := make([]byte, tableSize)
	copy(table[0:], p.Type[:])
	copy(table[16:], p.ID[:])
	binary.LittleEndian.PutUint64(table[32:], uint64(at/sector))
	binary.LittleEndian.PutUint64(table[40:], uint64((at+length)/sector-1))
	units := utf16.Encode([]rune(name))
	for i, u := range units[:min(len(units), 36)] {
		binary.LittleEndian.PutUint16(table[56+2*i:], u)
	}
	last := size/sector - 1
	backup := last - tableSize/sector
	sum, disk := crc32.ChecksumIEEE(table), vhdx.NewGUID()
	parts := []struct {
		lba  int64
		data []byte
	}{
		// Only the first sector of the entries is not zero.
		{backup, table[:sector]},
		{last, header(last, 1, backup, last, disk, sum)},
		{2, table[:sector]},
		{1, header(1, last, 2, last, disk, sum)},
		{0, protectiveMBR(size / sector)},
	}
	for _, part := range parts {
		if _, err := w.WriteAt(part.data, part.lba*sector); err != nil {
			return p, err
		}
	}
	return p, nil
}

// header makes the header at LBA self with its twin at other.
func header(self, other, entries, last int64, disk vhdx.GUID, entriesSum uint32) []byte {
	b := make([]byte, sector)
	copy(b, signature)
	binary.LittleEndian.PutUint32(b[8:], 0x00010000) // revision 1.0
	binary.LittleEndian.PutUint32(b[12:], headerSize)
	binary.LittleEndian.PutUint64(b[24:], uint64(self))
	binary.LittleEndian.PutUint64(b[32:], uint64(other))
	binary.LittleEndian.PutUint64(b[40:], 2+tableSize/sector)              // first usable
	binary.LittleEndian.PutUint64(b[48:], uint64(last-tableSize/sector-1)) // last usable
	copy(b[56:], disk[:])
	binary.LittleEndian.PutUint64(b[72:], uint64(entries))
	binary.LittleEndian.PutUint32(b[80:], entryCount)
	binary.LittleEndian.PutUint32(b[84:], entrySize)
	binary.LittleEndian.PutUint32(b[88:], entriesSum)
	binary.LittleEndian.PutUint32(b[16:], crc32.ChecksumIEEE(b[:headerSize]))
	return b
}

// protectiveMBR keeps tools that know only MBR from taking the disk as empty.
func protectiveMBR(sectors int64) []byte {
	b := make([]byte, sector)
	e := b[446:]
	copy(e[1:], []byte{0x00, 0x02, 0x00}) // CHS of LBA 1
	e[4] = 0xee                           // GPT protective
	copy(e[5:], []byte{0xff, 0xff, 0xff})
	binary.LittleEndian.PutUint32(e[8:], 1)
	binary.LittleEndian.PutUint32(e[12:], uint32(min(sectors-1, 0xffffffff)))
	b[510], b[511] = 0x55, 0xaa
	return b
}

// Read gives the partitions of a disk of size bytes, from the table or, if
// that is damaged, from its backup. Each lies on the disk and overlaps no
// other. Errors are ErrFormat or those of r.
func Read(r io.ReaderAt, size int64) ([]Partition, error) {
	if size < MinSize || size%sector != 0 {
		return nil, fmt.Errorf("%w: a disk of %d bytes", ErrFormat, size)
	}
	parts, err := readTable(r, 1, size/sector)
	if errors.Is(err, ErrFormat) {
		if backup, err2 := readTable(r, size/sector-1, size/sector); err2 == nil {
			return backup, nil
		}
	}
	return parts, err
}

func readTable(r io.ReaderAt, lba, sectors int64) ([]Partition, error) {
	h := make([]byte, sector)
	if _, err := r.ReadAt(h, lba*sector); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(h[12:])
	if string(h[:8]) != signature || n < headerSize || n > sector {
		return nil, fmt.Errorf("%w: no header in sector %d", ErrFormat, lba)
	}
	sum := binary.LittleEndian.Uint32(h[16:])
	clear(h[16:20])
	if crc32.ChecksumIEEE(h[:n]) != sum || binary.LittleEndian.Uint64(h[24:]) != uint64(lba) {
		return nil, fmt.Errorf("%w: the checksum of the header in sector %d is wrong", ErrFormat, lba)
	}
	at := binary.LittleEndian.Uint64(h[72:])
	count, each := uint64(binary.LittleEndian.Uint32(h[80:])), uint64(binary.LittleEndian.Uint32(h[84:]))
	if each < entrySize || each > maxTable || count*each > maxTable || at >= uint64(sectors) || count*each > (uint64(sectors)-at)*sector {
		return nil, fmt.Errorf("%w: %d entries of %d bytes at sector %d", ErrFormat, count, each, at)
	}
	table := make([]byte, count*each)
	if _, err := r.ReadAt(table, int64(at)*sector); err != nil {
		return nil, err
	}
	if crc32.ChecksumIEEE(table) != binary.LittleEndian.Uint32(h[88:]) {
		return nil, fmt.Errorf("%w: the checksum of the entries at sector %d is wrong", ErrFormat, at)
	}
	first, last := binary.LittleEndian.Uint64(h[40:]), binary.LittleEndian.Uint64(h[48:])
	if last >= uint64(sectors) {
		return nil, fmt.Errorf("%w: usable up to sector %d of %d", ErrFormat, last, sectors)
	}
	return entries(table, each, first, last)
}

// entries reads the used entries of a table; first and last are the sectors
// that partitions may use.
func entries(table []byte, each, first, last uint64) ([]Partition, error) {
	var all []Partition
	for ; uint64(len(table)) >= each; table = table[each:] {
		p := Partition{Type: vhdx.GUID(table[:16]), ID: vhdx.GUID(table[16:32])}
		if p.Type == (vhdx.GUID{}) {
			continue
		}
		from, to := binary.LittleEndian.Uint64(table[32:]), binary.LittleEndian.Uint64(table[40:])
		if from < first || to > last || from > to {
			return nil, fmt.Errorf("%w: a partition from sector %d to %d, usable are %d to %d", ErrFormat, from, to, first, last)
		}
		p.Offset, p.Size = int64(from)*sector, int64(to-from+1)*sector
		for _, q := range all {
			if p.Offset < q.Offset+q.Size && q.Offset < p.Offset+p.Size {
				return nil, fmt.Errorf("%w: partitions at %d and %d overlap", ErrFormat, q.Offset, p.Offset)
			}
		}
		var name []uint16
		for b := table[56:128]; len(b) > 0 && binary.LittleEndian.Uint16(b) != 0; b = b[2:] {
			name = append(name, binary.LittleEndian.Uint16(b))
		}
		p.Name = string(utf16.Decode(name))
		all = append(all, p)
	}
	return all, nil
}
