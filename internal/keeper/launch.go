package keeper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"

	agent "silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/ipc"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
)

// launch forks an agent into its namespaces and waits for its hello.
func (k *Keeper) launch(r wire.Launch, fds *ipc.FDs) (any, error) {
	if r.ID == "" || r.First == 0 || r.Count == 0 {
		return nil, errs.Invalidf("keeper: launch: an id and a range of user ids are needed")
	}
	if r.Join != len(fds.List) {
		return nil, errs.Invalidf("keeper: launch: %d namespaces to join, %d descriptors came", r.Join, len(fds.List))
	}
	c := &container{
		id: r.ID, keeper: k, first: r.First, procs: r.CgroupProcs, state: wire.Parked, waiting: map[uint64]chan answer{},
		execs: map[string]*process{}, gone: make(chan struct{}),
	}
	k.mu.Lock()
	if k.containers[r.ID] != nil {
		k.mu.Unlock()
		return nil, errs.Conflictf("keeper: container %s exists", r.ID)
	}
	k.containers[r.ID] = c
	k.mu.Unlock()
	if err := k.launchAgent(c, r, fds.List); err != nil {
		k.mu.Lock()
		delete(k.containers, r.ID)
		k.mu.Unlock()
		return nil, fmt.Errorf("launch agent: %w", err)
	}
	c.makeOutputs()
	return wire.Launched{PID: c.agent, Session: c.session}, nil
}

func (k *Keeper) launchAgent(c *container, r wire.Launch, join []*linux.FD) error {
	ours, theirs, err := linux.Socketpair()
	if err != nil {
		return err
	}
	sock, err := linux.NewSocket(ours, "channel of "+c.id)
	if err != nil {
		linux.CloseAll([]int{theirs})
		return err
	}
	c.ch = ipc.New(sock)
	hello := make(chan answer, 1)
	c.waiting[0] = hello
	err = k.forker.do(func() error {
		for _, ns := range join {
			if err := linux.Join(ns); err != nil {
				return err
			}
		}
		session, err := linux.NewAuditSession(r.First)
		if err != nil {
			return err
		}
		c.session = session
		f := linux.Fork{
			Flags:   linux.CloneFlags(r.Net, r.UTS, r.IPC),
			Steps:   k.agentSteps(theirs),
			Prepare: func(pid int) error { return prepareAgent(pid, r) },
		}
		return k.register(c, &f)
	}, len(join) > 0)
	linux.CloseAll([]int{theirs}) // only the agent's is left: its death ends the channel
	if err != nil {
		c.ch.Close()
		return err
	}
	k.ends.Add(1)
	go c.readAgent()
	select {
	case a := <-hello:
		if a.err != nil {
			_ = linux.Kill(c.agent, linux.SIGKILL) // its channel's end is noted by readAgent
			return a.err
		}
	case <-c.gone:
		return errors.New("the agent ended before it said hello")
	}
	return nil
}

// register forks an agent and notes its number. The reaper may see its end
// first: while agents are being launched it keeps the ends of strangers.
func (k *Keeper) register(c *container, f *linux.Fork) error {
	k.mu.Lock()
	k.launching++
	k.mu.Unlock()
	pid, err := f.Start()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.launching--
	if err == nil {
		c.agent = pid
		if ws, ended := k.strangers[pid]; ended {
			c.agentStatus = &ws
		}
		k.forker.started()
	}
	if k.launching == 0 {
		clear(k.strangers)
	}
	return err
}

// agentSteps is the child's way from fork to the agent's program.
func (k *Keeper) agentSteps(channel int) []linux.Step {
	steps := []linux.Step{
		linux.StepUnshareCgroup(), // only now, in its own cgroup, so that this is what it sees as root
		linux.StepSetsid(),
		linux.StepUmask(0),
		linux.StepDup(k.devNull.Int(), 0), linux.StepDup(k.devNull.Int(), 1), linux.StepDup(k.words.Int(), 2),
		linux.StepDup(channel, agent.Channel),
		linux.StepCloseFrom(agent.Channel + 1),
		linux.StepNewSessionKeyring(),
		linux.StepTimerSlack(linux.LateTimers), // commands get the kernel's usual slack
	}
	steps = append(steps, linux.StepSetID(0, 0, nil)...)
	return append(steps, linux.StepExecFD(k.agentExe, []string{"silo-agent"}, []string{"GOMAXPROCS=1"}))
}

// prepareAgent gives a child that waits its id maps, cgroups and limits.
func prepareAgent(pid int, r wire.Launch) error {
	proc := "/proc/" + strconv.Itoa(pid)
	idmap := fmt.Sprintf("0 %d %d\n", r.First, r.Count)
	for _, name := range []string{"/uid_map", "/gid_map"} {
		if err := os.WriteFile(proc+name, []byte(idmap), 0); err != nil {
			return err
		}
	}
	for _, file := range r.CgroupProcs {
		if err := os.WriteFile(file, []byte(strconv.Itoa(pid)), 0); err != nil {
			return fmt.Errorf("join cgroup: %w", err)
		}
	}
	for _, l := range r.HardLimits {
		if err := linux.RaiseHardLimit(pid, l.Type, l.Hard); err != nil {
			return errs.Invalidf("ulimit %s=%d:%d: more than this host grants: %v", l.Name, l.Soft, l.Hard, err)
		}
	}
	if r.OOMScoreAdj != nil {
		if err := os.WriteFile(proc+"/oom_score_adj", []byte(strconv.Itoa(*r.OOMScoreAdj)), 0); err != nil {
			if errors.Is(err, fs.ErrPermission) {
				return errs.Invalidf("oom-score-adj %d: lower than this host grants", *r.OOMScoreAdj)
			}
			return err
		}
	}
	return nil
}

// forker runs functions on one locked thread: the audit session of a process
// is that of the thread that forked it. A thread that has joined namespaces
// is used once and thrown away.
type forker struct {
	jobs  chan func()
	spawn chan struct{}
}

func newForker() *forker {
	f := &forker{jobs: make(chan func()), spawn: make(chan struct{}, 1)}
	go func() {
		runtime.LockOSThread()
		for job := range f.jobs {
			job()
		}
	}()
	return f
}

// started wakes the reaper, which sleeps while there is no child.
func (f *forker) started() {
	select {
	case f.spawn <- struct{}{}:
	default:
	}
}

func (f *forker) do(job func() error, ownThread bool) error {
	if ownThread {
		var err error
		linux.OwnThread(func() { err = job() })
		return err
	}
	done := make(chan error, 1)
	f.jobs <- func() { done <- job() }
	return <-done
}

// reap collects every child: agents, and processes of containers whose agent
// has died before them.
func (k *Keeper) reap() {
	for {
		if !linux.AwaitAny() {
			<-k.forker.spawn
			continue
		}
		k.mu.Lock()
		for k.frozen {
			k.thaw.Wait()
		}
		pid, ws, ok := linux.WaitAny(true)
		known := !ok || pid == 0 // whoever forked it has reaped it
		for _, c := range k.containers {
			switch {
			case pid == c.agent:
				c.agentStatus, known = &ws, true
			case c.main != nil && pid == c.main.number():
				c.orphan, known = &ws, true
			}
		}
		if !known && k.launching > 0 {
			k.strangers[pid] = ws
		}
		k.mu.Unlock()
	}
}

// killCgroup kills every process in the container's first cgroup, bounded: a
// process that forks faster is silod's to freeze.
func (c *container) killCgroup() {
	if len(c.procs) == 0 {
		return
	}
	for range 100 {
		data, err := os.ReadFile(c.procs[0])
		pids := strings.Fields(string(data))
		if err != nil || len(pids) == 0 {
			return
		}
		for _, p := range pids {
			if pid, err := strconv.Atoi(p); err == nil && pid > 1 {
				_ = linux.Kill(pid, linux.SIGKILL)
			}
		}
	}
}
