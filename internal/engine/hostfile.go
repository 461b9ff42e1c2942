package engine

import (
	"os"
	"strings"
	"sync"
	"time"
)

// hostFile is a small file of the host that is read again when it has changed:
// each start needs what is in it.
type hostFile struct {
	path string

	mu   sync.Mutex
	info os.FileInfo // of data; nil: nothing was read yet
	read time.Time
	data []byte
}

// settled is how old a file must have been when it was read for its time to
// tell the next change: the kernel's clock for files has steps of some ms.
const settled = 100 * time.Millisecond

// bytes gives the content, which is not to be changed; nil if there is none.
func (f *hostFile) bytes() []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		f.info, f.data = nil, nil
		return nil
	}
	if f.info != nil && os.SameFile(f.info, info) && f.info.Size() == info.Size() && f.info.ModTime().Equal(info.ModTime()) && f.read.Sub(info.ModTime()) > settled {
		return f.data
	}
	f.info, f.read = info, time.Now()
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
