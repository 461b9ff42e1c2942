package engine

import (
	"context"
	"slices"
	"time"

	"github.com/moby/moby/api/types/container"

	"silo/api"
	"silo/internal/errs"
	"silo/internal/keeper/wire"
	service "silo/internal/service/wire"
)

// shutdownAsk bounds how long an agent may take to hear that it is to stop
// its services; stopping them goes on beside the command.
const shutdownAsk = time.Second

// checkServices checks what a request says about services.
func checkServices(h *container.HostConfig, pid bool) error {
	for _, key := range []string{api.Services, api.WaitServices} {
		switch v := h.Annotations[key]; v {
		case "", "true", "false":
		default:
			return errs.Invalidf("annotation %s=%q: want true or false", key, v)
		}
	}
	switch v := h.Annotations[api.ServiceFailure]; v {
	case "", service.Ignore, service.ExitOnFailure, service.RestartOnFailed:
	default:
		return errs.Invalidf("service failure policy %q: want ignore, exit or restart", v)
	}
	if pid && h.Annotations[api.Services] == "true" {
		return errs.New(errs.NotSupported, "services under isolation pid: the container's own process 1 starts them there; use isolation process, or leave out --services")
	}
	return nil
}

// servicesOf says what the agent is to do with a container's services; nil is
// nothing.
func servicesOf(r *configRecord) *service.Options {
	if !wantsServices(r.Config, r.HostConfig) || r.PID {
		return nil
	}
	a := r.HostConfig.Annotations
	return &service.Options{Wait: a[api.WaitServices] == "true", OnFailure: a[api.ServiceFailure]}
}

// wantsServices tells whether a container or else its image asks for them.
func wantsServices(c *container.Config, h *container.HostConfig) bool {
	if wanted := h.Annotations[api.Services]; wanted != "" {
		return wanted == "true"
	}
	return c.Labels[api.Services] == "true"
}

// Services lists the services of a running container.
func (e *Engine) Services(ctx context.Context, ref string) ([]api.Service, error) {
	return e.askServices(ctx, ref, service.Request{Op: service.OpList})
}

// ServiceAction does something to services of a running container and waits
// until it is done.
func (e *Engine) ServiceAction(ctx context.Context, ref string, r api.ServiceRequest) ([]api.Service, error) {
	actions := []string{service.Start, service.Stop, service.Restart, service.Reload, service.Enable, service.Disable, service.Status}
	if !slices.Contains(actions, r.Action) {
		return nil, errs.Invalidf("service action %q: want start, stop, restart, reload, enable, disable or status", r.Action)
	}
	if len(r.Units) == 0 {
		return nil, errs.Invalidf("service %s: name at least one service", r.Action)
	}
	return e.askServices(ctx, ref, service.Request{Op: service.OpAction, Action: r.Action, Units: r.Units})
}

func (e *Engine) askServices(ctx context.Context, ref string, r service.Request) ([]api.Service, error) {
	c, err := e.find(ref)
	if err != nil {
		return nil, err
	}
	if !c.isWaking() { // else it is about what is awaited
		if err := c.running(ref); err != nil {
			return nil, err
		}
	}
	rec := c.record()
	if servicesOf(rec) == nil {
		return nil, errs.Conflictf("container %s runs without services: run it with --services", rec.Name)
	}
	reply, err := e.keep().Service(ctx, wire.Service{ID: rec.ID, Body: r})
	if err != nil {
		return nil, err
	}
	out := make([]api.Service, len(reply.Services))
	for i, s := range reply.Services {
		out[i] = api.Service(s)
	}
	return out, nil
}

// stopServices makes the agent stop the services in order, beside the
// command, for so many seconds (below 0: as long as they take). The
// container's end waits for them.
func (e *Engine) stopServices(ctx context.Context, c *Container, seconds int) {
	r := c.record()
	if servicesOf(r) == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, shutdownAsk)
	defer cancel()
	body := service.Request{Op: service.OpAction, Action: service.Shutdown, Seconds: seconds}
	if _, err := e.keep().Service(ctx, wire.Service{ID: r.ID, Body: body}); err != nil {
		e.log.Debug("stop services", "container", r.ID, "err", err)
	}
}

// servicesFailed does what --service-failure asks for services that failed
// while silod was away.
func (e *Engine) servicesFailed(s wire.Status) {
	if err := e.keep().Heard(e.ctx, s.ID); err != nil {
		e.log.Warn("take failed services", "container", s.ID, "err", err)
		return
	}
	for _, f := range s.Failed {
		e.serviceFailed(s.ID, f)
	}
}

// serviceFailed does what --service-failure asks.
func (e *Engine) serviceFailed(id string, f service.Failure) {
	c, err := e.find(id)
	if err != nil {
		return
	}
	r := c.record()
	e.emit(c, "service_failed", map[string]string{"service": f.Service, "result": f.Result})
	switch r.HostConfig.Annotations[api.ServiceFailure] {
	case service.ExitOnFailure:
		err = e.failStop(c, "service "+f.Service+" failed: "+f.Result, false)
	case service.RestartOnFailed:
		err = e.failStop(c, "service "+f.Service+" failed: "+f.Result, true)
	}
	if err != nil {
		e.log.Warn("act on failed service", "container", id, "service", f.Service, "err", err)
	}
}

// failStop ends a container as if its command had failed, whatever it ends
// with, and notes why. Its restart policy applies; with again it is started
// again without one, after the same back-off.
func (e *Engine) failStop(c *Container, reason string, again bool) error {
	c.mu.Lock()
	if c.stopping || c.failed != "" {
		c.mu.Unlock()
		return nil
	}
	c.failed, c.again = reason, again
	exited := c.exited
	c.mu.Unlock()
	sig, timeout, err := stopOf(c.record(), StopOptions{})
	if err != nil {
		return err
	}
	e.stopServices(e.ctx, c, timeout)
	if err := e.signal(e.ctx, c, sig); err != nil && !errs.Is(err, errs.Conflict) {
		return err
	}
	e.killAfter(c, exited, patienceOf(timeout))
	return nil
}
