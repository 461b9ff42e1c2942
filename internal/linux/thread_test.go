package linux

import (
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"silo/internal/testenv"
)

// What is done on threads of their own leaves the main thread as it was, which
// is what /proc/self tells of, even if the goroutine that asks is on it.
func TestOwnThread(t *testing.T) {
	testenv.NeedRoot(t)
	places := func() (list [2]string) {
		for i, kind := range []string{"net", "uts"} {
			list[i], _ = os.Readlink("/proc/self/ns/" + kind)
		}
		return list
	}
	before := places()
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			OwnThread(func() {
				if unix.Gettid() == unix.Getpid() {
					t.Error("it is the main thread")
				}
				if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWUTS); err != nil {
					t.Error(err)
				}
			})
			runtime.Gosched()
		})
	}
	wg.Wait()
	if after := places(); after != before {
		t.Errorf("the main thread is in %v, was in %v", after, before)
	}
}
