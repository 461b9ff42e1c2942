// Package agent is silo-agent, the one process of Silo inside a container: in
// all its namespaces but its PID namespace, outside its seccomp filter. It
// parks until there is a command, builds the container's root from mounts it
// is handed, executes commands, reaps what they leave behind, and ends with
// the container. It decides nothing; the protocol is drawn in package wire.
//
// It runs as root of the container's user namespace, so whatever a hostile
// image makes it open or mount stays within that namespace's rights.
package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/facts"
	"silo/internal/ipc"
	"silo/internal/linux"
)

// gcPercent makes the collector run before the heap of an idle agent grows
// beyond what start-up needed.
const gcPercent = 40

type agent struct {
	ch    *ipc.Conn
	self  *linux.FD            // this program, for the init of a PID namespace
	parts map[string]*linux.FD // mounts that go into every root: dev proc sys
	files map[string]*boundFile
	sysfd *linux.FD // /proc/sys before it was made read-only

	hostname     string   // as it was set last
	rooted       bool     // the root of Root is laid
	seccomp      []byte   // of commands that say Prepared
	caps         []string // likewise
	seccompFlags uint32
	confined     *forker // nil if no filter came with Prepare

	entering sync.Mutex
	inside   *forker // see insider; nil until it is needed

	mu       sync.Mutex
	spawned  *sync.Cond
	commands map[int]string // process → command id, as long as it runs
	main     int            // the container's own command, 0 before start
	pidns    bool
	exit     *wire.Exit // of main, until it is told
	ending   bool
	closed   chan struct{} // the keeper has closed the channel
	turns    chan struct{} // see turn
	workers  *ipc.Workers

	services *services // nil without services
	ahead    *ahead    // of services that will probably be wanted
	forks    uint64    // how many processes of services were made
	draining bool      // the command has ended and services are stopping
	sealed   bool      // no process of a service is made any more

	// unanswered counts children whose start has not been told yet: the end
	// of one is not told before its beginning.
	unanswered int
}

// Main runs the agent on its channel and returns the exit code.
func Main() int {
	if len(os.Args) > 0 {
		switch os.Args[0] {
		case initName:
			return initMain()
		case facts.ReaderName:
			return facts.Main(os.Stdout)
		}
	}
	linux.DefaultSignals()
	debug.SetGCPercent(gcPercent)
	sock, err := linux.NewSocket(wire.Channel, "channel")
	if err != nil {
		fmt.Fprintln(os.Stderr, "silo-agent: started by silo-keeper, not by hand:", err)
		return 125
	}
	a := &agent{ch: ipc.New(sock), commands: map[int]string{}, parts: map[string]*linux.FD{}, files: map[string]*boundFile{}, closed: make(chan struct{}), turns: make(chan struct{}, atOnce), workers: ipc.NewWorkers()}
	a.spawned = sync.NewCond(&a.mu)
	if err := a.setup(); err != nil {
		fmt.Fprintln(os.Stderr, "silo-agent:", err)
		return 125
	}
	go a.reap()
	if err := a.ch.Send(wire.Message{Op: "hello", Body: encode(wire.Hello{Version: wire.Version})}); err != nil {
		return 125
	}
	a.serve()
	close(a.closed)
	a.mu.Lock()
	if a.ending { // the last message is sent and reap ends the process
		select {}
	}
	a.mu.Unlock()
	// The keeper is gone: so is the container.
	a.killAll()
	return 125
}

// setup refuses to run outside a user namespace of its own: killAll would
// then reach every process of the host.
func (a *agent) setup() error {
	data, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return err
	}
	if f := strings.Fields(string(data)); len(f) != 3 || f[1] == "0" {
		return errors.New("not in a user namespace of a container: refused")
	}
	if a.self, err = linux.Open("/proc/self/exe", linux.ORdonly, 0); err != nil {
		return err
	}
	if err := makeThreads(); err != nil {
		return err
	}
	if err := linux.SetSubreaper(); err != nil {
		return err
	}
	return linux.SetUndumpable()
}

func encode(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("encode: " + err.Error()) // only plain structs come here
	}
	return b
}

// serve answers requests until the channel ends.
func (a *agent) serve() {
	for {
		var m wire.Message
		fds, err := a.ch.Receive(&m)
		if err != nil {
			return
		}
		switch m.Op { // what may take long holds up no other
		case "exec", "program", "inside":
			a.workers.Go(func() {
				defer a.turn()()
				a.answer(m, fds)
			})
			continue
		case "service":
			go a.answerService(m, fds)
			continue
		case "start":
			a.answerStart(m, fds)
			continue
		}
		a.answer(m, fds)
	}
}

func (a *agent) answer(m wire.Message, raw []int) {
	fds := ipc.Own(raw)
	defer fds.CloseAll()
	var reply any // of a command that was started
	var out *linux.FD
	var err error
	switch m.Op {
	case "prepare":
		var p wire.Prepare
		if err = json.Unmarshal(m.Body, &p); err == nil {
			err = a.prepare(p, fds)
		}
	case "root":
		var r wire.Root
		if err = json.Unmarshal(m.Body, &r); err == nil {
			err = a.layRoot(r, fds)
		}
	case "unroot":
		err = a.leaveRoot()
	case "exec", "program", "inside":
		var c wire.Command
		if err = json.Unmarshal(m.Body, &c); err == nil {
			a.complete(&c)
			reply, out, err = a.further(m.Op, c, fds)
		}
	default:
		err = errs.New(errs.NotSupported, "agent: unknown request %q", m.Op)
	}
	a.done(m, reply, out, err)
}

// answerStart starts the container's command. One that waits for services holds
// up no request, as some are about these services.
func (a *agent) answerStart(m wire.Message, raw []int) {
	fds := ipc.Own(raw)
	var s wire.Start
	err := json.Unmarshal(m.Body, &s)
	start := func() {
		defer fds.CloseAll()
		var reply any
		var out *linux.FD
		if err == nil {
			a.complete(&s.Command)
			reply, out, err = a.start(s, fds)
		}
		a.done(m, reply, out, err)
		if err == nil {
			a.bootServices()
		}
	}
	if s.Services != nil && s.Services.Wait {
		go start()
		return
	}
	start()
}

// done tells that a request is done, and what of a command that it began.
func (a *agent) done(m wire.Message, reply any, out *linux.FD, err error) {
	done := wire.Message{ID: m.ID, Op: "done"}
	if err != nil {
		done.Error = &wire.Error{Kind: uint8(errs.KindOf(err)), Text: err.Error()}
	} else if reply != nil {
		done.Body = encode(reply)
	}
	if out != nil {
		_ = a.ch.Send(done, out.Int())
		out.Close()
	} else {
		_ = a.ch.Send(done)
	}
	if reply != nil {
		a.mu.Lock()
		a.unanswered--
		a.spawned.Broadcast()
		a.mu.Unlock()
	}
}

// reap collects every child: commands, and orphans that fell to the agent.
// When the container's own command has ended it ends all others.
func (a *agent) reap() {
	var seen uint64 // of forks, when there was no child at last
	for {
		a.mu.Lock()
		for a.forks == seen && len(a.commands) == 0 && (a.main == 0 || a.draining) {
			a.spawned.Wait()
		}
		seen = a.forks
		a.mu.Unlock()
		a.reapAll()
		a.mu.Lock()
		if len(a.commands) > 0 || a.draining || a.forks != seen { // forked but not yet registered as ours: wait again
			a.mu.Unlock()
			continue
		}
		if a.main != 0 { // the last message; nothing is left to reap
			a.ending = true // the ids may belong to another container from now on
			exit := a.exit
			a.mu.Unlock()
			_ = a.ch.Send(wire.Message{Op: "end", Body: encode(wire.End{Exit: exit})})
			a.linger()
			os.Exit(0)
		}
		a.mu.Unlock()
	}
}

// reapAll reaps until no child is left. After the container's own command has
// ended, what is left of its descendants is killed: all of them are, or become,
// children of this process. The command's end is told at once if others take a
// while to die, and otherwise with the end.
func (a *agent) reapAll() {
	for {
		a.mu.Lock()
		over, untold := a.sealed, a.exit != nil
		a.mu.Unlock()
		pid, ws, ok := linux.WaitAny(over || untold)
		if ok && pid == 0 {
			if over {
				a.killAll()
			}
			a.tellExit()
			pid, ws, ok = linux.WaitAny(false)
		}
		if !ok {
			return
		}
		a.ended(pid, ws)
	}
}

func (a *agent) tellExit() {
	a.mu.Lock()
	exit := a.exit
	a.exit = nil
	a.mu.Unlock()
	if exit != nil {
		_ = a.ch.Send(wire.Message{Op: "exit", Body: encode(exit)})
	}
}

// lingerTime bounds how long an agent stays after its last message.
const lingerTime = time.Second

// linger waits until the keeper has heard the last message and closed the
// channel: taking down namespaces and mounts costs processor time that those
// who tell the container's end to its user need first.
func (a *agent) linger() {
	select {
	case <-a.closed:
	case <-time.After(lingerTime):
	}
}

func (a *agent) ended(pid int, ws linux.WaitStatus) {
	a.mu.Lock()
	for a.unanswered > 0 {
		a.spawned.Wait()
	}
	id, known := a.commands[pid]
	delete(a.commands, pid)
	isMain := known && pid == a.main
	a.mu.Unlock()
	if !known {
		a.serviceEnded(pid, ws)
		return
	}
	code, sig := linux.ExitCode(ws)
	exit := wire.Exit{ID: id, Code: code, Signal: sig}
	if isMain {
		a.mainEnded(ws)
		a.mu.Lock()
		a.exit = &exit
		a.mu.Unlock()
		return
	}
	_ = a.ch.Send(wire.Message{Op: "exit", Body: encode(exit)})
}

// killAll kills every process that root of this user namespace may signal:
// those of the container, and no other. The kernel does it under one lock, so
// a fork cannot slip through.
func (a *agent) killAll() { _ = linux.Kill(-1, linux.SIGKILL) }
