package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	agent "silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/ipc"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
	"silo/internal/logfile"
	service "silo/internal/service/wire"
)

// container is an agent and its commands. Fields below Keeper.mu unless said
// otherwise.
type container struct {
	id      string
	keeper  *Keeper
	first   uint32 // host id of the container's root
	procs   []string
	session uint32
	agent   int
	ch      *ipc.Conn // never replaced

	state   wire.State
	started time.Time
	main    *process
	outputs *outputs // made ahead while it is parked; nil if they are taken
	execs   map[string]*process
	ended   []wire.ExecStatus // the last execs that have ended, for a silod that was away
	failed  []service.Failure // services that failed while silod was away
	exit    *wire.Exit        // set once, when state is Exited
	held    []*client         // wait for the exit code until silod has noted it
	pending *agent.Exit

	agentStatus *linux.WaitStatus // how the agent ended
	orphan      *linux.WaitStatus // how the command ended after its agent had died
	nextID      uint64
	waiting     map[uint64]chan answer
	gone        chan struct{} // closed when the agent answers no more
	starting    chan struct{} // closed when a start has come off, or has not; nil before
}

// endedExecs is how many ended execs of a container are remembered.
const endedExecs = 32

// answer is what an agent answered.
type answer struct {
	m   agent.Message
	fds []int
	err error
}

func (c *container) status() wire.Status {
	s := wire.Status{ID: c.id, State: c.state, Agent: c.agent, Session: c.session, Started: c.started, Exit: c.exit, Failed: c.failed}
	if c.main != nil {
		s.PID = c.main.number()
	}
	for _, p := range c.execs {
		s.Execs = append(s.Execs, p.status())
	}
	s.Execs = append(s.Execs, c.ended...)
	return s
}

// call asks the agent and waits for its answer.
func (c *container) call(op string, body any, fds []int) (answer, error) {
	return c.ask(op, body, fds, 0, func() {})
}

// execPatience bounds the wait for an agent that is to begin a further command:
// the container's root can stop it, as it can end it.
const execPatience = 30 * time.Second

// ask is call that tells when the question is on its way, and waits for so long;
// 0 is for ever.
func (c *container) ask(op string, body any, fds []int, patience time.Duration, sent func()) (answer, error) {
	data, encoded := body.(json.RawMessage)
	if !encoded {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	k := c.keeper
	reply := make(chan answer, 1)
	k.mu.Lock()
	c.nextID++
	id := c.nextID
	c.waiting[id] = reply
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		delete(c.waiting, id)
		k.mu.Unlock()
	}()
	if err := c.ch.Send(agent.Message{ID: id, Op: op, Body: data}, fds...); err != nil {
		return answer{}, errs.Conflictf("the container's agent has ended")
	}
	sent()
	var late <-chan time.Time
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case a := <-reply:
		return a, a.err
	case <-late:
		return answer{}, errs.New(errs.Unavailable, "the container's agent does not answer within %s: it may have been stopped from inside", patience)
	case <-c.gone:
		select {
		case a := <-reply: // it was its last but one word
			return a, a.err
		default:
		}
		return answer{}, errs.Conflictf("the container's agent has ended")
	}
}

// answersNoMore ends the wait of all who have asked the agent.
func (c *container) answersNoMore() {
	c.keeper.mu.Lock()
	defer c.keeper.mu.Unlock()
	select {
	case <-c.gone:
	default:
		close(c.gone)
	}
}

// readAgent takes in what the agent says until its channel ends or an upgrade
// stops it between two messages.
func (c *container) readAgent() {
	k := c.keeper
	defer k.ends.Done()
	for {
		var m agent.Message
		fds, err := c.ch.Receive(&m)
		if err != nil {
			if ipc.Interrupted(err) {
				return
			}
			if err := c.agentGone(err); err != nil {
				k.log.Debug("agent ended", "container", c.id, "err", err)
			}
			return
		}
		c.heard(m, fds)
	}
}

// heard handles one message of the agent, which is not to be trusted.
func (c *container) heard(m agent.Message, fds []int) {
	k := c.keeper
	if m.Op != "done" {
		linux.CloseAll(fds)
		fds = nil
	}
	switch m.Op {
	case "hello", "done":
		a := answer{m: m, fds: fds}
		if m.Op == "hello" {
			var h agent.Hello
			if err := json.Unmarshal(m.Body, &h); err != nil || h.Version != agent.Version {
				a.err = fmt.Errorf("agent speaks version %d, keeper %d", h.Version, agent.Version)
			}
			m.ID = 0
		}
		if m.Error != nil {
			a.err = errs.New(errs.Kind(m.Error.Kind), "%s", m.Error.Text)
		}
		k.mu.Lock()
		to := c.waiting[m.ID]
		delete(c.waiting, m.ID)
		k.mu.Unlock()
		if to == nil {
			linux.CloseAll(fds)
			return
		}
		to <- a
	case "exit":
		var e agent.Exit
		if json.Unmarshal(m.Body, &e) == nil {
			c.commandEnded(e)
		}
	case "servicelog":
		c.serviceLog(m.Body)
	case "servicefailed":
		c.serviceFailed(m.Body)
	case "end":
		var e agent.End
		if json.Unmarshal(m.Body, &e) == nil && e.Exit != nil {
			c.commandEnded(*e.Exit)
		}
		c.answersNoMore() // a command that was asked for too late holds up no end
		c.finish("")
	}
}

func (c *container) commandEnded(e agent.Exit) {
	k := c.keeper
	k.mu.Lock()
	if e.ID == "" {
		if c.pending == nil && c.state == wire.Running {
			c.pending = &e // told when all else has ended too
		}
		k.mu.Unlock()
		return
	}
	p := c.execs[e.ID]
	k.mu.Unlock()
	if p == nil {
		return
	}
	k.ends.Add(1)
	go func() {
		defer k.ends.Done()
		p.drain(execDrain)
		exit := wire.Exit{Target: wire.Target{ID: c.id, Exec: e.ID}, Code: e.Code, Signal: e.Signal, At: time.Now()}
		status := p.status()
		status.Exit = &exit
		k.mu.Lock()
		delete(c.execs, e.ID)
		c.ended = append(c.ended[max(0, len(c.ended)-endedExecs+1):], status)
		k.mu.Unlock()
		// First the code: a client asks for it as soon as its stream ends.
		k.tell("execexit", exit)
		p.sendEnd(exit.Code)
		p.close()
	}()
}

// makeExit finds the code: the agent's word, or after its death what the
// keeper itself reaped.
func (c *container) makeExit(reason string) wire.Exit {
	k := c.keeper
	e := wire.Exit{Target: wire.Target{ID: c.id}, At: time.Now(), Reason: reason}
	for range 50 { // the orphan falls to the keeper a moment after its agent
		k.mu.Lock()
		pending, orphan := c.pending, c.orphan
		k.mu.Unlock()
		switch {
		case pending != nil:
			e.Code, e.Signal = pending.Code, pending.Signal
			return e
		case orphan != nil:
			e.Code, e.Signal = linux.ExitCode(*orphan)
			return e
		case reason == "":
			e.Code, e.Reason = 255, "the agent did not tell the exit code"
			return e
		}
		time.Sleep(10 * time.Millisecond)
	}
	e.Code, e.Signal = killedCode, 9
	return e
}

// pass hands a request on to a container's agent.
func (k *Keeper) pass(id, op string, body any, fds *ipc.FDs) error {
	c, err := k.find(id)
	if err != nil {
		return err
	}
	a, err := c.call(op, body, fds.Numbers())
	linux.CloseAll(a.fds)
	return err
}

func (k *Keeper) start(r wire.StartOrder, fds *ipc.FDs) (any, error) {
	c, err := k.find(r.ID)
	if err != nil {
		return nil, err
	}
	conns, err := fds.TakeLast(len(r.Attach))
	if err != nil {
		return nil, err
	}
	p, err := k.newProcess(c, "", r.Stdio, conns, r.Attach)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	if c.state != wire.Parked {
		k.mu.Unlock()
		p.abandon()
		return nil, errs.Conflictf("keeper: container %s is started already", r.ID)
	}
	c.main, c.state, c.started = p, wire.Running, time.Now() // before its end can be told
	c.starting = make(chan struct{})
	k.mu.Unlock()
	defer close(c.starting)
	a, err := c.call("start", r.Body, append(fds.Numbers(), p.childFDs()...))
	if err == nil {
		err = p.began(a)
	}
	if err != nil {
		k.mu.Lock()
		c.main, c.state = nil, wire.Parked
		k.mu.Unlock()
		p.abandon()
		return nil, err
	}
	p.pump()
	return wire.Started{PID: p.pid}, nil
}

func (k *Keeper) exec(r wire.ExecOrder, fds *ipc.FDs) (any, error) {
	c, err := k.find(r.ID)
	if err != nil {
		return nil, err
	}
	var head wire.ExecHead
	if err := json.Unmarshal(r.Command, &head); err != nil {
		return nil, errs.Invalidf("keeper: exec: %v", err)
	}
	var attach []wire.Attach
	if r.Attach != nil {
		attach = []wire.Attach{*r.Attach}
	}
	conns, err := fds.TakeLast(len(attach))
	if err != nil {
		return nil, err
	}
	if err := checkExec(r.Op, head.ID, fds); err != nil {
		for _, conn := range conns {
			conn.Close()
		}
		return nil, err
	}
	p, err := k.newProcess(c, head.ID, r.Stdio, conns, attach)
	if err != nil {
		return nil, err
	}
	p.args, p.user = head.Args, head.User
	k.mu.Lock()
	if c.state != wire.Running || c.execs[p.exec] != nil {
		k.mu.Unlock()
		p.abandon()
		return nil, errs.Conflictf("container %s is not running", r.ID)
	}
	c.execs[p.exec] = p // before its end can be told
	k.mu.Unlock()
	op := "exec"
	if r.Op != "" {
		op = r.Op
	}
	a, err := c.ask(op, r.Command, append(fds.Numbers(), p.childFDs()...), execPatience, func() {})
	if err == nil {
		err = p.began(a)
	}
	if err != nil {
		k.mu.Lock()
		delete(c.execs, p.exec)
		k.mu.Unlock()
		p.abandon()
		return nil, err
	}
	p.pump()
	return wire.Started{PID: p.pid}, nil
}

// process finds the command a target names.
func (k *Keeper) process(t wire.Target) (*process, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.containers[t.ID]
	if c == nil {
		return nil, errs.NotFoundf("keeper: no container %s", t.ID)
	}
	p := c.main
	if t.Exec != "" {
		p = c.execs[t.Exec]
	}
	if p == nil || c.state != wire.Running {
		return nil, errs.Conflictf("container %s is not running", t.ID)
	}
	return p, nil
}

func (k *Keeper) attach(r wire.AttachTo, fds *ipc.FDs) error {
	p, err := k.process(r.Target)
	if err != nil {
		return err
	}
	conns, err := fds.TakeLast(1)
	if err != nil {
		return err
	}
	return p.join(conns[0], r.Attach)
}

func (k *Keeper) resize(r wire.Resize) error {
	p, err := k.process(r.Target)
	if err != nil {
		return err
	}
	return p.resize(r.Rows, r.Cols)
}

func (k *Keeper) signal(r wire.Signal) error {
	p, err := k.process(r.Target)
	if err != nil {
		return err
	}
	err = linux.PidfdSignal(p.pidfd, linux.Signal(r.Number))
	if errors.Is(err, os.ErrProcessDone) { // its end is about to be told
		return nil
	}
	return err
}

// end kills a container's agent, and with it, by its channel's end, the
// container.
func (k *Keeper) end(id string) error {
	c, err := k.find(id)
	if err != nil {
		return err
	}
	k.mu.Lock()
	pid, ended := c.agent, c.agentStatus != nil
	k.mu.Unlock()
	if ended || pid <= 1 || !childOf(pid, os.Getpid()) {
		return nil
	}
	return linux.Kill(pid, linux.SIGKILL)
}

// childOf tells whether a process is a child of another: the number of one
// that has been reaped may have been given away.
func childOf(pid, parent int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err == nil && strings.Contains(string(data), "\nPPid:\t"+strconv.Itoa(parent)+"\n")
}

// forget drops an exited container.
func (k *Keeper) forget(id string) error {
	k.release(id)
	k.mu.Lock()
	c := k.containers[id]
	if c == nil || c.state != wire.Exited {
		k.mu.Unlock()
		if c == nil {
			return nil
		}
		return errs.Conflictf("keeper: container %s has not ended", id)
	}
	delete(k.containers, id)
	k.mu.Unlock()
	return c.ch.Close()
}

// openLog opens a command's log; nil keeps none.
func openLog(l *wire.Log) (*logfile.Writer, error) {
	if l == nil {
		return nil, nil
	}
	return logfile.NewWriter(l.Path, logfile.Options{MaxSize: l.MaxSize, MaxFiles: l.MaxFiles})
}

var errNoTerminal = errors.New("the command has no terminal")
