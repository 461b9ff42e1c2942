package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"silo/internal/cgroup"
	"silo/internal/errs"
	"silo/internal/keeper/wire"
)

// Back-off between restarts, doubled each time and reset by a run of ten
// seconds, as Docker does.
const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = time.Minute
	backoffReset = 10 * time.Second
)

// exitSeen handles a container's end as the keeper told it.
func (e *Engine) exitSeen(x wire.Exit) {
	e.mu.Lock()
	c := e.containers[x.ID]
	e.mu.Unlock()
	if c == nil {
		e.background(func() { _ = e.keep().Forget(e.ctx, x.ID) })
		return
	}
	e.background(func() { e.ended(c, x) })
}

// ended notes an end, tells those who wait, and takes down the sandbox.
func (e *Engine) ended(c *Container, x wire.Exit) {
	e.touch()
	// A start in progress is noted before its end.
	if !c.lock(e.ctx.Done()) {
		return
	}
	defer c.unlock()
	c.mu.Lock()
	b := c.box
	if b == nil || (c.st.State != container.StateRunning && c.st.State != container.StatePaused) {
		c.mu.Unlock()
		return
	}
	c.box = nil
	c.mu.Unlock()
	oom := c.outOfMemory(b.group)
	c.mu.Lock()
	ran := x.At.Sub(c.st.Started)
	restart := e.noteEnd(c, x, oom)
	remove := c.rec.HostConfig.AutoRemove && !restart
	exited, tell := c.exited, c.takeWaiters()
	c.mu.Unlock()
	if oom {
		e.emit(c, events.ActionOOM, nil)
	}
	e.endExecs(c) // before: what runs in a container ends with it
	e.emit(c, events.ActionDie, map[string]string{"exitCode": strconv.Itoa(x.Code), "execDuration": strconv.Itoa(int(ran.Seconds()))})
	e.fault("end: noted")
	e.endpointGone(c, b)
	if b.endpoint != nil {
		e.emitNetwork(c, events.ActionDisconnect)
	}
	e.emitMounts(c, events.ActionUnmount)
	e.fault("end: unpublished")
	close(exited)
	tell()
	if remove {
		e.removeRecord(c, false)
		e.release(x)
		e.later(func() { e.discard(c, b) })
		return
	}
	e.release(x)
	// Whoever wants to start or remove it need not wait for a quiet moment.
	e.untilQuiet(tidyQuiet, tidyPatience, c.hurry)
	if err := c.flushNow(); err != nil {
		e.log.Error("write state", "container", b.id, "err", err)
	}
	e.fault("end: saved")
	e.destroySandbox(b, false)
	e.fault("end: destroyed")
	e.forget(c.rec.ID)
	if restart {
		e.background(func() { e.restartLater(c) })
	}
}

// noteEnd writes an end into the state and tells whether the restart policy
// wants another run; the caller holds c.mu.
func (e *Engine) noteEnd(c *Container, x wire.Exit, oom bool) (restart bool) {
	restart = e.restartWanted(c, x.Code)
	_ = c.transition(container.StateExited)
	if restart {
		_ = c.transition(container.StateRestarting)
	}
	c.st.PID, c.st.Agent, c.st.ExitCode, c.st.OOMKilled, c.st.Error, c.st.Finished = 0, 0, x.Code, oom, x.Reason, x.At.UTC()
	c.st.Endpoint = nil
	if c.st.Error == "" {
		c.st.Error = c.failed
	}
	if x.At.Sub(c.st.Started) > backoffReset {
		c.st.Failures = 0
	}
	stopHealth(c)
	return restart
}

// outOfMemory tells whether the kernel has killed a process of a container
// because of its memory limit.
func (c *Container) outOfMemory(group *cgroup.Group) bool {
	if c.record().HostConfig.Memory <= 0 {
		return false
	}
	n, err := group.OOMKills()
	return err == nil && n > 0
}

// release lets clients learn the exit code of an end that has been noted, if
// there are any; forget does it too.
func (e *Engine) release(x wire.Exit) {
	if !x.Held {
		return
	}
	if err := e.keep().Release(x.ID); err != nil {
		e.log.Debug("release clients", "container", x.ID, "err", err) // a keeper that is gone has none
	}
}

// forget lets the keeper drop an end that has been noted.
func (e *Engine) forget(id string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = e.keep().Forget(ctx, id) // a keeper that is gone has forgotten
}

// discard takes away what is left of a removed container.
func (e *Engine) discard(c *Container, b *sandbox) {
	c.save.Lock()   // a state that is just being written is written; none follows
	c.save.Unlock() //nolint:staticcheck // a barrier, not a section
	if b != nil {
		e.forget(b.id)
		e.destroySandbox(b, true)
		return
	}
	if err := os.RemoveAll(c.dir); err != nil {
		e.log.Error("remove container folder", "container", c.rec.ID, "err", err)
	}
	e.releaseIDs(c.rec.ID, c.rec.FirstID)
}

// restartWanted applies the restart policy; the caller holds c.mu.
func (e *Engine) restartWanted(c *Container, code int) bool {
	if c.stopping || e.ctx.Err() != nil {
		return false
	}
	if c.again {
		return true
	}
	if c.failed != "" && code == 0 {
		code = 1
	}
	p := c.rec.HostConfig.RestartPolicy
	switch p.Name {
	case container.RestartPolicyAlways, container.RestartPolicyUnlessStopped:
		return true
	case container.RestartPolicyOnFailure:
		return code != 0 && (p.MaximumRetryCount == 0 || c.st.Failures < p.MaximumRetryCount)
	}
	return false
}

// restartLater starts a container again after its back-off.
func (e *Engine) restartLater(c *Container) {
	c.mu.Lock()
	wait := min(backoffFirst<<min(c.st.Failures, 16), backoffMost)
	c.mu.Unlock()
	select {
	case <-time.After(wait):
	case <-e.ctx.Done():
		return
	}
	if !c.lock(e.ctx.Done()) {
		return
	}
	defer c.unlock()
	c.mu.Lock()
	due := c.st.State == container.StateRestarting && !c.stopping
	if due {
		c.st.Restarts++
		c.st.Failures++ // written with the start that it counts
	}
	c.mu.Unlock()
	if !due {
		return
	}
	if err := e.startLocked(e.ctx, c); err != nil {
		e.log.Warn("restart", "container", c.rec.ID, "err", err)
		c.mu.Lock()
		again := e.restartWanted(c, 128) && c.transition(container.StateRestarting) == nil
		c.mu.Unlock()
		if again {
			e.background(func() { e.restartLater(c) })
		}
	}
}

// ContainerRemove removes a container, its disk and every change in it. It is not
// given up in the middle when the client leaves.
func (e *Engine) ContainerRemove(_ context.Context, ref string, o RemoveOptions) error {
	c, err := e.find(ref)
	if err != nil {
		return err
	}
	// One that is started again and again meanwhile is not to keep this busy.
	for range 10 {
		if err := e.stopToRemove(e.ctx, c, ref, o); err != nil {
			return err
		}
		if err = e.removeStopped(e.ctx, c, ref, o); !errors.Is(err, errStarted) || !o.Force {
			return err
		}
	}
	return errs.Conflictf("cannot remove container \"%s\": it was started meanwhile", ref)
}

// errStarted tells that a container was started since it was stopped.
var errStarted = errs.Conflictf("it was started meanwhile")

// stopToRemove stops what runs, if it may.
func (e *Engine) stopToRemove(ctx context.Context, c *Container, ref string, o RemoveOptions) error {
	if c.isWaking() {
		if !o.Force {
			return errs.Conflictf("cannot remove container \"%s\": container waits for its services: stop the container before removing or force remove", ref)
		}
		if _, err := e.abortStart(ctx, c); err != nil {
			return err
		}
	}
	st := c.state()
	if running := st.State == container.StateRunning || st.State == container.StatePaused || st.State == container.StateRestarting; running {
		if !o.Force {
			return errs.Conflictf("cannot remove container \"%s\": container is %s: stop the container before removing or force remove", ref, st.State)
		}
		zero := 0
		return e.stop(ctx, c, StopOptions{Timeout: &zero})
	}
	return nil
}

func (e *Engine) removeStopped(ctx context.Context, c *Container, ref string, o RemoveOptions) error {
	if !c.lock(ctx.Done()) {
		return ctx.Err()
	}
	defer c.unlock()
	c.mu.Lock()
	switch c.st.State {
	case container.StateRemoving: // by --rm, meanwhile
		removed := c.removed
		c.mu.Unlock()
		<-removed
		return nil
	case container.StateRunning, container.StatePaused:
		c.mu.Unlock()
		return fmt.Errorf("cannot remove container \"%s\": %w", ref, errStarted)
	}
	b := c.box
	c.box = nil
	c.mu.Unlock()
	e.removeRecord(c, o.Volumes)
	if b == nil {
		b = &sandbox{id: c.rec.ID, dir: c.dir, first: c.rec.FirstID}
	}
	e.unmountShown(c.rec.ID)
	e.discard(c, b)
	return nil
}

// removeRecord makes a container no more: from here on nobody finds it, and a
// sweep would finish the rest.
func (e *Engine) removeRecord(c *Container, volumes bool) {
	c.mu.Lock()
	c.st.State = container.StateRemoving
	r := c.rec
	pending := c.pending
	c.pending = nil
	c.mu.Unlock()
	for _, p := range pending {
		p.close()
	}
	if err := os.Remove(filepath.Join(c.dir, "config.json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.log.Error("remove record", "container", r.ID, "err", err)
	}
	e.fault("remove: record")
	e.unregister(c)
	e.dropExecs(r.ID)
	close(c.removed)
	e.emit(c, events.ActionDestroy, nil)
	for _, m := range r.Mounts {
		if m.Type == "volume" && m.Anon && (volumes || r.HostConfig.AutoRemove) && len(e.volumeUsers(m.Name)) == 0 {
			if err := e.volumes.remove(m.Name); err != nil {
				e.log.Error("remove volume", "volume", m.Name, "err", err)
				continue
			}
			e.emitVolume(events.ActionDestroy, m.Name, nil)
		}
	}
}
