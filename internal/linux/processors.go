package linux

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
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

// LateTimers is how late the timers of Silo's own programs may be. None of them
// is that exact, and the Go runtime has a thread that wakes every 20 µs while
// there is work, in the way of what it watches.
const LateTimers = 500 * time.Microsecond

// SetLateTimers allows the timers of this program LateTimers: those of all
// threads that there are, which others inherit. A kernel that does not let them
// is none the worse.
func SetLateTimers() {
	threads, _ := os.ReadDir("/proc/self/task")
	for _, t := range threads {
		_ = os.WriteFile("/proc/"+t.Name()+"/timerslack_ns", strconv.AppendInt(nil, LateTimers.Nanoseconds(), 10), 0)
	}
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
