package engine

import (
	"context"
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"silo/internal/errs"
	"silo/internal/keeper/wire"
)

// ContainerStop ends a container: its stop signal, then after its timeout a
// kill.
func (e *Engine) ContainerStop(ctx context.Context, ref string, o StopOptions) error {
	c, err := e.find(ref)
	if err != nil {
		return err
	}
	if waking, err := e.abortStart(ctx, c); waking {
		return err
	}
	st := c.state()
	switch st.State {
	case container.StateRunning, container.StatePaused, container.StateRestarting:
	default:
		return errs.New(errs.NotModified, "container %s is not running", ref)
	}
	if err := e.stop(ctx, c, o); err != nil {
		return err
	}
	e.emit(c, events.ActionStop, nil)
	return nil
}

// stopOf gives the signal that asks a container to end, and after how many
// seconds it is killed; below 0 is never.
func stopOf(r *configRecord, o StopOptions) (sig, timeout int, err error) {
	name := o.Signal
	if name == "" {
		name = r.Config.StopSignal
	}
	sig, timeout = 15, 10
	if name != "" {
		if sig, err = parseSignal(name); err != nil {
			return 0, 0, err
		}
	}
	if r.Config.StopTimeout != nil {
		timeout = *r.Config.StopTimeout
	}
	if o.Timeout != nil {
		timeout = *o.Timeout
	}
	return sig, timeout, nil
}

// patienceOf tells when a stop's seconds are over; below 0 is never.
func patienceOf(timeout int) <-chan time.Time {
	if timeout < 0 {
		return nil
	}
	return time.After(time.Duration(min(timeout, math.MaxInt32)) * time.Second)
}

// systemdHalt is SIGRTMIN+3, at which systemd as process 1 shuts down; at SIGTERM
// it starts itself anew (systemd(1)).
const systemdHalt = 34 + 3

// isSystemd tells whether a process calls itself systemd, whatever it was started
// as: /sbin/init is a link to it.
func isSystemd(pid int) bool {
	name, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return err == nil && string(name) == "systemd\n"
}

func (e *Engine) stop(ctx context.Context, c *Container, o StopOptions) error {
	r := c.record()
	sig, timeout, err := stopOf(r, o)
	if err != nil {
		return err
	}
	if o.Signal == "" && r.Config.StopSignal == "" && r.PID && isSystemd(c.state().PID) {
		sig = systemdHalt
	}
	if waited, err := e.stopWaiting(ctx, c); waited || err != nil {
		return err
	}
	c.mu.Lock()
	c.stopping = true
	c.st.StoppedByUse = true
	exited := c.exited
	paused := c.st.State == container.StatePaused
	c.mu.Unlock()
	if timeout != 0 {
		if !paused { // a frozen agent would not hear it
			e.stopServices(ctx, c, timeout)
		}
		if err := e.signal(ctx, c, sig); err != nil && !errs.Is(err, errs.Conflict) {
			return err
		}
		if paused {
			_ = e.ContainerUnpause(ctx, r.ID)
			e.stopServices(ctx, c, timeout)
		}
	}
	patience := patienceOf(timeout)
	select {
	case <-exited:
		return nil
	case <-ctx.Done(): // the client left: the stop goes on
		e.background(func() { e.killAfter(c, exited, patience) })
		return ctx.Err()
	case <-patience:
	}
	return e.killNow(c, exited)
}

// stopWaiting ends the wait of a container for its next start, and tells
// whether it was waiting. A start that is on its way is let through: the
// container runs then, and is stopped as any other.
func (e *Engine) stopWaiting(ctx context.Context, c *Container) (waited bool, err error) {
	c.mu.Lock()
	c.stopping = true
	restarting := c.st.State == container.StateRestarting
	c.mu.Unlock()
	if !restarting {
		return false, nil
	}
	if !c.lock(ctx.Done()) {
		return false, ctx.Err()
	}
	defer c.unlock()
	c.mu.Lock()
	waited = c.st.State == container.StateRestarting
	tell := func() {}
	if waited {
		c.stopping, c.st.StoppedByUse = true, true
		_ = c.transition(container.StateExited)
		tell = c.takeWaiters() // for the end of a run that does not come
	}
	c.mu.Unlock()
	if waited {
		tell()
		c.saveState()
	}
	return waited, nil
}

func (e *Engine) killAfter(c *Container, exited <-chan struct{}, patience <-chan time.Time) {
	select {
	case <-exited:
	case <-e.ctx.Done():
	case <-patience:
		_ = e.killNow(c, exited)
	}
}

// killNow kills every process of a container and waits for its end.
func (e *Engine) killNow(c *Container, exited <-chan struct{}) error {
	c.mu.Lock()
	b := c.box
	c.mu.Unlock()
	if b == nil {
		return nil
	}
	if err := e.signal(context.Background(), c, 9); err != nil && !errs.Is(err, errs.Conflict) {
		e.log.Warn("kill", "container", b.id, "err", err)
	}
	if thawed, _ := b.group.Frozen(); thawed {
		_ = b.group.Thaw()
	}
	select {
	case <-exited:
		return nil
	case <-time.After(3 * time.Second):
	}
	if err := b.group.Kill(); err != nil { // the agent too: the keeper reports what is left
		return err
	}
	select {
	case <-exited:
		return nil
	case <-time.After(10 * time.Second):
		return errs.New(errs.Unavailable, "container %s does not end: a process waits in the kernel; see its stack in /proc/%d/stack", c.rec.Name, b.agent)
	}
}

// signal sends a signal to a container's command. The event goes before what
// follows from it.
func (e *Engine) signal(ctx context.Context, c *Container, sig int) error {
	e.emit(c, events.ActionKill, map[string]string{"signal": strconv.Itoa(sig)})
	return e.keep().Signal(ctx, wire.Signal{Target: wire.Target{ID: c.rec.ID}, Number: sig})
}

// endingSignals end a start that waits for services, as they end a program
// that does nothing about them: HUP, INT, QUIT, KILL and TERM.
var endingSignals = []int{1, 2, 3, 9, 15}

// ContainerKill sends a signal, SIGKILL if none is named.
func (e *Engine) ContainerKill(ctx context.Context, ref, name string) error {
	sig := 9
	if name != "" {
		var err error
		if sig, err = parseSignal(name); err != nil {
			return err
		}
	}
	c, err := e.find(ref)
	if err != nil {
		return err
	}
	if slices.Contains(endingSignals, sig) {
		if waking, err := e.abortStart(ctx, c); waking {
			return err
		}
	}
	st := c.stateBegun()
	if st.State == container.StateRestarting && (sig == 9 || sig == 15) { // nothing runs: it is not to run again
		if waited, err := e.stopWaiting(ctx, c); waited || err != nil {
			return err
		}
		st = c.state()
	}
	if st.State != container.StateRunning && st.State != container.StatePaused {
		return errs.Conflictf("cannot kill container: %s: container %s is not running", ref, c.record().ID)
	}
	c.mu.Lock()
	exited := c.exited
	stopSignal := 15
	if n, err := parseSignal(c.rec.Config.StopSignal); err == nil {
		stopSignal = n
	}
	if sig == 9 || sig == stopSignal {
		c.stopping, c.st.StoppedByUse = true, true
	}
	c.mu.Unlock()
	if sig == 9 {
		err = e.killNow(c, exited)
	} else {
		err = e.signal(ctx, c, sig)
		if errors.Is(err, os.ErrProcessDone) {
			err = nil
		}
	}
	return err
}

// ContainerRestart stops a container if it runs, and starts it. It is not given
// up in the middle when the client leaves.
func (e *Engine) ContainerRestart(_ context.Context, ref string, o StopOptions) error {
	ctx := e.ctx
	c, err := e.find(ref)
	if err != nil {
		return err
	}
	if err := e.checkNotShown(c); err != nil { // before anything is stopped
		return err
	}
	switch c.state().State {
	case container.StateRunning, container.StatePaused, container.StateRestarting:
		// An end by restart is no end by --rm.
		if err := e.stopToRestart(ctx, c, o); err != nil {
			return err
		}
		e.emit(c, events.ActionStop, nil)
	}
	if err := e.ContainerStart(ctx, c.record().ID); err != nil && !errs.Is(err, errs.NotModified) {
		return err
	}
	e.emit(c, events.ActionRestart, nil)
	return nil
}

func (e *Engine) stopToRestart(ctx context.Context, c *Container, o StopOptions) error {
	r := c.record()
	if r.HostConfig.AutoRemove {
		keep := *r
		host := *r.HostConfig
		host.AutoRemove = false
		keep.HostConfig = &host
		c.mu.Lock()
		c.rec = &keep
		c.mu.Unlock()
		defer func() {
			c.mu.Lock()
			c.rec = r
			c.mu.Unlock()
		}()
	}
	if err := e.stop(ctx, c, o); err != nil {
		return err
	}
	// ended holds the lock until the sandbox is taken down.
	if !c.lock(ctx.Done()) {
		return ctx.Err()
	}
	c.unlock()
	return nil
}
