package engine

import "time"

// What nobody waits for (writing state, taking down what has ended, making
// standbys) would take processor time from a container that is being made,
// started or ended: it waits until nothing of that kind has happened for a
// moment, but not for ever.
const (
	tidyQuiet    = 8 * time.Millisecond
	tidyPatience = 100 * time.Millisecond
)

// touch notes that a container is being made, started or ended.
func (e *Engine) touch() { e.busy.Store(int64(time.Since(e.started))) }

// untilQuiet waits until nothing was touched for quiet, at most for patience.
// It ends at once if hurry is signalled or the engine closes.
func (e *Engine) untilQuiet(quiet, patience time.Duration, hurry <-chan struct{}) {
	for deadline := time.Now().Add(patience); ; {
		now := time.Now()
		wait := min(quiet-(now.Sub(e.started)-time.Duration(e.busy.Load())), deadline.Sub(now))
		if wait <= 0 {
			return
		}
		select {
		case <-time.After(wait):
		case <-hurry:
			return
		case <-e.ctx.Done():
			return
		}
	}
}

// later runs f in the background in a quiet moment.
func (e *Engine) later(f func()) {
	e.background(func() {
		e.untilQuiet(tidyQuiet, tidyPatience, nil)
		f()
	})
}
