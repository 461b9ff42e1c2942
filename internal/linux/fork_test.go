package linux

import (
	"errors"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestForkBothWays makes children with shared and with copied memory.
func TestForkBothWays(t *testing.T) {
	for name, prepare := range map[string]func(int) error{"shared": nil, "copied": func(int) error { return nil }} {
		t.Run(name, func(t *testing.T) {
			for range 200 {
				f := Fork{Prepare: prepare, Steps: []Step{StepSetsid(), StepUmask(0o22), StepExec("/bin/sh", []string{"sh", "-c", "exit 7"}, nil)}}
				pid, err := f.Start()
				if err != nil {
					t.Fatal(err)
				}
				var ws unix.WaitStatus
				if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil || ws.ExitStatus() != 7 {
					t.Fatalf("wait: %v, status %v", err, ws)
				}
			}
			f := Fork{Prepare: prepare, Steps: []Step{StepChdir("/"), StepExec("/nonexistent", []string{"x"}, nil)}}
			_, err := f.Start()
			var s *StepError
			if !errors.As(err, &s) || s.Err != syscall.ENOENT || s.Step != "exec /nonexistent" {
				t.Errorf("a missing program gives %v", err)
			}
			f = Fork{Prepare: prepare, Steps: []Step{StepUmask(0o22)}}
			if _, err := f.Start(); !errors.As(err, &s) || s.Err != syscall.ENOEXEC {
				t.Errorf("steps without an exec give %v", err)
			}
			if pid, _, ok := WaitAny(true); ok {
				t.Errorf("a child is left: %d", pid)
			}
		})
	}
}
