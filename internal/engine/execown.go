package engine

import (
	"context"
	"os"

	"github.com/moby/moby/api/types/events"

	agent "silo/internal/agent/wire"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
)

// ownExec is an exec of silod's own whose output it reads.
type ownExec struct {
	*execution
	out *os.File
}

// startOwn starts a command with its output joined; what is the kind of
// exec for the keeper. It is to be closed.
func (e *Engine) startOwn(ctx context.Context, x *execution, what string, cmd agent.Command, attach wire.Attach) (*ownExec, error) {
	ours, theirs, err := linux.Socketpair()
	if err != nil {
		return nil, err
	}
	o := &ownExec{execution: x, out: linux.NewFD(ours, "output of exec "+x.id).PollFile()}
	e.mu.Lock()
	e.execs[x.id] = x
	e.mu.Unlock()
	if !x.quiet {
		x.emit(events.ActionExecCreate)
		x.emit(events.ActionExecStart)
	}
	peer := linux.NewFD(theirs, "output of exec "+x.id)
	_, err = e.keep().Exec(ctx, wire.Exec{ID: x.c.record().ID, Op: what, Command: cmd, Attach: &attach}, peer)
	peer.Close()
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// kill ends the command.
func (o *ownExec) kill(ctx context.Context) {
	_ = o.c.e.keep().Signal(ctx, wire.Signal{Target: wire.Target{ID: o.c.record().ID, Exec: o.id}, Number: 9}) // it may have ended
}

// close forgets the exec.
func (o *ownExec) close() {
	o.out.Close()
	o.c.e.mu.Lock()
	delete(o.c.e.execs, o.id)
	o.c.e.mu.Unlock()
}
