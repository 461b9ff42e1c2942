package dns

import (
	"net/netip"
	"sync"
)

// share bounds what each client has of something at a time, so that none of them
// takes all of it.
type share struct {
	most int
	mu   sync.Mutex
	of   map[netip.Addr]int
}

func newShare(most int) *share { return &share{most: most, of: map[netip.Addr]int{}} }

// enter takes one for a client; false if it has its most.
func (s *share) enter(client netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[client] >= s.most {
		return false
	}
	s.of[client]++
	return true
}

// leave gives one back.
func (s *share) leave(client netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[client]--; s.of[client] == 0 {
		delete(s.of, client)
	}
}
