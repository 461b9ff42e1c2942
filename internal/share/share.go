// Package share bounds what each client of a service has of something at a
// time, so that none of them takes all of it. What all have together its user
// bounds.
package share

import "sync"

// Each counts what clients have. K tells clients apart.
type Each[K comparable] struct {
	most int
	mu   sync.Mutex
	of   map[K]int
}

// New bounds each client to most at a time.
func New[K comparable](most int) *Each[K] { return &Each[K]{most: most, of: map[K]int{}} }

// Enter takes one for a client; false if it has its most.
func (s *Each[K]) Enter(client K) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[client] >= s.most {
		return false
	}
	s.of[client]++
	return true
}

// Leave gives back one that Enter took.
func (s *Each[K]) Leave(client K) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of[client]--; s.of[client] <= 0 {
		delete(s.of, client)
	}
}
