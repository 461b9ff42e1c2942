package keeper

import (
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"silo/internal/linux"
)

// TestFrozenKeeperReapsNothing has a child end in a keeper that is about to
// execute its next program. It reaps any child, so it has a process to itself.
func TestFrozenKeeperReapsNothing(t *testing.T) {
	if os.Getenv("SILO_TEST_REAPER") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "SILO_TEST_REAPER=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	k := &Keeper{containers: map[string]*container{}, strangers: map[int]linux.WaitStatus{}, forker: newForker(), frozen: true}
	k.thaw = sync.NewCond(&k.mu)
	go k.reap()
	launch := func() (*container, int) {
		c := &container{}
		k.mu.Lock()
		k.containers["c"] = c
		k.mu.Unlock()
		f := linux.Fork{Steps: []linux.Step{linux.StepExec("/bin/sh", []string{"sh", "-c", "exit 7"}, nil)}}
		if err := k.register(c, &f); err != nil {
			t.Fatal(err)
		}
		return c, c.agent
	}
	_, pid := launch()
	if !linux.AwaitAny() {
		t.Fatal("the child is reaped already")
	}
	// This is what the next program finds.
	got, ws, ok := linux.WaitAny(true)
	if code, _ := linux.ExitCode(ws); !ok || got != pid || code != 7 {
		t.Errorf("the next program learns of process %d, %v, code %d; want %d and 7", got, ok, code, pid)
	}
	// The exec was refused: all goes on.
	c, _ := launch()
	k.mu.Lock()
	k.frozen = false
	k.thaw.Broadcast()
	k.mu.Unlock()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		k.mu.Lock()
		status := c.agentStatus
		k.mu.Unlock()
		if status != nil {
			if code, _ := linux.ExitCode(*status); code != 7 {
				t.Errorf("code %d, want 7", code)
			}
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a child that ended after the thaw is not reaped")
		}
	}
}
