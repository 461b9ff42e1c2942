package agent

import (
	"runtime"
	"slices"

	"silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/linux"
)

// forker is a thread in a state that its children are to inherit. It only
// forks: what else there is to do may need what the state takes away.
type forker struct {
	caps []string // its bounding set, nil for all
	jobs chan *forkJob
}

type forkJob struct {
	fork *linux.Fork
	pid  int
	err  error
	done chan struct{}
}

// newForker makes the thread; enter brings it into its state.
func newForker(caps []string, enter func() error) (*forker, error) {
	t := &forker{caps: caps, jobs: make(chan *forkJob)}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread is of no other use
		err := enter()
		ready <- err
		if err != nil {
			return
		}
		for j := range t.jobs {
			j.pid, j.err = j.fork.Start()
			close(j.done)
		}
	}()
	return t, <-ready
}

// newConfined makes a forker that is under the filter and within the bounding
// set that most commands have, as Prepare brought them: to install the filter
// takes the kernel 0.3 ms, as it tries every system call number beforehand, and
// that is a third of what a command takes to start.
func newConfined(p wire.Prepare) (*forker, error) {
	return newForker(p.Caps, func() error {
		if err := linux.SetSeccomp(p.Seccomp, p.SeccompFlags); err != nil {
			return err
		}
		return linux.Run(linux.StepsDropCaps(nil, p.Caps))
	})
}

// insider gives the forker whose children are born in the PID namespace of the
// container's own command. A thread cannot come back from there, as the agent's
// PID namespace is the host's, so one is kept.
func (a *agent) insider(main int) (*forker, error) {
	a.entering.Lock()
	defer a.entering.Unlock()
	if a.inside != nil {
		return a.inside, nil
	}
	t, err := newForker(nil, func() error {
		p, err := linux.PidfdOpen(main)
		if err != nil {
			return err
		}
		defer p.Close()
		return linux.JoinPIDNamespace(p)
	})
	if err != nil {
		return nil, errs.Conflictf("exec: join the container's PID namespace: %v", err)
	}
	a.inside = t
	return t, nil
}

// start makes a child, on a thread of no importance if t is nil.
func (t *forker) start(f *linux.Fork) (int, error) {
	if t == nil {
		return f.Start()
	}
	j := &forkJob{fork: f, done: make(chan struct{})}
	t.jobs <- j
	<-j.done
	return j.pid, j.err
}

// bounds gives the bounding set that a child begins with, nil for all.
func (t *forker) bounds() []string {
	if t == nil {
		return nil
	}
	return t.caps
}

// complete puts into a command what it leaves to Prepare.
func (a *agent) complete(c *wire.Command) {
	if c.Prepared && c.Caps == nil {
		c.Caps = a.caps
	}
}

// threadFor gives the thread that is to fork for a command. It is nil for one
// that must be forked here, or differs from most: its own steps then install
// its filter, which is put into c if c leaves it to Prepare.
func (a *agent) threadFor(c *wire.Command, o spawnOptions) (*forker, error) {
	if !c.Prepared {
		return o.from, nil
	}
	usual := o.from == nil && !o.newPID && len(o.before) == 0
	if t := a.confined; t != nil && usual && !slices.ContainsFunc(c.Caps, func(n string) bool { return !slices.Contains(t.caps, n) }) {
		return t, nil
	}
	if len(a.seccomp) == 0 {
		return nil, errs.Invalidf("agent: a command wants the prepared seccomp filter, and none came")
	}
	c.Seccomp, c.SeccompFlags = a.seccomp, a.seccompFlags
	return o.from, nil
}
