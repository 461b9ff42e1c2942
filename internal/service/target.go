package service

import (
	"errors"

	"silo/internal/service/unit"
)

// target is a unit without processes: a target, what the container itself
// provides, and units that cannot run.
type target struct {
	m      *Manager
	name   string
	u      *unit.Unit
	active bool
}

func (t *target) loaded() *unit.Unit { return t.u }
func (t *target) up() bool           { return t.active }
func (t *target) check()             {}

func (t *target) start(j *job) {
	if t.u = t.m.unitSet().Load(t.name); t.u.Kind != unit.KindTarget && t.u.State == unit.Loaded {
		// A file has come since: another kind of runner is needed.
		delete(t.m.units, t.name)
		t.m.runner(t.name).start(j)
		return
	}
	t.m.note(t.u)
	if err := canStart(t.u); err != nil {
		t.m.finish(j, err)
		return
	}
	if ok, err := t.m.conditions(t.u); !ok || err != nil {
		t.m.finish(j, err)
		return
	}
	t.active = true
	t.m.finish(j, nil)
}

func (t *target) stop(j *job) {
	t.active = false
	t.m.finish(j, nil)
}

func (t *target) reload(j *job) {
	t.m.finish(j, errors.New("it cannot be reloaded"))
}

// canStart tells why a unit cannot start.
func canStart(u *unit.Unit) error {
	switch u.State {
	case unit.Loaded, unit.Synthetic, unit.Provided:
		if u.Kind != unit.KindOther || u.State == unit.Provided {
			return nil
		}
		return errors.New("units of this kind are not run")
	}
	if u.Reason == "" {
		return errors.New(string(u.State))
	}
	return errors.New(u.Reason)
}

// conditions tells whether a unit's conditions hold; an assertion that does
// not is an error.
func (m *Manager) conditions(u *unit.Unit) (bool, error) {
	switch verdict, failed := m.unitSet().Check(u); verdict {
	case unit.Fail:
		return false, errors.New(failed + " does not hold")
	case unit.Skip:
		m.say(u.Name, "not started: "+failed+" does not hold")
		return false, nil
	}
	return true, nil
}
