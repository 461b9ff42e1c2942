package linux

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// OwnThread runs fn on a thread of its own and waits for it. The thread ends
// with fn unless fn unlocks it: whatever fn changed of it, a namespace or an
// audit session, no other work sees.
//
// It is never the main thread. Go does not end that one but keeps it, and what
// /proc tells of a process is what its main thread has.
func OwnThread(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			fn()
			return
		}
		OwnThread(fn) // while this goroutine holds the main thread none other can have it
		runtime.UnlockOSThread()
	}()
	<-done
}
