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
	c.mu.Lock()
	exited, removed, state := c.exited, c.removed, c.st.State
	c.mu.Unlock()
	out := make(chan WaitResult, 1)
	running := state == container.StateRunning || state == container.StatePaused
	restarting := state == container.StateRestarting // counts as running, as for Docker
	if (cond == "" || cond == container.WaitConditionNotRunning) && !running && !restarting {
		out <- c.result()
		return out, nil
	}
	if cond != container.WaitConditionRemoved && !running { // the channel of the run to come
		next := make(chan struct{})
		c.mu.Lock()
		c.waiters = append(c.waiters, next)
		c.mu.Unlock()
		exited = next
	}
	on := exited
	if cond == container.WaitConditionRemoved {
		on = removed
	}
	go func() {
		select {
		case <-on:
			out <- c.result()
		case <-removed: // there is no run to come any more
			out <- c.result()
		case <-ctx.Done():
			out <- WaitResult{Err: ctx.Err()}
		case <-e.ctx.Done():
			out <- WaitResult{Err: errs.New(errs.Unavailable, "silod is stopping")}
		}
	}()
	return out, nil
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
