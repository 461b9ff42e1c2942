// Package remote is silod's side of the keeper's protocol (package wire).
package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"silo/internal/errs"
	"silo/internal/ipc"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
	service "silo/internal/service/wire"
)

// Keeper is a connection to silo-keeper. Methods may be called at the same
// time.
type Keeper struct {
	conn   *ipc.Conn
	events chan Event

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan answer
	err     error
	done    chan struct{}
}

// Event is what the keeper tells unasked: exit, execexit, detach, gone or
// servicefailed.
type Event struct {
	Op     string
	Exit   wire.Exit // of detach, gone and servicefailed only the target
	Failed service.Failure
}

type answer struct {
	m   wire.Message
	fds []int
}

// Dial connects to the keeper's socket.
func Dial(path string) (*Keeper, error) {
	sock, err := linux.DialUnix(path)
	if err != nil {
		return nil, err
	}
	k := &Keeper{conn: ipc.New(sock), events: make(chan Event, 1024), waiting: map[uint64]chan answer{}, done: make(chan struct{})}
	go k.read()
	return k, nil
}

// Events delivers what the keeper tells; it is closed when the connection
// ends. It must be read.
func (k *Keeper) Events() <-chan Event { return k.events }

// Done is closed when the connection has ended.
func (k *Keeper) Done() <-chan struct{} { return k.done }

// Close hangs up; the keeper and its containers go on.
func (k *Keeper) Close() error { return k.conn.Close() }

func (k *Keeper) read() {
	defer close(k.events)
	for {
		var m wire.Message
		fds, err := k.conn.Receive(&m)
		if err != nil {
			k.mu.Lock()
			k.err = err
			k.mu.Unlock()
			close(k.done)
			return
		}
		if m.Op == "done" {
			k.mu.Lock()
			to := k.waiting[m.ID]
			delete(k.waiting, m.ID)
			k.mu.Unlock()
			if to == nil {
				linux.CloseAll(fds)
				continue
			}
			to <- answer{m, fds}
			continue
		}
		linux.CloseAll(fds)
		e := Event{Op: m.Op}
		if err := json.Unmarshal(m.Body, &e.Exit); err != nil {
			continue
		}
		if m.Op == "servicefailed" && json.Unmarshal(m.Body, &e.Failed) != nil {
			continue
		}
		k.events <- e
	}
}

// call sends a request with copies of descriptors and decodes its answer.
func (k *Keeper) call(ctx context.Context, op string, body, reply any, fds ...int) ([]int, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	ch := make(chan answer, 1)
	k.mu.Lock()
	k.next++
	id := k.next
	k.waiting[id] = ch
	k.mu.Unlock()
	if err := k.conn.Send(wire.Message{ID: id, Op: op, Body: data}, fds...); err != nil {
		return nil, errs.New(errs.Unavailable, "keeper: %s: %w", op, err)
	}
	var a answer
	select {
	case a = <-ch:
	case <-k.done:
		return nil, errs.New(errs.Unavailable, "keeper: %s: the connection ended: %w", op, k.err)
	case <-ctx.Done():
		k.mu.Lock()
		delete(k.waiting, id)
		k.mu.Unlock()
		return nil, ctx.Err()
	}
	if a.m.Error != nil {
		linux.CloseAll(a.fds)
		return nil, errs.New(errs.Kind(a.m.Error.Kind), "%s", a.m.Error.Text)
	}
	if reply != nil {
		if err := json.Unmarshal(a.m.Body, reply); err != nil {
			linux.CloseAll(a.fds)
			return nil, fmt.Errorf("keeper: %s: answer: %w", op, err)
		}
	}
	return a.fds, nil
}

// Hello asks what runs.
func (k *Keeper) Hello(ctx context.Context) (h wire.Hello, err error) {
	_, err = k.call(ctx, "hello", struct{}{}, &h)
	return h, err
}

// Launch makes an agent; join are namespaces it is to share.
func (k *Keeper) Launch(ctx context.Context, r wire.Launch, join []*linux.FD) (l wire.Launched, err error) {
	r.Join = len(join)
	_, err = k.call(ctx, "launch", r, &l, numbers(join)...)
	return l, err
}

// Prepare passes mounts to a parked agent; they stay the caller's.
func (k *Keeper) Prepare(ctx context.Context, r wire.Prepare, mounts []*linux.FD) error {
	_, err := k.call(ctx, "prepare", r, nil, numbers(mounts)...)
	return err
}

// Root gives a parked agent the root that its container will probably have;
// the mount stays the caller's.
func (k *Keeper) Root(ctx context.Context, r wire.Root, mount *linux.FD) error {
	_, err := k.call(ctx, "root", r, nil, mount.Int())
	return err
}

// Unroot takes the root of Root away again.
func (k *Keeper) Unroot(ctx context.Context, id string) error {
	_, err := k.call(ctx, "unroot", wire.Target{ID: id}, nil)
	return err
}

// Start starts a prepared container. conns are the clients' connections, one
// for each Attach; all descriptors stay the caller's.
func (k *Keeper) Start(ctx context.Context, r wire.Start, mounts, conns []*linux.FD) (s wire.Started, err error) {
	r.Body.Command.TTY = r.Body.Command.TTY || r.Stdio.TTY
	_, err = k.call(ctx, "start", r, &s, append(numbers(mounts), numbers(conns)...)...)
	return s, err
}

// Exec runs a command in a running container; conn may be nil.
func (k *Keeper) Exec(ctx context.Context, r wire.Exec, conn *linux.FD) (wire.Started, error) {
	return k.exec(ctx, r, conn)
}

// ExecProgram runs an open program in a running container; both descriptors
// stay the caller's, and conn may be nil.
func (k *Keeper) ExecProgram(ctx context.Context, r wire.Exec, program, conn *linux.FD) (wire.Started, error) {
	r.Op = "program"
	return k.exec(ctx, r, program, conn)
}

// exec sends those of the descriptors that are there.
func (k *Keeper) exec(ctx context.Context, r wire.Exec, fds ...*linux.FD) (s wire.Started, err error) {
	r.Command.TTY = r.Stdio.TTY
	fds = slices.DeleteFunc(fds, func(f *linux.FD) bool { return f == nil })
	_, err = k.call(ctx, "exec", r, &s, numbers(fds)...)
	return s, err
}

// Attach joins a client to a running command.
func (k *Keeper) Attach(ctx context.Context, r wire.AttachTo, conn *linux.FD) error {
	_, err := k.call(ctx, "attach", r, nil, conn.Int())
	return err
}

// Resize sets the size of a command's terminal.
func (k *Keeper) Resize(ctx context.Context, r wire.Resize) error {
	_, err := k.call(ctx, "resize", r, nil)
	return err
}

// Signal sends a signal to a command.
func (k *Keeper) Signal(ctx context.Context, r wire.Signal) error {
	_, err := k.call(ctx, "signal", r, nil)
	return err
}

// Service asks a running container's agent about its services, and waits
// until what was asked for is done.
func (k *Keeper) Service(ctx context.Context, r wire.Service) (s service.Reply, err error) {
	_, err = k.call(ctx, "service", r, &s)
	return s, err
}

// End kills a container's agent and so the container.
func (k *Keeper) End(ctx context.Context, id string) error {
	_, err := k.call(ctx, "end", wire.Target{ID: id}, nil)
	return err
}

// Release lets clients who asked for it learn the exit code of a container
// that has ended. It does not wait for an answer.
func (k *Keeper) Release(id string) error {
	data, err := json.Marshal(wire.Target{ID: id})
	if err != nil {
		return err
	}
	return k.conn.Send(wire.Message{Op: "release", Body: data})
}

// Forget drops the record of an exit.
func (k *Keeper) Forget(ctx context.Context, id string) error {
	_, err := k.call(ctx, "forget", wire.Target{ID: id}, nil)
	return err
}

// Heard drops the failures of services that hello has told.
func (k *Keeper) Heard(ctx context.Context, id string) error {
	_, err := k.call(ctx, "heard", wire.Target{ID: id}, nil)
	return err
}

// Keep stores copies of descriptors under a name; none removes the name.
func (k *Keeper) Keep(ctx context.Context, name string, fds []*linux.FD) error {
	_, err := k.call(ctx, "keep", wire.Keep{Name: name}, nil, numbers(fds)...)
	return err
}

// Take gives copies of what is kept under a name.
func (k *Keeper) Take(ctx context.Context, name string) ([]*linux.FD, error) {
	raw, err := k.call(ctx, "take", wire.Keep{Name: name}, nil)
	var out []*linux.FD
	for _, n := range raw {
		out = append(out, linux.NewFD(n, name))
	}
	return out, err
}

// Quit ends a keeper that holds no container.
func (k *Keeper) Quit(ctx context.Context) error {
	_, err := k.call(ctx, "quit", struct{}{}, nil)
	return err
}

// Upgrade makes the keeper execute another program; the connection ends with
// it, and the caller dials again.
func (k *Keeper) Upgrade(ctx context.Context, program, agent *linux.FD) error {
	_, err := k.call(ctx, "upgrade", struct{}{}, nil, program.Int(), agent.Int())
	select {
	case <-k.done:
		return nil
	default:
		return err
	}
}

func numbers(fds []*linux.FD) (out []int) {
	for _, fd := range fds {
		out = append(out, fd.Int())
	}
	return out
}
