package engine

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"silo/internal/disk"
)

// standbys are sandboxes of the default shape that wait for a container. They
// have an id, and a folder without config.json, so that a sweep knows them
// for half-made.
type standbys struct {
	e    *Engine
	want int

	mu     sync.Mutex
	ready  []*sandbox
	making int
	closed bool
	wake   chan struct{}
	failed int           // in a row
	image  string        // whose root is laid ahead: that of the last container
	empty  chan struct{} // signalled when the last one is taken
}

// How long nothing must have happened before a standby is made while others
// are ready, see untilQuiet.
const (
	fillQuiet    = 15 * time.Millisecond
	fillPatience = 150 * time.Millisecond
)

// settle waits for a quiet moment while others are ready.
func (s *standbys) settle() {
	s.mu.Lock()
	ready := len(s.ready)
	s.mu.Unlock()
	if ready > 0 {
		s.e.untilQuiet(fillQuiet, fillPatience, s.empty)
	}
}

// fillers is how many standbys are made at the same time: making one mostly
// waits for the kernel's network lock.
const fillers = 2

func newStandbys(e *Engine, want int) *standbys {
	s := &standbys{e: e, want: want, wake: make(chan struct{}, 1), empty: make(chan struct{}, 1)}
	if img, err := e.images.Resolve("core"); err == nil {
		s.image = img.ID
	}
	return s
}

func (e *Engine) defaultShape() shape {
	return shape{diskSize: disk.DefaultSize, network: "nat", masked: defaultMasked, readOnly: defaultReadOnly}.normal()
}

// take gives a standby to a container of an image, or nil. The next ones are
// made for that image too: people mostly run what they have just run.
func (s *standbys) take(image string) *sandbox {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.poke()
	s.image = image
	if len(s.ready) == 0 {
		return nil
	}
	i := max(0, slices.IndexFunc(s.ready, func(b *sandbox) bool { return b.image == image }))
	b := s.ready[i]
	s.ready = slices.Delete(s.ready, i, i+1)
	if len(s.ready) == 0 {
		signal(s.empty)
	}
	return b
}

// forget drops the standbys whose root is of an image that is removed.
func (s *standbys) forget(image string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	if s.image == image {
		s.image = ""
	}
	var drop []*sandbox
	s.ready = slices.DeleteFunc(s.ready, func(b *sandbox) bool {
		if b.image == image {
			drop = append(drop, b)
		}
		return b.image == image
	})
	s.mu.Unlock()
	for _, b := range drop {
		s.e.background(func() { s.e.destroySandbox(b, true) })
	}
	s.poke()
}

func (s *standbys) poke() { signal(s.wake) }

// signal wakes whoever waits on a channel with room for one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// fill keeps the wanted number ready until the engine closes.
func (s *standbys) fill() {
	for {
		s.settle()
		s.mu.Lock()
		n := min(s.want-len(s.ready)-s.making, fillers-s.making)
		if s.closed {
			n = 0
		}
		s.making += max(n, 0)
		pause := s.failed > 0
		s.mu.Unlock()
		for range n {
			s.e.background(s.makeOne)
		}
		if pause {
			select {
			case <-time.After(2 * time.Second):
			case <-s.e.ctx.Done():
				return
			}
		}
		select {
		case <-s.wake:
		case <-s.e.ctx.Done():
			return
		}
	}
}

func (s *standbys) makeOne() {
	s.mu.Lock()
	image := s.image
	s.mu.Unlock()
	b, err := s.e.makeStandby(image)
	if err != nil && image != "" { // the image may be the reason, and no container's of another
		b, err = s.e.makeStandby("")
	}
	s.mu.Lock()
	s.making--
	closed := s.closed || err == nil && b.image != "" && !(basesOf{s.e}).Has(b.image)
	switch {
	case err != nil:
		s.failed++
		if s.failed == 1 { // containers are still made the long way, which says what is wrong
			s.e.log.Warn("make standby", "err", err)
		}
	case !closed:
		s.ready = append(s.ready, b)
		s.failed = 0
	}
	s.mu.Unlock()
	if err == nil && closed {
		s.e.destroySandbox(b, true)
	}
	s.poke()
}

// makeStandby makes a sandbox of the default shape with the root of an image,
// "" for none.
func (e *Engine) makeStandby(image string) (*sandbox, error) {
	ctx, cancel := context.WithTimeout(e.ctx, 30*time.Second)
	defer cancel()
	id := newID()
	first, err := e.ids.take(filepath.Join(e.containersDir(), id))
	if err != nil {
		return nil, err
	}
	return e.makeSandbox(ctx, sandboxPlan{shape: e.defaultShape(), id: id, first: first, newDisk: true, image: image})
}

// drop takes a standby away whose agent has ended, or whose address is wanted. It
// tells whether there was one of the id.
func (s *standbys) drop(id string) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	var dead *sandbox
	for i, b := range s.ready {
		if b.id == id {
			dead = b
			s.ready = append(s.ready[:i:i], s.ready[i+1:]...)
			break
		}
	}
	s.mu.Unlock()
	if dead != nil {
		s.e.destroySandbox(dead, true)
		s.poke()
	}
	return dead != nil
}

// dropAll takes away all standbys; new ones are made.
func (s *standbys) dropAll() {
	s.mu.Lock()
	drop := s.ready
	s.ready = nil
	s.mu.Unlock()
	var wg sync.WaitGroup
	for _, b := range drop {
		wg.Add(1)
		go func() { defer wg.Done(); s.e.destroySandbox(b, true) }()
	}
	wg.Wait()
	s.poke()
}

// close ends all standbys and makes no more.
func (s *standbys) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.dropAll()
}
