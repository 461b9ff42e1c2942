package linux

import (
	"os"
	"runtime"
	"sync"
)

// processors is how many threads of this program run Go code at a time.
var processors struct {
	mu        sync.Mutex
	half, all int // 0: GOMAXPROCS of the environment stands
	users     int // of AllProcessors
}

// HalfProcessors leaves every second processor to the containers: a daemon
// that hands work from thread to thread over all of them makes each step wait
// for a processor to wake. It leaves GOMAXPROCS alone if the environment has
// it.
func HalfProcessors() {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	p := &processors
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = runtime.GOMAXPROCS(0)
	p.half = max(1, p.all/2)
	runtime.GOMAXPROCS(p.half)
}

// AllProcessors takes HalfProcessors back until done is called: for work that
// would keep one processor busy and whoever asks for something else waiting.
func AllProcessors() (done func()) {
	p := &processors
	change := func(by int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.users += by
		want := p.half
		if p.users > 0 {
			want = p.all
		}
		if want > 0 && want != runtime.GOMAXPROCS(0) {
			runtime.GOMAXPROCS(want)
		}
	}
	change(1)
	return sync.OnceFunc(func() { change(-1) })
}
