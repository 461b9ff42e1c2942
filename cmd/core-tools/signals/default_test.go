package signals

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// TestMain stands in for a program that sends signals to itself.
func TestMain(m *testing.M) {
	if word := os.Getenv("SIGNALS_TEST_SEND"); word != "" {
		s, err := Parse(word)
		if err != nil {
			os.Exit(3)
		}
		_ = syscall.Kill(os.Getpid(), s)
		time.Sleep(10 * time.Second)
		os.Exit(4)
	}
	os.Exit(m.Run())
}

func TestEndsBySignalAlone(t *testing.T) {
	for _, s := range []string{"QUIT", "ABRT", "TRAP", "SYS", "STKFLT"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SIGNALS_TEST_SEND="+s)
		out, err := cmd.CombinedOutput()
		var ee *exec.ExitError
		if !errors.As(err, &ee) {
			t.Fatalf("%s: %v", s, err)
		}
		want, _ := Parse(s)
		if ws, ok := ee.Sys().(syscall.WaitStatus); !ok || !ws.Signaled() || ws.Signal() != want || len(out) > 0 {
			t.Errorf("%s: %v, and wrote %q", s, err, out)
		}
	}
}

// Default and the package of Go do not get in each other's way.
func TestNotifyAfterDefault(t *testing.T) {
	defer signal.Reset(syscall.SIGUSR1)
	Default(syscall.SIGUSR1)
	if Ignored(syscall.SIGUSR1) {
		t.Error("ignored after Default")
	}
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR1)
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	select {
	case <-c:
	case <-time.After(10 * time.Second):
		t.Fatal("not notified after Default")
	}
	if signal.Ignore(syscall.SIGUSR1); !Ignored(syscall.SIGUSR1) {
		t.Error("not ignored after Ignore")
	}
}
