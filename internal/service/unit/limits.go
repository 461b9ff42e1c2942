package unit

// What a hostile image can make large is bounded here. Each bound is far above
// what real units need and far below what hurts the agent.
const (
	mostFileSize   = 256 << 10 // bytes of one unit file or drop-in
	mostDirEntries = 4096      // names read of one folder; the rest is ignored
	mostDropIns    = 128       // of one unit
	mostLinks      = 32        // symbolic links followed for one path or name
	mostParts      = 4096      // of a path that links make
	mostUnits      = 2048      // units in one Set
	mostNotes      = 64        // of one unit
	mostList       = 1024      // entries of one list of a unit
	mostNameLen    = 255
	mostCircles    = 64      // in the order of one transaction
	mostExpanded   = 1 << 20 // bytes of one value after specifiers, or of one command line after variables
)
