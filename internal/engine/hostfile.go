package engine

import (
	"os"
	"strings"
	"sync"

	"silo/internal/linux"
)

// hostFile is a small file of the host that is read again when it has changed:
// each start needs what is in it.
type hostFile struct {
	path string

	mu    sync.Mutex
	kept  bool // data is that of stamp, and stamp tells the next change
	stamp linux.Stamp
	data  []byte
}

// bytes gives the content, which is not to be changed; nil if there is none.
func (f *hostFile) bytes() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	stamp, settled, err := linux.StampOf(f.path)
	if err != nil {
		f.kept, f.data = false, nil
		return nil
	}
	if f.kept && f.stamp == stamp {
		return f.data
	}
	f.kept, f.stamp = settled, stamp
	f.data, _ = os.ReadFile(f.path) // one that cannot be read has nothing for us
	return f.data
}

// search gives the search domains of a resolv.conf.
func (f *hostFile) search() []string {
	for line := range strings.Lines(string(f.bytes())) {
		if f := strings.Fields(line); len(f) > 1 && (f[0] == "search" || f[0] == "domain") {
			return f[1:]
		}
	}
	return nil
}
