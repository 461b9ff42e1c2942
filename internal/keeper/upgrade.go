package keeper

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	agent "silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/ipc"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
)

// RestoreFlag is how a keeper tells its next program where its state is.
const RestoreFlag = "--restore="

// freezeTime bounds the wait for bytes on their way when a keeper is to be
// replaced; a client that takes nothing for so long keeps its rest pending.
const freezeTime = 5 * time.Second

// saved is a keeper's state across an exec. Numbers are open descriptors.
type saved struct {
	Listener   int
	Containers []savedContainer
	Kept       map[string][]int
	Debts      []savedDebt
}

type savedContainer struct {
	Status  wire.Status
	First   uint32
	Procs   []string
	Channel int
	NextID  uint64
	Main    *savedProcess
	Execs   []savedProcess
	Pending *agent.Exit
	Orphan  *linux.WaitStatus
	Dead    *linux.WaitStatus
	Ended   []wire.ExecStatus
}

type savedProcess struct {
	Exec    string
	Args    []string
	User    string
	Stdio   wire.Stdio
	PID     int
	PidFD   int
	TTY     int
	Stdin   int
	Outs    map[string]int
	Clients []savedClient
}

type savedClient struct {
	Conn    int
	Attach  wire.Attach
	Pending []byte
}

// upgrade replaces the program of this process. Descriptors: the new keeper,
// the new agent (a sealed memfd). It returns only if it did not happen.
func (k *Keeper) upgrade(c *ipc.Conn, id uint64, fds *ipc.FDs) error {
	if len(fds.List) != 2 {
		return errs.Invalidf("keeper: upgrade: 2 descriptors are needed, %d came", len(fds.List))
	}
	k.work.Lock() // no request is in progress from here on
	defer k.work.Unlock()
	defer k.resume()
	for _, id := range k.ids() { // who waits for an exit code need not wait for the next program
		k.release(id)
	}
	if err := k.freeze(); err != nil {
		return err
	}
	state, err := k.save()
	if err != nil {
		return err
	}
	fd, err := linux.Memfd("keeper state", state)
	if err != nil {
		return err
	}
	defer fd.Close()
	arg := RestoreFlag + strconv.Itoa(fd.Int()) + "," + strconv.Itoa(fds.List[1].Int())
	keep := append(k.numbers(), fd.Int(), fds.List[1].Int())
	if err := linux.KeepOnExec(keep, true); err != nil {
		return err
	}
	err = linux.ExecFD(fds.List[0], []string{os.Args[0], arg}, os.Environ())
	_ = linux.KeepOnExec(keep, false)
	return fmt.Errorf("execute the new keeper: %w", err)
}

func (k *Keeper) ids() (out []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.containers {
		out = append(out, id)
	}
	return out
}

// freeze stops all pumps where no byte is on its way. First come to rest the
// agents' messages: the end of a command waits for its output's. From then on
// no child is reaped either: how one ended is for the next program to learn.
func (k *Keeper) freeze() error {
	k.mu.Lock()
	for _, c := range k.containers {
		c.ch.Stop()
	}
	k.mu.Unlock()
	if err := rest(&k.ends); err != nil {
		return err
	}
	k.mu.Lock()
	k.frozen = true
	k.mu.Unlock()
	k.stopFiles()
	return rest(&k.pumps)
}

// stopFiles ends all waiting for bytes that may be stopped.
func (k *Keeper) stopFiles() {
	past := time.Now()
	k.eachFile(func(f *os.File, soon bool) {
		if soon {
			_ = f.SetReadDeadline(past)
		}
		_ = f.SetWriteDeadline(past.Add(freezeTime / 2))
	})
	k.mu.Lock()
	for d := range k.debts { // nobody waits for these
		_ = d.conn.SetWriteDeadline(past)
	}
	k.mu.Unlock()
}

// rest waits, bounded, until nothing of a group runs.
func rest(group *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-time.After(freezeTime):
		return errs.New(errs.Unavailable, "keeper: streams did not come to rest in %s: try again", freezeTime)
	}
}

// resume starts the pumps again after an upgrade that did not happen.
func (k *Keeper) resume() {
	k.stopFiles() // freeze may have given up before
	k.ends.Wait()
	k.pumps.Wait()
	k.eachFile(func(f *os.File, _ bool) { _ = f.SetDeadline(time.Time{}) })
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.containers {
		c.ch.Resume()
	}
	k.frozen = false
	k.thaw.Broadcast()
	k.restartAll()
	go k.accept()
}

// restartAll runs all pumps.
func (k *Keeper) restartAll() {
	for _, c := range k.containers {
		k.restart(c)
	}
	for d := range k.debts {
		k.startPaying(d)
	}
}

// restart runs a container's pumps.
func (k *Keeper) restart(c *container) {
	if c.state != wire.Exited {
		k.ends.Add(1)
		go c.readAgent()
	}
	processes := make([]*process, 0, len(c.execs)+1)
	for _, p := range c.execs {
		processes = append(processes, p)
	}
	if c.main != nil && c.state == wire.Running {
		processes = append(processes, c.main)
	}
	for _, p := range processes {
		if p.log == nil && p.stdio.Log != nil {
			var err error
			if p.log, err = openLog(p.stdio.Log); err != nil {
				k.log.Error("log after upgrade: output is not kept", "container", c.id, "err", err)
			}
		}
		for _, cl := range p.clients {
			cl.flush()
		}
		p.ready, p.ended = make(chan struct{}), make(chan struct{})
		p.startPumps()
	}
}

// eachFile visits every file that a pump may wait on; soon marks those whose
// reading may be stopped at any time.
func (k *Keeper) eachFile(visit func(f *os.File, soon bool)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	visit(k.listener, true)
	for d := range k.debts {
		visit(d.conn, true)
	}
	for _, c := range k.containers {
		visit(c.ch.Socket().File(), true)
		for _, p := range c.processes() {
			p.mu.Lock()
			for _, o := range p.outs {
				visit(o.f, true)
			}
			if p.stdin != nil {
				visit(p.stdin, false)
			}
			for _, cl := range p.clients {
				visit(cl.conn, true)
			}
			p.mu.Unlock()
		}
	}
}

func (c *container) processes() (out []*process) {
	if c.main != nil && c.state == wire.Running {
		out = append(out, c.main)
	}
	for _, p := range c.execs {
		out = append(out, p)
	}
	return out
}

// save writes down the state of a frozen keeper.
func (k *Keeper) save() ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := saved{Listener: linux.RawFD(k.listener), Kept: map[string][]int{}, Debts: k.saveDebts()}
	for name, list := range k.kept {
		for _, fd := range list {
			s.Kept[name] = append(s.Kept[name], fd.Int())
		}
	}
	for _, c := range k.containers {
		sc := savedContainer{
			Status: c.status(), First: c.first, Procs: c.procs, Channel: linux.RawFD(c.ch.Socket().File()),
			NextID: c.nextID, Pending: c.pending, Orphan: c.orphan, Dead: c.agentStatus, Ended: c.ended,
		}
		for _, p := range c.processes() {
			sp := p.save()
			if p.exec == "" {
				sc.Main = &sp
			} else {
				sc.Execs = append(sc.Execs, sp)
			}
		}
		s.Containers = append(s.Containers, sc)
	}
	return json.Marshal(s)
}

func (p *process) save() savedProcess {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.log != nil { // an unfinished line goes out as a part; the next program writes the rest
		_ = p.log.Close()
		p.log = nil
	}
	s := savedProcess{Exec: p.exec, Args: p.args, User: p.user, Stdio: p.stdio, PID: p.pid, PidFD: p.pidfd.Int(), TTY: -1, Stdin: -1, Outs: map[string]int{}}
	if p.stdin != nil {
		s.Stdin = linux.RawFD(p.stdin)
	}
	if p.tty != nil {
		s.TTY = linux.RawFD(p.tty)
	} else {
		for _, o := range p.outs {
			s.Outs[o.name] = linux.RawFD(o.f)
		}
	}
	for _, c := range p.clients {
		s.Clients = append(s.Clients, savedClient{Conn: linux.RawFD(c.conn), Attach: c.attach, Pending: c.pending})
	}
	return s
}

// numbers lists every descriptor that save names.
func (k *Keeper) numbers() (out []int) {
	k.eachFile(func(f *os.File, _ bool) { out = append(out, linux.RawFD(f)) })
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, list := range k.kept {
		for _, fd := range list {
			out = append(out, fd.Int())
		}
	}
	for _, c := range k.containers {
		for _, p := range c.processes() {
			if n := p.pidfd.Int(); n >= 0 {
				out = append(out, n)
			}
		}
	}
	return out
}

// Restore makes a keeper from what its former program left in a descriptor.
func Restore(arg string, build string, log *slog.Logger) (*Keeper, error) {
	var state, agentExe int
	if _, err := fmt.Sscanf(arg, RestoreFlag+"%d,%d", &state, &agentExe); err != nil {
		return nil, fmt.Errorf("restore: %q: %v", arg, err)
	}
	f := linux.NewFD(state, "keeper state").File()
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, info.Size())
	if _, err := f.ReadAt(data, 0); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	var s saved
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	listener := linux.NewFD(s.Listener, "keeper socket")
	if err := linux.SetNonblock(listener); err != nil {
		return nil, err
	}
	k, err := New(Options{Build: build, Listener: listener, Agent: linux.NewFD(agentExe, "agent"), Log: log})
	if err != nil {
		return nil, err
	}
	all := []int{s.Listener, k.agentExe.Int()}
	for name, list := range s.Kept {
		for _, n := range list {
			k.kept[name] = append(k.kept[name], linux.NewFD(n, name))
			all = append(all, n)
		}
	}
	all = append(all, k.restoreDebts(s.Debts)...)
	for _, sc := range s.Containers {
		c, numbers, err := k.restore(sc)
		if err != nil {
			return nil, err
		}
		all = append(all, numbers...)
		k.containers[c.id] = c
	}
	if err := linux.KeepOnExec(all, false); err != nil {
		return nil, err
	}
	k.restartAll()
	return k, nil
}

func (k *Keeper) restore(sc savedContainer) (*container, []int, error) {
	sock, err := linux.NewSocket(sc.Channel, "channel of "+sc.Status.ID)
	if err != nil {
		return nil, nil, err
	}
	c := &container{
		id: sc.Status.ID, keeper: k, first: sc.First, procs: sc.Procs, session: sc.Status.Session, agent: sc.Status.Agent,
		ch: ipc.New(sock), state: sc.Status.State, started: sc.Status.Started, exit: sc.Status.Exit, failed: sc.Status.Failed, pending: sc.Pending,
		ended: sc.Ended, orphan: sc.Orphan, agentStatus: sc.Dead, nextID: sc.NextID, execs: map[string]*process{}, waiting: map[uint64]chan answer{}, gone: make(chan struct{}),
	}
	numbers := []int{sc.Channel}
	restore := func(sp savedProcess) *process {
		p, n := k.restoreProcess(c, sp)
		numbers = append(numbers, n...)
		return p
	}
	if sc.Main != nil {
		c.main = restore(*sc.Main)
	}
	for _, sp := range sc.Execs {
		c.execs[sp.Exec] = restore(sp)
	}
	return c, numbers, nil
}

func (k *Keeper) restoreProcess(c *container, s savedProcess) (*process, []int) {
	var numbers []int
	open := func(n int, name string) *linux.FD {
		if n < 0 {
			return nil
		}
		numbers = append(numbers, n)
		return linux.NewFD(n, name)
	}
	p := &process{keeper: k, id: c.id, exec: s.Exec, args: s.Args, user: s.User, stdio: s.Stdio, pid: s.PID, pidfd: open(s.PidFD, "process")}
	if fd := open(s.Stdin, "standard input"); fd != nil {
		p.stdin = fd.PollFile()
	}
	if fd := open(s.TTY, "terminal"); fd != nil {
		p.tty = fd.PollFile()
		p.outs = []*output{{name: "stdout", code: 1, f: p.tty}}
	}
	for i, name := range []string{"stdout", "stderr"} {
		if n, ok := s.Outs[name]; ok {
			p.outs = append(p.outs, &output{name: name, code: byte(i + 1), f: open(n, name).PollFile()})
		}
	}
	for _, sc := range s.Clients {
		cl := &client{p: p, conn: open(sc.Conn, "client").PollFile(), attach: sc.Attach, pending: sc.Pending}
		p.clients = append(p.clients, cl)
	}
	return p, numbers
}
