package main

import (
	"slices"
	"sync"
	"time"

	"coretools.silo/dns"
)

const (
	mostEntries  = 2048
	mostEntry    = 4 << 10 // bytes of one answer; longer ones are not kept
	mostCached   = 2 << 20
	longestKept  = 24 * time.Hour
	longestNever = 5 * time.Minute // for names that do not exist
)

// cache keeps answers as long as they hold, and no more than fits.
type cache struct {
	mu      sync.Mutex
	now     func() time.Time
	entries map[string]*cached
	order   []string // oldest first; may name entries that are gone
	bytes   int
}

type cached struct {
	message    []byte
	got, until time.Time
}

func newCache(now func() time.Time) *cache {
	return &cache{now: now, entries: map[string]*cached{}}
}

// get gives a copy of an answer with the time that is left in it, nil if there
// is none.
func (c *cache) get(key string) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[key]
	if e == nil {
		return nil
	}
	now := c.now()
	if !now.Before(e.until) {
		c.drop(key)
		return nil
	}
	m := slices.Clone(e.message)
	dns.Age(m, uint32(now.Sub(e.got)/time.Second))
	return m
}

// put keeps an answer for as long as it says.
func (c *cache) put(key string, m []byte) {
	life := time.Duration(dns.Lifetime(m)) * time.Second
	most := longestKept
	if dns.Code(m) == dns.NameError {
		most = longestNever
	}
	life = min(life, most)
	if life <= 0 || len(m) > mostEntry {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(key)
	now := c.now()
	c.entries[key] = &cached{slices.Clone(m), now, now.Add(life)}
	c.order = append(c.order, key)
	c.bytes += len(m) + len(key)
	for (len(c.entries) > mostEntries || c.bytes > mostCached) && len(c.order) > 0 {
		c.drop(c.order[0])
		c.order = c.order[1:]
	}
	if len(c.order) > 2*mostEntries { // names of entries that ran out
		c.tidy()
	}
}

// drop removes an entry. The caller holds mu.
func (c *cache) drop(key string) {
	if e := c.entries[key]; e != nil {
		c.bytes -= len(e.message) + len(key)
		delete(c.entries, key)
	}
}

// tidy leaves each entry once in the order, where it was last put.
func (c *cache) tidy() {
	seen := map[string]bool{}
	var order []string
	for _, key := range slices.Backward(c.order) {
		if c.entries[key] != nil && !seen[key] {
			seen[key] = true
			order = append(order, key)
		}
	}
	slices.Reverse(order)
	c.order = order
}
