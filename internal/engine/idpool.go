package engine

import (
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"strconv"
	"strings"
	"sync"

	"silo/internal/errs"
)

// rangeSize is how many user and group ids a container has.
const rangeSize = 65536

// IDPool is a run of host ids from which containers get their ranges.
type IDPool struct{ First, Count uint32 }

// DefaultIDs lie above what systemd hands out to users, services and its own
// containers (systemd UIDS-GIDS, "0x70000000 and up") and below 2^31: 4,095
// ranges.
var DefaultIDs = IDPool{First: 0x70000000, Count: 4095 * rangeSize}

// ParseIDPool reads "FIRST:COUNT".
func ParseIDPool(s string) (IDPool, error) {
	first, count, ok := strings.Cut(s, ":")
	f, err1 := strconv.ParseUint(first, 10, 32)
	n, err2 := strconv.ParseUint(count, 10, 32)
	if !ok || err1 != nil || err2 != nil || n < rangeSize || f < rangeSize || f+n > 1<<32-1 {
		return IDPool{}, errs.Invalidf("id pool %q: give FIRST:COUNT, FIRST from 65536 up and COUNT a multiple of 65536, as in 1879048192:268369920", s)
	}
	return IDPool{First: uint32(f), Count: uint32(n) / rangeSize * rangeSize}, nil
}

// idAllocator hands out ranges. Freed ones are used again last, and daemons
// with different data roots begin at different places of one pool, so that
// they seldom meet in it.
type idAllocator struct {
	pool   IDPool
	claims hostClaims
	mu     sync.Mutex
	used   map[uint32]string // whose: a container's folder
	next   uint32            // index of the range to try first
}

func newIDAllocator(p IDPool, claims hostClaims, seed string) *idAllocator {
	h := fnv.New32a()
	_, _ = h.Write([]byte(seed))
	return &idAllocator{pool: p, claims: claims, used: map[uint32]string{}, next: h.Sum32() % (p.Count / rangeSize)}
}

// take gives a range of its own to the container with the folder dir, and
// makes the folder: while it is there the range is taken.
func (a *idAllocator) take(dir string) (first uint32, err error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return 0, fmt.Errorf("make container folder: %w", err)
	}
	if first, err = a.find(dir); err != nil {
		return 0, errors.Join(err, os.Remove(dir))
	}
	return first, nil
}

func (a *idAllocator) find(dir string) (first uint32, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := a.pool.Count / rangeSize
	for range n {
		first = a.pool.First + a.next*rangeSize
		a.next = (a.next + 1) % n
		if a.used[first] != "" {
			continue
		}
		switch ok, err := a.claims.make(first, dir); {
		case err != nil:
			return 0, err
		case ok:
			a.used[first] = dir
			return first, nil
		}
	}
	return 0, errs.New(errs.Unavailable, "no free range of user ids: all %d are taken: remove containers or start silod with a larger --id-pool", n)
}

// claim marks the range of a record; false if it is another container's, of
// this daemon or of another.
func (a *idAllocator) claim(first uint32, dir string) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.used[first] != "" {
		return false, nil
	}
	ok, err := a.claims.make(first, dir)
	if ok {
		a.used[first] = dir
	}
	return ok, err
}

// release gives a range back.
func (a *idAllocator) release(first uint32) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	dir := a.used[first]
	delete(a.used, first)
	if dir == "" {
		return nil
	}
	return a.claims.drop(first, dir)
}
