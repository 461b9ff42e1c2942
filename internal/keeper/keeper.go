// Package keeper is silo-keeper, the small process that outlives silod: it is
// the parent of all agents, holds the terminals and pipes of their commands,
// writes their logs, joins clients to them, waits for their ends, and keeps
// descriptors for silod. It decides nothing about containers. Its program is
// replaced in place by exec; the protocol is drawn in package wire.
package keeper

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	agent "silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/ipc"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
)

// Keeper is the state of silo-keeper.
type Keeper struct {
	build    string
	listener *os.File
	agentExe *linux.FD
	devNull  *linux.FD
	words    *linux.FD // standard error of agents, see copyWords
	log      *slog.Logger
	forker   *forker
	workers  *ipc.Workers

	// work is held for reading by each request in progress and for writing
	// by an upgrade, which so waits for all of them.
	work sync.RWMutex

	mu         sync.Mutex
	containers map[string]*container
	daemons    map[*ipc.Conn]bool
	kept       map[string][]*linux.FD
	debts      map[*debt]bool
	frozen     bool       // all that moves has come to rest, for the next program
	thaw       *sync.Cond // frozen is false again
	launching  int
	strangers  map[int]linux.WaitStatus
	pumps      sync.WaitGroup // move bytes
	ends       sync.WaitGroup // listen to agents, and wait for pumps
	stop       chan struct{}
}

// Options of a keeper.
type Options struct {
	Build    string    // shown in hello
	Listener *linux.FD // the listening socket
	Agent    *linux.FD // sealed memfd with the agent's program
	Log      *slog.Logger
}

// New makes a keeper without containers.
func New(o Options) (*Keeper, error) {
	null, err := linux.Open("/dev/null", linux.ORdwr, 0)
	if err != nil {
		return nil, err
	}
	// A child is given its channel before it executes this.
	if err := o.Agent.Raise(agent.Channel + 1); err != nil {
		return nil, err
	}
	k := &Keeper{
		build: o.Build, listener: o.Listener.File(), agentExe: o.Agent, devNull: null, log: o.Log, forker: newForker(), workers: ipc.NewWorkers(),
		containers: map[string]*container{}, strangers: map[int]linux.WaitStatus{}, daemons: map[*ipc.Conn]bool{}, kept: map[string][]*linux.FD{},
		debts: map[*debt]bool{}, stop: make(chan struct{}),
	}
	k.thaw = sync.NewCond(&k.mu)
	return k, nil
}

// Run serves until silod says quit.
func (k *Keeper) Run() error {
	if err := linux.SetSubreaper(); err != nil {
		return err
	}
	if err := k.hearAgents(); err != nil {
		return err
	}
	go k.reap()
	go k.accept()
	<-k.stop
	return nil
}

func (k *Keeper) accept() {
	for {
		sock, err := linux.Accept(k.listener)
		if err != nil {
			if errors.Is(err, os.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			k.log.Error("accept", "err", err)
			time.Sleep(50 * time.Millisecond) // out of descriptors: may pass
			continue
		}
		if uid, err := sock.PeerUID(); err != nil || uid != 0 {
			k.log.Warn("connection refused: not root", "uid", uid, "err", err)
			sock.Close()
			continue
		}
		go k.serve(ipc.New(sock))
	}
}

// serve answers one silod until it hangs up.
func (k *Keeper) serve(c *ipc.Conn) {
	k.mu.Lock()
	k.daemons[c] = true
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		delete(k.daemons, c)
		k.mu.Unlock()
		c.Close()
	}()
	for {
		var m wire.Message
		fds, err := c.Receive(&m)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				k.log.Debug("connection of silod ended", "err", err)
			}
			return
		}
		k.workers.Go(func() { k.handle(c, m, fds) })
	}
}

// handle carries out one request and answers it.
func (k *Keeper) handle(c *ipc.Conn, m wire.Message, raw []int) {
	fds := ipc.Own(raw)
	if m.Op == "upgrade" {
		err := k.upgrade(c, m.ID, fds) // returns only if it did not happen
		k.reply(c, m.ID, nil, nil, err)
		fds.CloseAll()
		return
	}
	if m.Op == "service" {
		k.handleService(c, m, fds)
		return
	}
	k.work.RLock()
	defer k.work.RUnlock()
	defer fds.CloseAll()
	body, out, err := k.do(m, fds)
	k.reply(c, m.ID, body, out, err)
}

func (k *Keeper) reply(c *ipc.Conn, id uint64, body any, out []int, err error) {
	done := wire.Message{ID: id, Op: "done"}
	if err != nil {
		done.Error = &agent.Error{Kind: uint8(errs.KindOf(err)), Text: err.Error()}
	} else if body != nil {
		done.Body, _ = json.Marshal(body)
	}
	if err := c.Send(done, out...); err != nil {
		k.log.Debug("answer silod", "err", err)
	}
}

// do is the table of requests.
func (k *Keeper) do(m wire.Message, fds *ipc.FDs) (body any, out []int, err error) {
	switch m.Op {
	case "hello":
		return k.hello(), nil, nil
	case "launch":
		return with(m, func(r wire.Launch) (any, error) { return k.launch(r, fds) })
	case "prepare":
		return with(m, func(r wire.Prepare) (any, error) { return nil, k.pass(r.ID, m.Op, r.Body, fds) })
	case "root":
		return with(m, func(r wire.Root) (any, error) { return nil, k.pass(r.ID, m.Op, r.Body, fds) })
	case "unroot":
		return with(m, func(r wire.Target) (any, error) { return nil, k.pass(r.ID, m.Op, struct{}{}, fds) })
	case "start":
		return with(m, func(r wire.StartOrder) (any, error) { return k.start(r, fds) })
	case "exec":
		return with(m, func(r wire.ExecOrder) (any, error) { return k.exec(r, fds) })
	case "attach":
		return with(m, func(r wire.AttachTo) (any, error) { return nil, k.attach(r, fds) })
	case "resize":
		return with(m, func(r wire.Resize) (any, error) { return nil, k.resize(r) })
	case "signal":
		return with(m, func(r wire.Signal) (any, error) { return nil, k.signal(r) })
	case "end":
		return with(m, func(r wire.Target) (any, error) { return nil, k.end(r.ID) })
	case "release":
		return with(m, func(r wire.Target) (any, error) { k.release(r.ID); return nil, nil })
	case "heard":
		return with(m, func(r wire.Target) (any, error) { return nil, k.heard(r.ID) })
	case "forget":
		return with(m, func(r wire.Target) (any, error) { return nil, k.forget(r.ID) })
	case "keep":
		return with(m, func(r wire.Keep) (any, error) { k.keep(r.Name, fds); return nil, nil })
	case "take":
		var r wire.Keep
		if err := json.Unmarshal(m.Body, &r); err != nil {
			return nil, nil, errs.Invalidf("keeper: %s: %v", m.Op, err)
		}
		return nil, k.keptNumbers(r.Name), nil
	case "quit":
		return nil, nil, k.quit()
	}
	return nil, nil, errs.New(errs.NotSupported, "keeper: unknown request %q", m.Op)
}

// with decodes a request for its handler.
func with[R any](m wire.Message, f func(R) (any, error)) (any, []int, error) {
	var r R
	if err := json.Unmarshal(m.Body, &r); err != nil {
		return nil, nil, errs.Invalidf("keeper: %s: %v", m.Op, err)
	}
	body, err := f(r)
	return body, nil, err
}

func (k *Keeper) hello() wire.Hello {
	k.mu.Lock()
	defer k.mu.Unlock()
	h := wire.Hello{Version: wire.Version, Build: k.build, PID: os.Getpid()}
	for _, c := range k.containers {
		h.Containers = append(h.Containers, c.status())
	}
	for name := range k.kept {
		h.Kept = append(h.Kept, name)
	}
	return h
}

// tell sends an event to every connected silod, and says whether there was one.
func (k *Keeper) tell(op string, v any) (told bool) {
	body, _ := json.Marshal(v)
	k.mu.Lock()
	var to []*ipc.Conn
	for c := range k.daemons {
		to = append(to, c)
	}
	k.mu.Unlock()
	for _, c := range to {
		if err := c.Send(wire.Message{Op: op, Body: body}); err != nil {
			k.log.Debug("tell silod", "event", op, "err", err)
		} else {
			told = true
		}
	}
	return told
}

func (k *Keeper) keep(name string, fds *ipc.FDs) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, fd := range k.kept[name] {
		fd.Close()
	}
	delete(k.kept, name)
	if len(fds.List) > 0 {
		k.kept[name] = fds.List
		fds.List = nil
	}
}

func (k *Keeper) keptNumbers(name string) (out []int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, fd := range k.kept[name] {
		out = append(out, fd.Int())
	}
	return out
}

// quit ends the keeper if it holds no container.
func (k *Keeper) quit() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.containers) > 0 {
		return errs.Conflictf("keeper: %d containers are kept", len(k.containers))
	}
	time.AfterFunc(20*time.Millisecond, func() { close(k.stop) }) // after the answer
	return nil
}

func (k *Keeper) find(id string) (*container, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c := k.containers[id]; c != nil {
		return c, nil
	}
	return nil, errs.NotFoundf("keeper: no container %s", id)
}
