package linux

import (
	"os"
	"runtime"
	"testing"

	"silo/internal/testenv"
)

func TestProcessors(t *testing.T) {
	t.Setenv("GOMAXPROCS", "")
	before := runtime.GOMAXPROCS(8)
	defer func() {
		processors.half, processors.all = 0, 0
		runtime.GOMAXPROCS(before)
	}()
	is := func(when string, want int) {
		t.Helper()
		if got := runtime.GOMAXPROCS(0); got != want {
			t.Errorf("%s: %d, want %d", when, got, want)
		}
	}
	HalfProcessors()
	is("half", 4)
	one, two := AllProcessors(), AllProcessors()
	is("all", 8)
	one()
	one()
	is("one is still at work", 8)
	two()
	is("nobody is", 4)
}

func TestProcessorsOfTheEnvironment(t *testing.T) {
	t.Setenv("GOMAXPROCS", "3")
	before := runtime.GOMAXPROCS(3)
	defer runtime.GOMAXPROCS(before)
	HalfProcessors()
	AllProcessors()()
	if got := runtime.GOMAXPROCS(0); got != 3 {
		t.Errorf("%d, want 3", got)
	}
}

func TestLateTimers(t *testing.T) {
	testenv.NeedRoot(t)
	SetLateTimers()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		got, err := os.ReadFile("/proc/" + thread.Name() + "/timerslack_ns")
		if err == nil && string(got) != "500000\n" { // a thread may have ended
			t.Errorf("thread %s: %s", thread.Name(), got)
		}
	}
}
