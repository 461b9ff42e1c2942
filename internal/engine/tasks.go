package engine

import "sync"

// tasks are what the engine does beside requests. One that comes when all have
// been waited for does not begin: what the keeper tells a silod that ends, the
// next one finds out.
type tasks struct {
	mu   sync.Mutex
	n    int
	none *sync.Cond // n is 0
	over bool
}

// begin runs f, unless no more tasks are taken.
func (t *tasks) begin(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	t.n++
	go func() {
		defer t.end()
		f()
	}()
}

func (t *tasks) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n--; t.n == 0 && t.none != nil {
		t.none.Broadcast()
	}
}

// finish waits for all tasks, those that tasks have begun too, and takes no more.
func (t *tasks) finish() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.none = sync.NewCond(&t.mu)
	for t.n > 0 {
		t.none.Wait()
	}
	t.over = true
}
