package service

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"silo/internal/service/unit"
)

// job is one thing to do with a unit. A unit's jobs run one after the other.
type job struct {
	unit.Job
	seq   uint64
	tx    *transaction
	after []*job // of the same transaction
	begun bool
	timer *time.Timer
}

// transaction is jobs that were asked for together.
type transaction struct {
	left   int
	failed map[string]bool
	errs   []error // of what was named by the one who asked
	done   func(error)
}

var (
	errCanceled   = errors.New("another job took its place")
	errDependency = errors.New("a unit that it needs did not start")
	errEnding     = errors.New("the container is stopping")
)

// enqueue begins a transaction; done is called when all its jobs are over.
func (m *Manager) enqueue(t *unit.Transaction, done func(error)) {
	tx := &transaction{failed: map[string]bool{}, done: done, left: len(t.Jobs)}
	for _, n := range t.Notes {
		m.say("silo", n)
	}
	var added []*job
	for _, uj := range t.Jobs {
		m.seq++
		n := &job{Job: uj, seq: m.seq, tx: tx}
		for _, i := range uj.After {
			n.after = append(n.after, added[i]) // it comes before, by contract
		}
		added = append(added, n)
	}
	for _, j := range added {
		m.replace(j)
	}
	m.jobs = append(m.jobs, added...)
	if tx.left == 0 {
		done(nil)
	}
}

// replace cancels jobs of the same unit that a new one contradicts. A stop
// that has begun goes on; the new job waits for it.
func (m *Manager) replace(n *job) {
	for _, j := range slices.Clone(m.jobs) {
		if j.Unit != n.Unit {
			continue
		}
		if n.Kind == unit.JobStop && j.Kind != unit.JobStop || n.Kind == unit.JobStart && j.Kind == unit.JobStop && !j.begun {
			m.finish(j, errCanceled)
		}
	}
}

// dispatch begins every job that waits for no other.
func (m *Manager) dispatch() {
	for again := true; again; {
		again = false
		for _, j := range slices.Clone(m.jobs) {
			if !j.begun && slices.Contains(m.jobs, j) && m.ready(j) {
				j.begun, again = true, true
				m.begin(j)
			}
		}
	}
}

// ready tells whether all are over that a job waits for: those that its
// transaction orders before it, and earlier ones of the same unit or of units
// that go before its own.
func (m *Manager) ready(j *job) bool {
	for _, o := range m.jobs {
		if o != j && (o.seq < j.seq && (o.Unit == j.Unit || o.tx != j.tx && m.goesBefore(o, j)) || slices.Contains(j.after, o)) {
			return false
		}
	}
	return j.Kind != unit.JobStart || !m.idles(j)
}

// goesBefore tells whether a job goes before a later one of another unit that
// was asked for by itself. Only later ones wait, so there is no circle.
func (m *Manager) goesBefore(earlier, later *job) bool {
	a, b := m.unitSet().Load(earlier.Unit), m.unitSet().Load(later.Unit)
	ordered := func(first, second *unit.Unit) bool {
		return slices.Contains(second.Deps[unit.After], first.Name) || slices.Contains(first.Deps[unit.Before], second.Name)
	}
	// A stop goes before a start, whichever unit it is of, and two stops go the
	// other way round.
	return ordered(a, b) && later.Kind != unit.JobStop || ordered(b, a) && earlier.Kind == unit.JobStop
}

// awaits tells whether a job of a transaction waits for another of it.
func (j *job) awaits(o *job) bool {
	seen := map[*job]bool{}
	todo := []*job{j}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, a := range n.after {
			if a == o {
				return true
			}
			if !seen[a] {
				seen[a] = true
				todo = append(todo, a)
			}
		}
	}
	return false
}

// idles tells whether a service of type idle has others to wait for.
func (m *Manager) idles(j *job) bool {
	s, ok := m.runner(j.Unit).(*service)
	if !ok || s.u.Service.Type != unit.Idle || s.idled {
		return false
	}
	for _, o := range m.jobs {
		if other, ok := m.units[o.Unit].(*service); ok && o.Kind == unit.JobStart && other.u.Service.Type != unit.Idle && !o.awaits(j) {
			if j.timer == nil {
				j.timer = m.after(idleWait, func() { s.idled = true })
			}
			return true
		}
	}
	return false
}

// idleWait bounds how long a service of type idle waits, as in systemd.
const idleWait = 5 * time.Second

func (m *Manager) begin(j *job) {
	for _, n := range j.Needs {
		if j.tx.failed[n] {
			m.finish(j, errDependency)
			return
		}
	}
	r := m.runner(j.Unit)
	if m.ending && j.Kind != unit.JobStop {
		m.finish(j, errEnding)
		return
	}
	switch j.Kind {
	case unit.JobStart:
		r.start(j)
	case unit.JobStop:
		r.stop(j)
	case unit.JobReload:
		r.reload(j)
	case unit.JobVerify:
		var err error
		if !m.isUp(j.Unit) {
			err = errors.New("it is not running, as Requisite= wants")
		}
		m.finish(j, err)
	default:
		m.finish(j, fmt.Errorf("unknown job %q", j.Kind))
	}
}

// finish ends a job, and with its last job a transaction.
func (m *Manager) finish(j *job, err error) {
	if j == nil {
		return
	}
	i := slices.Index(m.jobs, j)
	if i < 0 {
		return // finished already
	}
	m.jobs = slices.Delete(m.jobs, i, i+1)
	if j.timer != nil {
		j.timer.Stop()
	}
	tx := j.tx
	if err != nil {
		tx.failed[j.Unit] = true
		if j.Anchor {
			tx.errs = append(tx.errs, fmt.Errorf("%s %s: %w", j.Kind, j.Unit, err))
		}
		if errors.Is(err, errDependency) && !m.ending {
			m.tell(j.Unit, "not started: "+err.Error())
		}
	}
	if j.Kind == unit.JobStart { // later ones joined it
		for _, o := range slices.Clone(m.jobs) {
			if o.Unit == j.Unit && o.Kind == unit.JobStart && !o.begun && (err == nil || o.seq > j.seq) {
				m.finish(o, err)
			}
		}
	}
	if tx.left--; tx.left == 0 {
		tx.done(errors.Join(tx.errs...))
	}
}

// has tells whether a job of a kind waits or runs for a unit.
func (m *Manager) has(name string, kind unit.JobKind) bool {
	return slices.ContainsFunc(m.jobs, func(j *job) bool { return j.Unit == name && j.Kind == kind })
}

// ask starts or stops units without anybody waiting for it. What cannot be
// done is said in the log of who asked.
func (m *Manager) ask(by string, plan func(unit.Active, ...string) (*unit.Transaction, error), names ...string) {
	tx, err := plan(m.isUp, names...)
	if err != nil {
		m.tell(by, err.Error())
		return
	}
	m.enqueue(tx, func(err error) {
		if err != nil && !errors.Is(err, errCanceled) && !errors.Is(err, errEnding) {
			m.tell(by, err.Error())
		}
	})
}
