package service

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"time"

	"silo/internal/service/unit"
)

// timer is a timer unit: it starts another unit at times.
type timer struct {
	m      *Manager
	name   string
	u      *unit.Unit
	active bool
	since  time.Time // when it was started
	last   time.Time // when it elapsed last
	next   time.Time // zero: not any more, as far as can be told now
	delay  time.Duration
	clock  *time.Timer
}

func (t *timer) loaded() *unit.Unit { return t.u }
func (t *timer) up() bool           { return t.active }
func (t *timer) check()             {}

// stamps is where times of timers with Persistent= are kept.
const stamps = "/var/lib/systemd/timers/stamp-"

// recheck bounds how long a timer sleeps: the wall clock may be set.
const recheck = time.Minute

func (t *timer) start(j *job) {
	if t.active {
		t.m.finish(j, nil)
		return
	}
	t.u = t.m.unitSet().Load(t.name)
	t.m.note(t.u)
	err := canStart(t.u)
	if err == nil {
		var ok bool
		if ok, err = t.m.conditions(t.u); !ok {
			t.m.finish(j, err)
			return
		}
	}
	if err != nil {
		t.m.tell(t.name, err.Error())
		t.m.finish(j, err)
		return
	}
	t.active, t.since, t.last = true, time.Now(), time.Time{}
	if t.u.Timer.Persistent {
		switch fi, err := os.Stat(t.m.path(stamps + t.name)); {
		case err == nil:
			t.last = fi.ModTime()
		case errors.Is(err, fs.ErrNotExist): // what is missed from now on is to be made up for
			t.keepStamp(t.since)
		}
	}
	t.plan()
	t.m.finish(j, nil)
}

func (t *timer) stop(j *job) {
	t.active = false
	t.halt()
	t.next = time.Time{}
	t.m.finish(j, nil)
}

func (t *timer) reload(j *job) { t.m.finish(j, errors.New("it cannot be reloaded")) }

func (t *timer) halt() {
	if t.clock != nil {
		t.clock.Stop()
		t.clock = nil
	}
}

// plan computes when the timer elapses next and sets the clock.
func (t *timer) plan() {
	t.halt()
	t.next = t.earliest()
	if t.next.IsZero() || t.m.ending {
		return
	}
	wait := time.Until(t.next)
	if len(t.u.Timer.Calendar) > 0 {
		wait = min(wait, recheck)
	}
	t.clock = t.m.after(max(wait, 0), func() {
		switch {
		case !t.active:
		case time.Now().Before(t.next):
			t.plan()
		default:
			t.elapse()
		}
	})
}

// earliest gives the next time, zero for none.
func (t *timer) earliest() (next time.Time) {
	add := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	// Counted from a time that stays, or a delay would move on with each look;
	// so what was missed is made up for, too.
	from := t.since
	if !t.last.IsZero() {
		from = t.last
	}
	if now := time.Now(); from.After(now) { // the clock was set back
		from = now
	}
	for _, c := range t.u.Timer.Calendar {
		if at, ok := c.Next(from); ok {
			add(at.Add(t.random()))
		}
	}
	for _, s := range t.u.Timer.Spans {
		if at := t.base(s.Base); !at.IsZero() {
			if at = at.Add(s.Span); t.last.IsZero() || at.After(t.last) {
				add(at.Add(t.random()))
			}
		}
	}
	return next
}

// random spreads timers; it stays the same until the timer elapses.
func (t *timer) random() time.Duration {
	if t.delay == 0 && t.u.Timer.RandomDelay > 0 {
		t.delay = time.Duration(rand.Int64N(int64(t.u.Timer.RandomDelay))) + 1
	}
	return t.delay
}

// base is what a span counts from; zero if that has not been yet.
func (t *timer) base(b unit.TimerBase) time.Time {
	s, _ := t.m.units[t.u.Timer.Unit].(*service)
	switch b {
	case unit.OnActive:
		return t.since
	case unit.OnBoot, unit.OnStartup:
		return t.m.began
	case unit.OnUnitActive:
		if s != nil {
			return s.activeAt
		}
	case unit.OnUnitInactive:
		if s != nil {
			return s.inactiveAt
		}
	}
	return time.Time{}
}

// elapse starts the timer's unit.
func (t *timer) elapse() {
	t.last = time.Now()
	if !t.u.Timer.FixedDelay {
		t.delay = 0
	}
	if t.u.Timer.Persistent {
		t.keepStamp(t.last)
	}
	t.m.ask(t.name, t.m.unitSet().Start, t.u.Timer.Unit)
	t.plan()
	if t.next.IsZero() && !t.u.Timer.RemainAfter {
		t.active = false
	}
}

// keepStamp keeps a time for the container's next start.
func (t *timer) keepStamp(at time.Time) {
	if err := t.stamp(at); err != nil {
		t.m.say(t.name, "Persistent=: "+err.Error())
	}
}

func (t *timer) stamp(at time.Time) error {
	name := t.m.path(stamps + t.name)
	if err := os.MkdirAll(t.m.path("/var/lib/systemd/timers"), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	f.Close()
	return os.Chtimes(name, at, at)
}

// unitChanged computes anew when the unit has gone up or down.
func (t *timer) unitChanged(name string) {
	if t.active && name == t.u.Timer.Unit {
		t.plan()
	}
}
