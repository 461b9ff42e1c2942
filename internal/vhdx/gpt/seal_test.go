package gpt

import (
	"encoding/binary"
	"hash/crc32"
)

// reseal corrects the checksums of the primary table after a change, if its
// entries still lie where they can be read.
func reseal(m memory) {
	h := m[512:1024]
	at, n := binary.LittleEndian.Uint64(h[72:]), uint64(binary.LittleEndian.Uint32(h[80:]))*uint64(binary.LittleEndian.Uint32(h[84:]))
	if at < uint64(len(m))/512 && n <= uint64(len(m))-at*512 {
		binary.LittleEndian.PutUint32(h[88:], crc32.ChecksumIEEE(m[at*512:at*512+n]))
	}
	if size := binary.LittleEndian.Uint32(h[12:]); size >= headerSize && size <= 512 {
		clear(h[16:20])
		binary.LittleEndian.PutUint32(h[16:], crc32.ChecksumIEEE(h[:size]))
	}
}
