package linux

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestForkEveryWay makes children while this thread stands still and beside it,
// with shared memory and with a copy.
func TestForkEveryWay(t *testing.T) {
	beside := func(int) error { return nil }
	for name, way := range map[string]Fork{"still": {}, "beside": {Prepare: beside}, "with a copy": {Copy: true}, "with a copy, beside": {Prepare: beside, Copy: true}} {
		prepare := way.Prepare
		t.Run(name, func(t *testing.T) {
			for range 200 {
				f := Fork{Prepare: prepare, Copy: way.Copy, Steps: []Step{StepSetsid(), StepUmask(0o22), StepExec("/bin/sh", []string{"sh", "-c", "exit 7"}, nil)}}
				pid, err := f.Start()
				if err != nil {
					t.Fatal(err)
				}
				var ws unix.WaitStatus
				if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil || ws.ExitStatus() != 7 {
					t.Fatalf("wait: %v, status %v", err, ws)
				}
			}
			f := Fork{Prepare: prepare, Copy: way.Copy, Steps: []Step{StepChdir("/"), StepExec("/nonexistent", []string{"x"}, nil)}}
			_, err := f.Start()
			var s *StepError
			if !errors.As(err, &s) || s.Err != syscall.ENOENT || s.Step != "exec /nonexistent" {
				t.Errorf("a missing program gives %v", err)
			}
			f = Fork{Prepare: prepare, Copy: way.Copy, Steps: []Step{StepUmask(0o22)}}
			if _, err := f.Start(); !errors.As(err, &s) || s.Err != syscall.ENOEXEC {
				t.Errorf("steps without an exec give %v", err)
			}
			if pid, _, ok := WaitAny(true); ok {
				t.Errorf("a child is left: %d", pid)
			}
		})
	}
}

// Children that share memory do no harm to a parent that goes on, nor it to
// them.
func TestForkBesideABusyParent(t *testing.T) {
	stop := make(chan struct{})
	var busy sync.WaitGroup
	for range 2 {
		busy.Go(func() {
			for keep := [][]byte{}; ; {
				select {
				case <-stop:
					return
				default:
					if keep = append(keep, make([]byte, 1000)); len(keep) > 1000 {
						keep = nil
						runtime.GC()
					}
				}
			}
		})
	}
	var forks sync.WaitGroup
	for i := range 4 {
		forks.Go(func() {
			for range 50 {
				code := strconv.Itoa(i + 1)
				f := Fork{Prepare: func(int) error { runtime.Gosched(); return nil }, Steps: []Step{StepExec("/bin/sh", []string{"sh", "-c", "exit " + code}, nil)}}
				pid, err := f.Start()
				if err != nil {
					t.Error(err)
					return
				}
				var ws unix.WaitStatus
				if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil || ws.ExitStatus() != i+1 {
					t.Errorf("wait: %v, status %v, want %d", err, ws, i+1)
					return
				}
			}
		})
	}
	forks.Wait()
	close(stop)
	busy.Wait()
}

// Whatever way a child is made, its program begins with no signal blocked or
// handled, and with none ignored but those that this process was begun with;
// that of a program with DefaultSignals with none at all. It comes last since it
// is for good.
func TestSignalsOfAChild(t *testing.T) {
	none := strings.Repeat("0", 16)
	ignored := signalSet(t, readFile(t, "/proc/self/status"), "SigIgn")
	for _, way := range []struct {
		name    string
		prepare func(int) error
		few     bool
		ignored string
	}{{"still", nil, false, ignored}, {"beside", func(int) error { return nil }, false, ignored}, {"still, with few signals", nil, true, none}} {
		if way.few {
			DefaultSignals()
		}
		r, w, err := Pipe()
		if err != nil {
			t.Fatal(err)
		}
		f := Fork{Prepare: way.prepare, Steps: []Step{StepDup(w.Int(), 1), StepExec("/bin/cat", []string{"cat", "/proc/self/status"}, nil)}}
		pid, err := f.Start()
		if err != nil {
			t.Fatal(err)
		}
		w.Close()
		got, err := r.ReadMost(4096, 4096)
		r.Close()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Wait4(pid, nil, 0, nil); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"SigBlk": none, "SigCgt": none, "SigIgn": way.ignored} {
			if set := signalSet(t, got, name); set != want {
				t.Errorf("%s: the program begins with %s %s, want %s", way.name, name, set, want)
			}
		}
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// signalSet finds a set of signals in a process's status.
func signalSet(t *testing.T, status []byte, name string) string {
	t.Helper()
	for line := range strings.Lines(string(status)) {
		if set, ok := strings.CutPrefix(line, name+":\t"); ok {
			return strings.TrimSpace(set)
		}
	}
	t.Fatalf("no %s in\n%s", name, status)
	return ""
}
