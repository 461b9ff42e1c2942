package engine

import (
	"context"
	"io"
	"os"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"silo/api"
	"silo/internal/keeper/wire"
)

// Defaults of a health check, as Docker's.
const (
	healthInterval = 30 * time.Second
	healthTimeout  = 30 * time.Second
	healthStart    = 5 * time.Second // between checks while starting
	healthRetries  = 3
	healthOutput   = 4096 // bytes kept of a check
	healthLog      = 5    // checks kept
)

type healthState struct {
	h    container.Health
	stop context.CancelFunc
}

func (c *Container) healthStatus() container.HealthStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.health == nil {
		return container.NoHealthcheck
	}
	return c.health.h.Status
}

func healthTest(h *container.HealthConfig, shell []string) []string {
	if h == nil || len(h.Test) == 0 || h.Test[0] == "NONE" {
		return nil
	}
	switch h.Test[0] {
	case "CMD":
		return h.Test[1:]
	case "CMD-SHELL":
		if len(shell) == 0 {
			shell = []string{"/bin/sh", "-c"}
		}
		return append(slices.Clone(shell), h.Test[1:]...)
	}
	return nil
}

// startHealth begins to check a container, if it has a check.
func (e *Engine) startHealth(c *Container) {
	r := c.record()
	test := healthTest(r.Config.Healthcheck, r.Config.Shell)
	if len(test) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(e.ctx)
	c.mu.Lock()
	stopHealth(c)
	c.health = &healthState{h: container.Health{Status: container.Starting}, stop: cancel}
	state := c.health
	started := c.st.Started
	c.mu.Unlock()
	e.background(func() { e.checkHealth(ctx, c, state, test, started) })
}

// stopHealth ends the checks; the caller holds c.mu.
func stopHealth(c *Container) {
	if c.health != nil {
		c.health.stop()
	}
}

func orElse(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

func (e *Engine) checkHealth(ctx context.Context, c *Container, state *healthState, test []string, started time.Time) {
	h := c.record().Config.Healthcheck
	for {
		c.mu.Lock()
		wait := orElse(h.Interval, healthInterval)
		if state.h.Status == container.Starting && time.Since(started) < h.StartPeriod {
			wait = min(orElse(h.StartInterval, healthStart), wait)
		}
		c.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		result := e.probe(ctx, c, test, orElse(h.Timeout, healthTimeout))
		if ctx.Err() != nil {
			return
		}
		e.judge(c, state, result, h, started)
	}
}

// judge takes in the result of one check.
func (e *Engine) judge(c *Container, state *healthState, r *container.HealthcheckResult, h *container.HealthConfig, started time.Time) {
	retries := h.Retries
	if retries == 0 {
		retries = healthRetries
	}
	c.mu.Lock()
	old := state.h.Status
	state.h.Log = append(state.h.Log, r)
	if n := len(state.h.Log); n > healthLog {
		state.h.Log = state.h.Log[n-healthLog:]
	}
	switch {
	case r.ExitCode == 0:
		state.h.Status, state.h.FailingStreak = container.Healthy, 0
	case old == container.Starting && r.Start.Sub(started) < h.StartPeriod:
		// failures while starting do not count
	default:
		state.h.FailingStreak++
		if state.h.FailingStreak >= retries {
			state.h.Status = container.Unhealthy
		}
	}
	now := state.h.Status
	c.mu.Unlock()
	if now == old {
		return
	}
	e.emit(c, events.Action(string(events.ActionHealthStatus)+": "+string(now)), nil)
	if now == container.Unhealthy {
		e.background(func() { e.onUnhealthy(c) })
	}
}

// onUnhealthy does what --health-on-failure asks.
func (e *Engine) onUnhealthy(c *Container) {
	id := c.record().ID
	var err error
	switch c.record().HostConfig.Annotations[api.HealthOnFailure] {
	case "kill":
		err = e.signal(e.ctx, c, 9) // an end of its own: the restart policy applies
	case "stop":
		err = e.ContainerStop(e.ctx, id, StopOptions{})
	case "restart":
		err = e.failStop(c, "it is unhealthy", true)
	}
	if err != nil {
		e.log.Warn("act on failed health", "container", id, "err", err)
	}
}

// probe runs a check once.
func (e *Engine) probe(ctx context.Context, c *Container, test []string, timeout time.Duration) *container.HealthcheckResult {
	res := &container.HealthcheckResult{Start: time.Now()}
	fail := func(code int, text string) *container.HealthcheckResult {
		res.End, res.ExitCode, res.Output = time.Now(), code, text
		return res
	}
	r := c.record()
	cmd, err := e.command(r, commandSpec{args: test, env: r.Config.Env, dir: r.Config.WorkingDir, user: r.Config.User})
	if err != nil {
		return fail(-1, err.Error())
	}
	cmd.ID = newID()
	x := &execution{id: cmd.ID, c: c, ran: true, done: make(chan struct{})}
	x.req.Cmd = test
	o, err := e.startOwn(ctx, x, "", cmd, wire.Attach{Stdout: true, Stderr: true})
	if err != nil {
		x.finish(126) // its start has been told
		return fail(-1, err.Error())
	}
	defer o.close()
	defer x.finish(137) // of one that is ended here: once closed, its end is not heard of
	text := collect(o.out)
	select {
	case <-x.done:
	case <-time.After(timeout):
		o.kill(ctx)
		return fail(-1, "Health check exceeded timeout ("+timeout.String()+")")
	case <-ctx.Done():
		return fail(-1, ctx.Err().Error())
	}
	return fail(*x.code, <-text)
}

func collect(f *os.File) <-chan string {
	out := make(chan string, 1)
	go func() {
		l := &limitedBuffer{most: healthOutput}
		_, _ = io.Copy(l, f)
		out <- l.String()
	}()
	return out
}
