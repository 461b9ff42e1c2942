package ipc

import (
	"runtime"
	"sync"
	"testing"
	"time"
)

// All jobs run beside each other, however many there are, and few goroutines
// are kept.
func TestWorkers(t *testing.T) {
	const jobs = 100
	w, before := NewWorkers(), runtime.NumGoroutine()
	for range 3 {
		var all, done sync.WaitGroup
		all.Add(jobs)
		for range jobs {
			done.Add(1)
			w.Go(func() {
				defer done.Done()
				all.Done()
				all.Wait() // goes on only when all have begun
			})
		}
		done.Wait()
	}
	for range 200 {
		if runtime.NumGoroutine() <= before+idleWorkers {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Errorf("%d goroutines are kept, want %d", runtime.NumGoroutine()-before, idleWorkers)
}
