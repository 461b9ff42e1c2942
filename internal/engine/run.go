package engine

import (
	"context"
	"encoding/json"
	"net"
	"syscall"

	"github.com/moby/moby/api/types/container"

	"silo/api"
	"silo/internal/errs"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
)

// The keeper ends a stream as the API says: this does not compile if the two
// numbers differ.
const _ = uint(wire.EndStream-api.EndStream) + uint(api.EndStream-wire.EndStream)

// ContainerRun makes and starts a container with its client joined: what takes
// four requests in Docker's API. The client's stream ends with the exit code.
func (e *Engine) ContainerRun(ctx context.Context, o RunOptions) error {
	keys, err := detachKeys(o.DetachKeys, o.Config != nil && o.Config.Tty)
	if err != nil {
		return err
	}
	made, err := e.ContainerCreate(ctx, o.CreateOptions)
	if err != nil {
		return err
	}
	c, err := e.find(made.ID)
	if err != nil {
		return err
	}
	header := map[string]string{api.ContainerHeader: made.ID}
	if warnings := append(o.Warnings, made.Warnings...); len(warnings) > 0 {
		data, _ := json.Marshal(warnings) // strings always can be
		header[api.WarningsHeader] = string(data)
	}
	fd, a, err := takeOver(o.Takeover, header)
	if err != nil {
		return err
	}
	a.Stdin, a.Stdout, a.Stderr, a.DetachKeys = o.Stdin && c.record().Config.OpenStdin, o.Stdout, o.Stderr, keys
	p := &pendingAttach{attach: a, conn: fd, taken: make(chan struct{})}
	close(p.taken)
	if !c.awaitStart(p) { // another client has started it
		p.close()
		return errs.Conflictf("container %s was started by another client", made.ID)
	}
	return e.ContainerStart(ctx, made.ID)
}

// ExecRun runs a further command with its client joined, as ExecCreate and
// ExecStart do. The client's stream ends with the exit code.
func (e *Engine) ExecRun(ctx context.Context, ref string, r container.ExecCreateRequest, take Takeover) error {
	id, err := e.ExecCreate(ctx, ref, r)
	if err != nil {
		return err
	}
	x, req, err := e.prepareExec(id, ExecStartOptions{})
	if err != nil {
		return err
	}
	keys, err := detachKeys(r.DetachKeys, r.Tty)
	if err != nil {
		return err
	}
	fd, a, err := takeOver(take, map[string]string{api.ExecHeader: id})
	if err != nil {
		return err
	}
	defer fd.Close()
	a.Stdin, a.Stdout, a.Stderr, a.DetachKeys = r.AttachStdin, r.AttachStdout, r.AttachStderr, keys
	req.Attach = &a
	return e.runExec(ctx, x, req, fd)
}

// takeOver takes a request's connection for the keeper.
func takeOver(take Takeover, header map[string]string) (*linux.FD, wire.Attach, error) {
	conn, head, buffered, err := take(header)
	if err != nil {
		return nil, wire.Attach{}, err
	}
	fd, err := dupConn(conn)
	return fd, wire.Attach{Mux: true, End: true, Greeting: head, Buffered: buffered}, err
}

// dupConn makes a copy of a connection's descriptor.
func dupConn(conn net.Conn) (fd *linux.FD, err error) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return nil, errs.New(errs.NotSupported, "attach: not on a socket that can be handed on")
	}
	rc, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	if cerr := rc.Control(func(raw uintptr) { fd, err = linux.NewFD(int(raw), "client").Dup() }); cerr != nil {
		return nil, cerr
	}
	return fd, err
}
