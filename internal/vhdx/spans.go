package vhdx

// spans is a set of MiB of a file, one bit each: all structures of the format
// are aligned to 1 MiB, and a bit a MiB bounds the memory that a hostile file
// can make Open use (16 MiB for the largest file it takes).
type spans []uint64

func newSpans(fileSize int64) spans { return make(spans, fileSize/mib/64+1) }

// add puts n MiB from first on into the set and tells whether none of them
// was there. The caller has checked that they lie in the file.
func (s spans) add(first, n int64) bool {
	for n > 0 {
		bit := first % 64
		take := min(64-bit, n)
		mask := ^uint64(0) >> (64 - take) << bit
		if s[first/64]&mask != 0 {
			return false
		}
		s[first/64] |= mask
		first, n = first+take, n-take
	}
	return true
}
