package layer

// Limits bound what the layers of one image may ask for. They guard silod's
// memory and the host's disk against a hostile tar; the defaults are far above
// any image seen.
type Limits struct {
	Size     int64 // bytes of all files together, holes too
	Entries  int   // of all tars together; each takes about 250 bytes of memory while building
	Metadata int64 // bytes of all names, link targets and extended attributes together
}

// DefaultLimits are those of a Store that Open returns.
func DefaultLimits() Limits {
	return Limits{Size: 1 << 40, Entries: 4_000_000, Metadata: 512 << 20}
}

const (
	maxPath  = 4096      // bytes of one path, Linux's PATH_MAX
	maxDepth = 2048      // folders above a file: what PATH_MAX allows
	maxLinks = 40        // symbolic links on the way to one entry, as in path_resolution(7)
	maxID    = 1<<32 - 2 // the last user id; the one after it means "none"

	// A container has 65,536 ids; the files of others show as nobody's.
	containerIDs = 1 << 16

	// Headers and padding of a tar beyond the content of its files.
	tarOverhead = 16 << 30

	// Times that ext4, which holds what containers write, can hold.
	minTime = -1 << 31
	maxTime = 1<<34 - 1<<31 - 1
)
