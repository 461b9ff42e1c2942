package agent

import (
	"os"
	"runtime"
	"time"

	"silo/internal/agent/wire"
)

// atOnce is how many requests are worked on at a time, so that their blocking
// system calls find a thread each: of wire.Threads the runtime has two, reap,
// serve and the forkers one each.
const atOnce = 5

// turnTime bounds how long a request waits for the others: one that hangs, in a
// file system that does not answer, must not hold up all.
const turnTime = 2 * time.Second

// makeThreads makes all threads that the agent will ever have. The container's
// processes may use up its limit later, and the Go runtime ends a program that
// gets no thread where it wants one.
func makeThreads() error {
	release := make(chan struct{})
	defer close(release)
	for range wire.Threads {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		if len(tasks) >= wire.Threads {
			return nil
		}
		has := make(chan struct{})
		go func() {
			runtime.LockOSThread() // keeps it from all others, so the next needs another
			defer runtime.UnlockOSThread()
			close(has)
			<-release
		}()
		<-has
	}
	return nil
}

// turn waits until few enough requests are worked on, and gives what ends this
// one's turn.
func (a *agent) turn() func() {
	select {
	case a.turns <- struct{}{}:
	default:
		select {
		case a.turns <- struct{}{}:
		case <-time.After(turnTime):
			return func() {}
		}
	}
	return func() { <-a.turns }
}
