package engine

import (
	"context"
	"io"
	"os/exec"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/api/types/container"
)

func newExecution(e *Engine, c *Container, id string) *execution {
	x := &execution{id: id, c: c, req: container.ExecCreateRequest{Cmd: []string{"true"}}, done: make(chan struct{}), begun: make(chan struct{})}
	e.execs[id] = x
	c.execIDs = append(c.execIDs, id)
	return x
}

func execEngine() (*Engine, *Container) {
	e := &Engine{containers: map[string]*Container{}, execs: map[string]*execution{}}
	return e, newContainer(e, &configRecord{ID: "abc", Name: "n", Config: &container.Config{}, HostConfig: &container.HostConfig{}})
}

// An exec whose process has gone is not shown as running while its end is on
// its way.
func TestInspectOfEndedExec(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	e, c := execEngine()
	x := newExecution(e, c, "x")
	x.ran = true
	asked := make(chan struct{})
	go func() {
		<-asked
		x.mu.Lock()
		x.pid = cmd.Process.Pid
		x.mu.Unlock()
		close(x.begun)
		x.finish(7)
	}()
	close(asked)
	got, err := e.ExecInspect(t.Context(), "x")
	if err != nil || got.Running || got.ExitCode == nil || *got.ExitCode != 7 {
		t.Errorf("%+v, %v: want the exit code 7", got, err)
	}
	if ids := e.execIDs(c); len(ids) > 0 {
		t.Errorf("the container lists %v, which has ended", ids)
	}
}

// Of many execs the oldest that do not run are forgotten.
func TestForgetOldExecs(t *testing.T) {
	e, c := execEngine()
	for i := range maxExecs {
		x := newExecution(e, c, itoa(i))
		x.ran = true
		if i > 0 {
			x.finish(0)
		}
	}
	e.forgetOldExecs(c)
	for id, want := range map[string]bool{"0": true, "1": false, "2": true, itoa(maxExecs - 1): true} {
		if got := e.execs[id] != nil; got != want {
			t.Errorf("exec %s is remembered: %t, want %t", id, got, want)
		}
	}
}

func TestAwaitHeadRead(t *testing.T) {
	server, client := connections(t)
	if _, err := io.WriteString(server, "head"); err != nil {
		t.Fatal(err)
	}
	fd, err := connFD(server)
	if err != nil {
		t.Fatal(err)
	}
	defer fd.Close()
	var reads atomic.Bool
	go func() {
		reads.Store(true)
		_, _ = io.ReadFull(client, make([]byte, 4))
	}()
	awaitHeadRead(context.WithoutCancel(t.Context()), fd)
	if !reads.Load() {
		t.Error("it did not wait for the client")
	}
}

// What is asked of a container while its start is under way waits for it.
func TestWaitForTheBegin(t *testing.T) {
	_, c := execEngine()
	c.st.State, c.begun = container.StateCreated, make(chan struct{})
	asked := make(chan error)
	go func() { asked <- c.running("n") }()
	c.mu.Lock()
	c.st.State = container.StateRunning
	c.mu.Unlock()
	close(c.begun)
	if err := <-asked; err != nil {
		t.Errorf("it is refused: %v", err)
	}
	c.mu.Lock()
	c.st.State = container.StateExited
	c.mu.Unlock()
	if c.running("n") == nil {
		t.Error("one that has ended counts as running")
	}
}
