package keeper

import (
	"encoding/json"
	"sync"
	"time"

	"silo/internal/errs"
	"silo/internal/ipc"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
	service "silo/internal/service/wire"
)

// maxServiceName bounds the names that an agent may put into a log.
const maxServiceName = 256

// handleService carries out a request about services. Its answer may take as
// long as a service takes to start, and an upgrade does not wait for it: only
// while the question is sent is it held off.
func (k *Keeper) handleService(conn *ipc.Conn, m wire.Message, fds *ipc.FDs) {
	fds.CloseAll()
	k.work.RLock()
	sent := sync.OnceFunc(k.work.RUnlock)
	defer sent()
	body, _, err := with(m, func(r wire.Service) (any, error) { return k.service(r, sent) })
	k.reply(conn, m.ID, body, nil, err)
}

// service passes a request about services on to the agent.
func (k *Keeper) service(r wire.Service, sent func()) (any, error) {
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
	a, err := c.ask("service", r.Body, nil, 0, sent)
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

// failuresKept bounds what is kept of one container for a silod that is away.
const failuresKept = 32

// serviceFailed tells silod, which decides what follows; one that is away
// learns it later.
func (c *container) serviceFailed(body json.RawMessage) {
	f := wire.ServiceFailed{Target: wire.Target{ID: c.id}}
	if json.Unmarshal(body, &f.Failure) == nil && len(f.Service) <= maxServiceName {
		if c.keeper.tell("servicefailed", f) {
			return
		}
		c.keeper.mu.Lock()
		defer c.keeper.mu.Unlock()
		if len(c.failed) < failuresKept {
			c.failed = append(c.failed, f.Failure)
		}
	}
}

// heard drops the failures that silod has learned from hello.
func (k *Keeper) heard(id string) error {
	c, err := k.find(id)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	c.failed = nil
	return nil
}
