package ipc

import "sync/atomic"

// idleWorkers is how many goroutines are kept for the next requests.
const idleWorkers = 4

// Workers are goroutines for requests that may take long. One that has worked is
// kept: its stack has grown to what a request takes, which a new one's has to in
// several steps.
type Workers struct {
	jobs chan func()
	idle atomic.Int32
}

// NewWorkers makes none yet.
func NewWorkers() *Workers { return &Workers{jobs: make(chan func())} }

// Go runs a job beside the caller and others.
func (w *Workers) Go(job func()) {
	select {
	case w.jobs <- job:
	default:
		go w.work(job)
	}
}

func (w *Workers) work(job func()) {
	for {
		job()
		if w.idle.Add(1) > idleWorkers {
			w.idle.Add(-1)
			return
		}
		job = <-w.jobs
		w.idle.Add(-1)
	}
}
