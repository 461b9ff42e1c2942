// Package service supervises the services of one container: it carries out
// jobs in the order that package unit has found, follows each service through
// its life (state.go), restarts, stops and watches them, listens on their
// sockets and keeps their timers.
//
// One goroutine owns all state; everything that happens is a function posted
// to it. Processes are started, signalled and found through the interface
// System, which the agent implements. It leaves grammar and order to package
// unit, and what follows for the container to silod.
package service

import (
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"silo/internal/service/unit"
	"silo/internal/service/wire"
)

// bootTarget is what a container starts.
const bootTarget = "default.target"

// Options of a Manager.
type Options struct {
	System System
	Root   *os.Root // of the container: / for the agent
	Host   unit.Host
	// NotifySocket is the path in the container where services tell how they
	// are doing; "" listens on none.
	NotifySocket string
	// Rest, if set, is called when nothing has been asked for a while and
	// what was read has been forgotten.
	Rest func()
}

// Manager supervises the services of one container.
type Manager struct {
	o     Options
	queue queue
	lines lines

	// What follows belongs to the goroutine of run.
	set        *unit.Set // nil when it is read anew at the next use
	idle       *time.Timer
	units      map[string]runner
	procs      map[int]*service // processes that were started here
	jobs       []*job
	seq        uint64 // of jobs
	marks      Mark   // the last one given
	conns      uint64 // connections accepted so far, names their services
	began      time.Time
	found      map[Mark][]Member // of services, as seen since the last event
	sweep      bool              // look which processes are left
	ending     bool              // no start any more
	endDone    []func()
	grace      time.Time          // until when services may take to stop, if silod said so
	forever    bool               // they may take as long as they want
	helpers    map[int]func(Exit) // processes that are no service
	said       map[string]bool    // notes that are in a log
	dynamic    map[uint32]string
	waiting    []func() // for the end of start-up
	generating bool     // programs that make units are at work
	generated  []func() // requests that wait for their end
}

// runner is a unit that is or was up.
type runner interface {
	loaded() *unit.Unit
	up() bool // active, or becoming so
	start(j *job)
	stop(j *job)
	reload(j *job)
	check() // look at processes again
}

// New makes a manager and starts its goroutine, which ends with the process.
func New(o Options) *Manager {
	m := &Manager{
		o: o, units: map[string]runner{}, procs: map[int]*service{}, began: time.Now(),
		helpers: map[int]func(Exit){}, said: map[string]bool{}, dynamic: map[uint32]string{},
	}
	m.queue.wake = make(chan struct{}, 1)
	m.lines.rings = map[string]*ring{}
	m.lines.out = o.System.Output
	go m.run()
	return m
}

// queue is what has happened and is not dealt with yet. It never blocks who
// adds to it: what is added is bounded by the processes and requests there are.
type queue struct {
	mu   sync.Mutex
	list []func()
	wake chan struct{}
}

// post has f called on the manager's goroutine.
func (m *Manager) post(f func()) {
	m.queue.mu.Lock()
	m.queue.list = append(m.queue.list, f)
	m.queue.mu.Unlock()
	select {
	case m.queue.wake <- struct{}{}:
	default:
	}
}

func (m *Manager) run() {
	for range m.queue.wake {
		m.queue.mu.Lock()
		list := m.queue.list
		m.queue.list = nil
		m.queue.mu.Unlock()
		for _, f := range list {
			m.found = nil
			f()
			m.dispatch()
		}
		if m.sweep {
			m.sweep, m.found = false, nil
			for _, r := range m.sorted() {
				r.check()
			}
			m.dispatch()
		}
	}
}

// after has f called on the manager's goroutine in a while.
func (m *Manager) after(d time.Duration, f func()) *time.Timer {
	return time.AfterFunc(d, func() { m.post(f) })
}

// sorted gives the units in a fixed order.
func (m *Manager) sorted() []runner {
	names := make([]string, 0, len(m.units))
	for n := range m.units {
		names = append(names, n)
	}
	slices.Sort(names)
	out := make([]runner, len(names))
	for i, n := range names {
		out[i] = m.units[n]
	}
	return out
}

// Exited tells the end of a process that was a child of the agent.
func (m *Manager) Exited(pid int, e Exit) {
	m.post(func() {
		m.sweep = true
		if f := m.helpers[pid]; f != nil {
			delete(m.helpers, pid)
			f(e)
			return
		}
		s := m.procs[pid]
		if s == nil {
			return
		}
		delete(m.procs, pid)
		s.processEnded(pid, e)
	})
}

// Boot starts the enabled services; done, which may be nil, is called when all
// of them are up or have failed, with the names of those.
func (m *Manager) Boot(done func(failed []string)) {
	m.post(func() {
		if done != nil {
			m.waiting = append(m.waiting, func() { done(m.failures()) })
		}
		if m.o.NotifySocket != "" {
			if err := m.listenNotify(); err != nil {
				m.say("silo", "services cannot notify: "+err.Error())
			}
		}
		m.generating = true
		m.generate(func() {
			m.generating = false
			m.refresh()
			tx, err := m.unitSet().Start(m.isUp, bootTarget)
			if err != nil {
				m.say("silo", "start services: "+err.Error())
				m.booted()
			} else {
				m.enqueue(tx, func(error) { m.booted() })
			}
			for _, f := range m.generated {
				m.post(f) // once what can start has begun to
			}
			m.generated = nil
		})
	})
}

func (m *Manager) booted() {
	list := m.waiting
	m.waiting = nil
	for _, f := range list {
		f()
	}
}

// failures names the services that have failed.
func (m *Manager) failures() (names []string) {
	for _, r := range m.sorted() {
		if s, ok := r.(*service); ok && s.state == failed {
			names = append(names, s.name)
		}
	}
	return names
}

// refresh has the unit files read anew.
func (m *Manager) refresh() { m.set = nil }

// unitSet is what the unit files say.
func (m *Manager) unitSet() *unit.Set {
	if m.set == nil {
		m.set = unit.NewSet(unitFS{m.o.Root}, m.o.Host)
		for name, r := range m.units { // what hangs on a unit is looked for among those it has loaded
			if r.up() {
				m.set.Load(name)
			}
		}
		m.forgetLater()
	}
	return m.set
}

// keepSet is how long what was read of units is kept for the next question.
const keepSet = 2 * time.Second

// forgetLater frees what was read when nothing is going on.
func (m *Manager) forgetLater() {
	if m.idle != nil {
		m.idle.Stop()
	}
	m.idle = m.after(keepSet, func() {
		if len(m.jobs) > 0 {
			m.forgetLater()
			return
		}
		m.set, m.found = nil, nil
		if m.o.Rest != nil {
			go m.o.Rest()
		}
	})
}

// isUp tells package unit which units are up.
func (m *Manager) isUp(name string) bool {
	r := m.units[name]
	if s, ok := r.(*service); ok {
		return s.state == running || s.state == reloading || s.state == exited
	}
	return r != nil && r.up()
}

// stopPlan is Stop of package unit in the shape of its other plans.
func (m *Manager) stopPlan(a unit.Active, names ...string) (*unit.Transaction, error) {
	return m.unitSet().Stop(a, names...), nil
}

// runner finds or makes what runs a unit; nil with an error if it cannot run.
func (m *Manager) runner(name string) runner {
	if r := m.units[name]; r != nil {
		return r
	}
	u := m.unitSet().Load(name)
	if r := m.units[u.Name]; r != nil {
		return r
	}
	var r runner
	switch {
	case u.Kind == unit.KindService && u.State == unit.Loaded:
		r = &service{m: m, name: u.Name, u: u, state: dead}
	case u.Kind == unit.KindSocket && u.State == unit.Loaded:
		r = &socket{m: m, name: u.Name, u: u}
	case u.Kind == unit.KindTimer && u.State == unit.Loaded:
		r = &timer{m: m, name: u.Name, u: u}
	default:
		r = &target{m: m, name: u.Name, u: u}
	}
	m.units[u.Name] = r
	return r
}

// note says what of a unit is passed over, in one line and once; status tells
// all of it.
func (m *Manager) note(u *unit.Unit) {
	var list []string
	for _, n := range u.Notes {
		for _, what := range passedOver(n.Text) {
			if !slices.Contains(list, what) {
				list = append(list, what)
			}
		}
	}
	if len(list) > 0 {
		m.say(u.Name, "passed over: "+strings.Join(list, ", ")+": `silo service status` tells why")
	}
}

// passedOver names the directives that a note is about, or gives all of it if
// it names none.
func passedOver(note string) []string {
	names, _, _ := strings.Cut(note, ": ")
	list := strings.Fields(names)
	for i, name := range list {
		key, _, ok := strings.Cut(name, "=")
		switch {
		case ok && key != "":
			list[i] = key + "="
		case name == "and" && i > 0: // as many more
			return append(list[:i], strings.Join(list[i:], " "))
		default:
			return []string{note}
		}
	}
	return list
}

// say writes a line of the manager's own into the log of a unit, the same one
// only once.
func (m *Manager) say(name, text string) {
	if m.said[name+"\x00"+text] {
		return
	}
	if len(m.said) > maxSaid {
		return
	}
	m.said[name+"\x00"+text] = true
	m.tell(name, text)
}

// maxSaid bounds how many notes are remembered, and so said.
const maxSaid = 4096

// tell is say for what happens more than once.
func (m *Manager) tell(name, text string) { m.lines.own(name, "silo: "+text+"\n") }

// Handle answers a request; it returns when what was asked for is done.
// change tells whether the one who asks may change anything.
func (m *Manager) Handle(r wire.Request, change bool) wire.Reply {
	reply := make(chan wire.Reply, 1)
	m.post(func() { m.request(r, change, func(a wire.Reply) { reply <- a }) })
	return <-reply
}
