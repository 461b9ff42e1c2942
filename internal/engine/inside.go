package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"silo/internal/errs"
	"silo/internal/facts"
	"silo/internal/keeper/wire"
)

// readerTimeout bounds how long the inside may take to be read: on a host that
// does nothing else it takes some milliseconds.
const readerTimeout = 5 * time.Second

// readInside runs the agent's reader among the container's processes: as its
// root, with its capabilities and its filter, in its control group. One
// capability is added, so that the reader sees processes of every user and
// none of them can change what it says.
func (e *Engine) readInside(ctx context.Context, c *Container, r *configRecord) (*facts.Facts, error) {
	ctx, cancel := context.WithTimeout(ctx, readerTimeout)
	defer cancel()
	cmd, err := e.command(r, commandSpec{args: []string{facts.ReaderName}, env: readerEnv(r.Config.Env), dir: "/", user: "0:0"})
	if err != nil {
		return nil, err
	}
	cmd.ID, cmd.Groups, cmd.Caps = newID(), nil, append(cmd.Caps, "CAP_SYS_PTRACE")
	x := &execution{id: cmd.ID, c: c, ran: true, quiet: true, done: make(chan struct{})}
	x.req.Cmd = cmd.Args
	o, err := e.startOwn(ctx, x, "inside", cmd, wire.Attach{Stdout: true})
	if errs.Is(err, errs.NotSupported) {
		return nil, fmt.Errorf("the container was started by an older Silo: %w", err)
	}
	if err != nil {
		return nil, err
	}
	defer o.close()
	if deadline, ok := ctx.Deadline(); ok {
		_ = o.out.SetReadDeadline(deadline)
	}
	f, err := facts.Parse(o.out)
	if err != nil {
		o.kill(context.WithoutCancel(ctx))
	}
	select { // the host's list of processes is read when it is gone
	case <-x.done:
	case <-ctx.Done():
		return nil, errReader
	}
	return f, err
}

// readerEnv is what the reader gets of the container's environment: what
// decides about language and time. The rest could change how it runs.
func readerEnv(env []string) []string {
	out := []string{"GOMAXPROCS=1"} // fewer threads count against the limit of processes
	for _, e := range env {
		for _, name := range []string{"LC_ALL=", "LC_CTYPE=", "LANG=", "TZ="} {
			if strings.HasPrefix(e, name) {
				out = append(out, e)
			}
		}
	}
	return out
}
