package engine

import (
	"context"
	"errors"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"silo/internal/errs"
	"silo/internal/filter"
)

// ContainerWait tells a container's end.
func (e *Engine) ContainerWait(ctx context.Context, ref string, cond container.WaitCondition) (<-chan WaitResult, error) {
	c, err := e.find(ref)
	if err != nil {
		return nil, err
	}
	out := make(chan WaitResult, 1)
	on := c.waitOn(cond)
	if on == nil {
		out <- c.result()
		return out, nil
	}
	go func() {
		select {
		case <-on:
			out <- c.result()
		case <-c.removed: // there is no run to come any more
			out <- c.result()
		case <-ctx.Done():
			out <- WaitResult{Err: ctx.Err()}
		case <-e.ctx.Done():
			out <- WaitResult{Err: errs.New(errs.Unavailable, "silod is stopping")}
		}
	}()
	return out, nil
}

// waitOn gives what is closed when a wait is over; nil if it is already. Who
// waits for the end of a run to come is one of c.waiters from the look at the
// state on: no run can pass in between.
func (c *Container) waitOn(cond container.WaitCondition) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	running := c.st.State == container.StateRunning || c.st.State == container.StatePaused
	switch {
	case cond == container.WaitConditionRemoved:
		return c.removed
	case running:
		return c.exited
	case cond != container.WaitConditionNextExit && c.st.State != container.StateRestarting: // which counts as running, as for Docker
		return nil
	}
	next := make(chan struct{})
	c.waiters = append(c.waiters, next)
	return next
}

// takeWaiters gives what ends the wait of all who wait for the end of a run.
// Under mu.
func (c *Container) takeWaiters() (tell func()) {
	waiters := c.waiters
	c.waiters = nil
	return func() {
		for _, w := range waiters {
			close(w)
		}
	}
}

func (c *Container) result() WaitResult {
	st := c.state()
	r := WaitResult{ExitCode: st.ExitCode}
	if st.State == container.StateDead {
		r.Err = errors.New(st.Error)
	}
	return r
}

// ContainersPrune removes containers that do not run.
func (e *Engine) ContainersPrune(ctx context.Context, f filter.Args) (container.PruneReport, error) {
	report := container.PruneReport{ContainersDeleted: []string{}}
	if err := f.Validate("label", "label!", "until"); err != nil {
		return report, err
	}
	until, err := untilFilter(f)
	if err != nil {
		return report, err
	}
	for _, c := range e.all() {
		r, st := c.record(), c.state()
		switch st.State {
		case container.StateRunning, container.StatePaused, container.StateRestarting:
			continue
		}
		if !f.Labels(r.Config.Labels) || !until.IsZero() && r.Created.After(until) {
			continue
		}
		size, _ := c.diskUse()
		if err := e.ContainerRemove(ctx, r.ID, RemoveOptions{}); err != nil {
			continue // started or removed meanwhile
		}
		report.ContainersDeleted = append(report.ContainersDeleted, r.ID)
		report.SpaceReclaimed += uint64(size)
	}
	e.emitPrune(events.ContainerEventType, report.SpaceReclaimed)
	return report, nil
}
