package keeper

import (
	"encoding/json"
	"time"

	"silo/internal/errs"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
	service "silo/internal/service/wire"
)

// maxServiceName bounds the names that an agent may put into a log.
const maxServiceName = 256

// service passes a request about services on to the agent.
func (k *Keeper) service(r wire.Service) (any, error) {
	c, err := k.find(r.ID)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	running := c.state == wire.Running
	k.mu.Unlock()
	if !running {
		return nil, errs.Conflictf("container %s is not running", r.ID)
	}
	a, err := c.call("service", r.Body, nil)
	linux.CloseAll(a.fds)
	if err != nil {
		return nil, err
	}
	return a.m.Body, nil
}

// serviceLog writes what a service wrote into the container's log. Clients
// that are attached to the command do not get it.
func (c *container) serviceLog(body json.RawMessage) {
	var l service.Log
	if json.Unmarshal(body, &l) != nil || len(l.Service) > maxServiceName || len(l.Data) > service.MaxLog {
		return
	}
	if l.Stream != "stderr" {
		l.Stream = "stdout"
	}
	k := c.keeper
	k.mu.Lock()
	main := c.main
	k.mu.Unlock()
	if main == nil {
		return
	}
	main.mu.Lock()
	log := main.log
	main.mu.Unlock()
	if log != nil { // counts and reports its own losses
		_ = log.WriteFrom(l.Service, l.Stream, time.Now(), l.Data)
	}
}

// serviceFailed tells silod, which decides what follows.
func (c *container) serviceFailed(body json.RawMessage) {
	f := wire.ServiceFailed{Target: wire.Target{ID: c.id}}
	if json.Unmarshal(body, &f.Failure) == nil && len(f.Service) <= maxServiceName {
		c.keeper.tell("servicefailed", f)
	}
}
