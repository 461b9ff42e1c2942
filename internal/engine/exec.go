package engine

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"silo/internal/errs"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
)

// execution is a further command in a container.
type execution struct {
	id   string
	c    *Container
	req  container.ExecCreateRequest
	mu   sync.Mutex
	pid  int
	code *int
	ran  bool
	done chan struct{}
	// begun is closed when pid is known, or never will be.
	begun chan struct{}
	// quiet ones are Silo's own: no event tells of them.
	quiet bool
	// untold ones have had no event of their start, and get none of their end.
	untold bool
	// tool is run from the image core, whatever image the container has.
	tool bool
}

// maxExecs bounds how many execs of one container are remembered.
const maxExecs = 1024

// ExecCreate prepares a command in a running container.
func (e *Engine) ExecCreate(_ context.Context, ref string, r container.ExecCreateRequest) (string, error) {
	c, err := e.find(ref)
	if err != nil {
		return "", err
	}
	if err := c.running(ref); err != nil {
		return "", err
	}
	if len(r.Cmd) == 0 {
		return "", errs.Invalidf("no exec command specified")
	}
	if _, err := detachKeys(r.DetachKeys, r.Tty); err != nil {
		return "", err
	}
	x := &execution{id: newID(), c: c, req: r, done: make(chan struct{}), begun: make(chan struct{}), untold: true}
	e.mu.Lock()
	e.forgetOldExecs(c)
	e.execs[x.id] = x
	c.execIDs = append(c.execIDs, x.id)
	e.mu.Unlock()
	x.emit(events.ActionExecCreate)
	return x.id, nil
}

// forgetOldExecs keeps the number of remembered execs bounded: the oldest that
// does not run goes, as clients ask for the code of one that has just ended.
// The caller holds e.mu.
func (e *Engine) forgetOldExecs(c *Container) {
	for len(c.execIDs) >= maxExecs {
		i := slices.IndexFunc(c.execIDs, func(id string) bool { return !e.execs[id].runs() })
		if i < 0 {
			return
		}
		delete(e.execs, c.execIDs[i])
		c.execIDs = slices.Delete(c.execIDs, i, i+1)
	}
}

func (x *execution) runs() bool {
	if x == nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.ran && x.code == nil
}

func (x *execution) hasEnded() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.code != nil
}

func (e *Engine) dropExecs(containerID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for id, x := range e.execs {
		if x.c.rec.ID == containerID {
			delete(e.execs, id)
		}
	}
}

// running refuses what needs a running container.
func (c *Container) running(ref string) error {
	switch c.stateBegun().State {
	case container.StateRunning:
		return nil
	case container.StatePaused:
		return errs.Conflictf("container %s is paused, unpause the container before exec", ref)
	case container.StateRestarting:
		return errs.Conflictf("container %s is restarting, wait until the container is running", ref)
	}
	return errs.Conflictf("container %s is not running", c.record().ID)
}

func (e *Engine) findExec(id string) (*execution, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if x := e.execs[id]; x != nil {
		return x, nil
	}
	return nil, errs.NotFoundf("No such exec instance: %s", id)
}

// ExecStart runs a prepared command, once.
func (e *Engine) ExecStart(ctx context.Context, id string, o ExecStartOptions) error {
	x, req, err := e.prepareExec(id, o)
	if err != nil {
		return err
	}
	keys, err := detachKeys(x.req.DetachKeys, x.req.Tty)
	if err != nil {
		return err
	}
	var fd *linux.FD
	if !o.Detach && o.Hijack != nil {
		conn, buffered, err := o.Hijack(!o.TTY)
		if err != nil {
			return err
		}
		if fd, err = connFD(conn); err != nil {
			return err
		}
		defer fd.Close()
		awaitHeadRead(ctx, fd)
		req.Attach = &wire.Attach{Stdin: x.req.AttachStdin, Stdout: x.req.AttachStdout, Stderr: x.req.AttachStderr, Mux: !o.TTY, DetachKeys: keys, Buffered: buffered}
	}
	return e.runExec(ctx, x, req, fd)
}

// prepareExec makes the keeper's request of a command that has not run yet.
func (e *Engine) prepareExec(id string, o ExecStartOptions) (*execution, wire.Exec, error) {
	var req wire.Exec
	x, err := e.findExec(id)
	if err != nil {
		return nil, req, err
	}
	x.mu.Lock()
	again := x.ran
	x.ran = true
	x.mu.Unlock()
	if again {
		return nil, req, errs.Conflictf("exec command %s has already run", id)
	}
	if err := x.c.running(x.c.record().Name); err != nil {
		return nil, req, err
	}
	r := x.c.record()
	s := commandSpec{args: x.req.Cmd, env: mergeEnv(r.Config.Env, x.req.Env), dir: x.req.WorkingDir, user: x.req.User, tty: x.req.Tty, privileged: x.req.Privileged}
	x.c.mu.Lock()
	s.filtered = x.c.box != nil && x.c.box.filtered
	x.c.mu.Unlock()
	if s.dir == "" {
		s.dir = r.Config.WorkingDir
	}
	if s.user == "" {
		s.user = r.Config.User
	}
	cmd, err := e.command(r, s)
	if err != nil {
		return nil, req, err
	}
	cmd.ID = id
	size := o.ConsoleSize
	if size == nil {
		size = x.req.ConsoleSize
	}
	if size != nil {
		cmd.Rows, cmd.Cols = uint16(size[0]), uint16(size[1])
	}
	req = wire.Exec{ID: r.ID, Command: cmd, Stdio: wire.Stdio{TTY: x.req.Tty, OpenStdin: x.req.AttachStdin && !o.Detach, StdinOnce: true}}
	return x, req, nil
}

func (e *Engine) runExec(ctx context.Context, x *execution, req wire.Exec, fd *linux.FD) error {
	defer close(x.begun)
	x.tellStart() // before its end
	s, err := e.runProgram(context.WithoutCancel(ctx), x, req, fd)
	if err != nil {
		code := 126
		if errs.Is(err, errs.NoCommand) {
			code = 127
		}
		x.finish(code)
		if fd != nil && !req.Attach.End { // the client has only the stream left to learn why
			writeError(fd, req.Attach.Mux, "OCI runtime exec failed: "+err.Error()+"\r\n")
		}
		return err
	}
	x.mu.Lock()
	x.pid = s.PID
	x.mu.Unlock()
	return nil
}

// emit tells of an exec, as Docker does with its command line.
func (x *execution) emit(action events.Action) {
	x.c.e.emit(x.c, events.Action(string(action)+": "+strings.Join(x.req.Cmd, " ")), map[string]string{"execID": x.id})
}

// tellStart tells of an exec's start, unless it has ended with its container
// before it could.
func (x *execution) tellStart() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.code == nil {
		x.untold = false
		x.emit(events.ActionExecStart)
	}
}

// finish notes an exec's end, of which it tells once. It tells with the lock
// held: when endExecs has come by, every end has been told, by whomever.
func (x *execution) finish(code int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.code != nil {
		return
	}
	x.code = &code
	if !x.quiet && !x.untold {
		x.c.e.emit(x.c, events.ActionExecDie, map[string]string{"execID": x.id, "exitCode": itoa(code)})
	}
	close(x.done)
}

// execSeen notes an exec's end as the keeper told it.
func (e *Engine) execSeen(o wire.Exit) {
	if x, err := e.findExec(o.Exec); err == nil {
		x.finish(o.Code)
	}
}

// endExecs ends every exec of a container that has ended. The keeper may tell
// of their ends later, or not at all.
func (e *Engine) endExecs(c *Container) {
	e.mu.Lock()
	var list []*execution
	for _, x := range e.execs {
		if x.c == c {
			list = append(list, x)
		}
	}
	e.mu.Unlock()
	for _, x := range list {
		x.mu.Lock()
		ran := x.ran
		x.mu.Unlock()
		if ran {
			x.finish(137)
		}
	}
}

// execStartTime is how long a resize waits for the start of its exec: a client
// sends it as soon as the start is answered, or before.
const execStartTime = 10 * time.Second

// ExecResize sets the terminal size of an exec.
func (e *Engine) ExecResize(ctx context.Context, id string, height, width uint16) error {
	x, err := e.findExec(id)
	if err != nil {
		return err
	}
	select {
	case <-x.begun:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(execStartTime):
		return errs.Conflictf("exec %s has not been started", id)
	}
	return e.keep().Resize(ctx, wire.Resize{Target: wire.Target{ID: x.c.record().ID, Exec: id}, Rows: height, Cols: width})
}

// ExecInspect shows an exec.
func (e *Engine) ExecInspect(ctx context.Context, id string) (container.ExecInspectResponse, error) {
	x, err := e.findExec(id)
	if err != nil {
		return container.ExecInspectResponse{}, err
	}
	x.awaitEnd(ctx)
	x.mu.Lock()
	defer x.mu.Unlock()
	privileged := x.req.Privileged
	return container.ExecInspectResponse{
		ID: id, ContainerID: x.c.rec.ID, Running: x.ran && x.code == nil, ExitCode: x.code, Pid: x.pid,
		OpenStdin: x.req.AttachStdin, OpenStdout: x.req.AttachStdout, OpenStderr: x.req.AttachStderr, CanRemove: x.code != nil,
		ProcessConfig: &container.ExecProcessConfig{Tty: x.req.Tty, Entrypoint: x.req.Cmd[0], Arguments: x.req.Cmd[1:], Privileged: &privileged, User: x.req.User},
	}, nil
}

// pendingAttach is a client who waits for a container's start.
type pendingAttach struct {
	attach wire.Attach
	conn   *linux.FD     // nil if the connection could not be taken over
	taken  chan struct{} // closed when attach and conn are set
}

// close hangs up on a client whose container does not start.
func (p *pendingAttach) close() {
	<-p.taken
	p.conn.Close()
}

// left tells whether a client has gone, and lets it go.
func (p *pendingAttach) left() bool {
	select {
	case <-p.taken:
	default:
		return false
	}
	if p.conn != nil && !linux.HungUp(p.conn) {
		return false
	}
	p.conn.Close()
	return true
}

// awaitStart enters a client for a container's next start; false if the
// container runs already.
func (c *Container) awaitStart(p *pendingAttach) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.st.State != container.StateCreated && c.st.State != container.StateExited {
		return false
	}
	// Nobody reads from those who wait: who has gone is noticed here.
	c.pending = slices.DeleteFunc(c.pending, (*pendingAttach).left)
	c.pending = append(c.pending, p)
	return true
}

// ContainerAttach joins a client to a container; one that is not running yet
// is joined when it starts. The connection itself is handed to the keeper, so
// that it outlives silod.
func (e *Engine) ContainerAttach(ctx context.Context, ref string, o AttachOptions, hijack Hijack) error {
	c, err := e.find(ref)
	if err != nil {
		return err
	}
	switch st := c.state(); st.State {
	case container.StatePaused:
		return errs.Conflictf("container %s is paused, unpause the container before attach", ref)
	case container.StateRestarting:
		return errs.Conflictf("container %s is restarting, wait until the container is running", ref)
	case container.StateDead, container.StateRemoving:
		return errs.Conflictf("container %s cannot be attached to: %s", ref, c.broken())
	}
	r := c.record()
	keys, err := detachKeys(o.DetachKeys, r.Config.Tty)
	if err != nil {
		return err
	}
	// A client asks for the start as soon as it has the answer that hijack
	// writes, so it is entered before. Old output goes to it at its own pace,
	// for which no start waits: then it is entered after that.
	p := &pendingAttach{taken: make(chan struct{})}
	entered := !o.Logs && o.Stream && c.awaitStart(p)
	defer close(p.taken)
	conn, buffered, err := hijack(!r.Config.Tty)
	if err != nil {
		return err
	}
	fd, err := connFD(conn)
	if err != nil {
		return err
	}
	if !entered {
		awaitHeadRead(ctx, fd)
	}
	if o.Logs {
		if err := e.replay(ctx, c, fd, o); err != nil || !o.Stream {
			fd.Close()
			return err
		}
	}
	if !o.Stream {
		fd.Close()
		e.emit(c, events.ActionAttach, nil)
		return nil
	}
	a := wire.Attach{Stdin: o.Stdin && r.Config.OpenStdin, Stdout: o.Stdout, Stderr: o.Stderr, Mux: !r.Config.Tty, DetachKeys: keys, Buffered: buffered}
	e.emit(c, events.ActionAttach, nil)
	if entered || c.awaitStart(p) {
		p.attach, p.conn = a, fd
		return nil
	}
	defer fd.Close()
	return e.keep().Attach(context.WithoutCancel(ctx), wire.AttachTo{Target: wire.Target{ID: r.ID}, Attach: a}, fd)
}

// takePending moves waiting clients into a start.
func (c *Container) takePending(s *wire.Start) (conns []*linux.FD) {
	c.mu.Lock()
	pending := c.pending
	c.pending = nil
	c.mu.Unlock()
	for _, p := range pending {
		<-p.taken
		if p.conn != nil {
			s.Attach = append(s.Attach, p.attach)
			conns = append(conns, p.conn)
		}
	}
	return conns
}

// connFD takes the descriptor out of a hijacked connection.
func connFD(conn net.Conn) (*linux.FD, error) {
	defer conn.Close()
	return dupConn(conn)
}

// ContainerResize sets the size of a container's terminal.
func (e *Engine) ContainerResize(ctx context.Context, ref string, height, width uint16) error {
	c, err := e.find(ref)
	if err != nil {
		return err
	}
	if err := c.running(ref); err != nil {
		return err
	}
	if err := e.keep().Resize(ctx, wire.Resize{Target: wire.Target{ID: c.record().ID}, Rows: height, Cols: width}); err != nil {
		return err
	}
	e.emit(c, events.ActionResize, map[string]string{"height": strconv.Itoa(int(height)), "width": strconv.Itoa(int(width))})
	return nil
}

// detachKeys reads "ctrl-p,ctrl-q" as the bytes that a terminal sends. Without
// a terminal there are none: there the same bytes are data.
func detachKeys(s string, tty bool) ([]byte, error) {
	var out []byte
	if s == "" {
		s = "ctrl-p,ctrl-q"
	}
	for _, key := range strings.Split(s, ",") {
		letter, ctrl := strings.CutPrefix(key, "ctrl-")
		switch {
		case !ctrl && len(key) == 1:
			out = append(out, key[0])
		case ctrl && len(letter) == 1 && letter[0] >= 'a' && letter[0] <= 'z':
			out = append(out, letter[0]-'a'+1)
		case ctrl && len(letter) == 1 && strings.ContainsAny(letter, "@[\\]^_"):
			out = append(out, letter[0]-'@')
		default:
			return nil, errs.Invalidf("invalid detach keys %q: give letters and ctrl-letters apart by commas, as in ctrl-p,ctrl-q", s)
		}
	}
	if !tty {
		return nil, nil
	}
	return out, nil
}
