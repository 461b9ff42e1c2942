package service

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"silo/internal/service/unit"
	"silo/internal/service/wire"
)

// maxUnits bounds the units of one request.
const maxUnits = 256

// request begins what was asked for; answer is called once, when it is done.
func (m *Manager) request(r wire.Request, change bool, answer func(wire.Reply)) {
	refuse := func(format string, args ...any) { answer(wire.Reply{Error: fmt.Sprintf(format, args...)}) }
	if r.Op == wire.OpAction && r.Action == wire.Shutdown {
		m.shutdown(r.Seconds, change, answer)
		return
	}
	if len(r.Units) > maxUnits {
		refuse("%d units in one request: at most %d", len(r.Units), maxUnits)
		return
	}
	if m.generating {
		m.generated = append(m.generated, func() { m.request(r, change, answer) })
		return
	}
	if r.Op != wire.OpList { // a list may be as old as what was read last, see keepSet
		m.refresh()
		reply := answer
		answer = func(r wire.Reply) { m.refresh(); reply(r) }
	}
	var names []string
	for _, n := range r.Units {
		if !strings.Contains(n, ".") {
			n += ".service"
		}
		u := m.unitSet().Load(n)
		if u.State == unit.NotFound && m.units[u.Name] == nil {
			refuse("no unit %s: see `silo service ls`, or get-service inside", n)
			return
		}
		names = append(names, u.Name)
	}
	describe := func(err error) {
		reply := wire.Reply{Services: m.list(names, r.Action == wire.Status || r.Action == wire.Logs)}
		if err != nil {
			reply.Error = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		answer(reply)
	}
	switch {
	case r.Op == wire.OpList, r.Op == wire.OpAction && (r.Action == wire.Status || r.Action == wire.Logs):
		describe(nil)
	case r.Op != wire.OpAction:
		refuse("unknown operation %q", r.Op)
	case !change:
		refuse("%s: only user 0 of the container may change services", r.Action)
	case len(names) == 0:
		refuse("%s: name at least one service", r.Action)
	case m.ending:
		refuse("%s: %v", r.Action, errEnding)
	case r.Action == wire.Enable || r.Action == wire.Disable:
		describe(m.enable(r.Action == wire.Enable, names))
	default:
		m.act(r.Action, names, describe)
	}
}

// shutdown stops everything; it answers at once.
func (m *Manager) shutdown(seconds int, change bool, answer func(wire.Reply)) {
	if !change {
		answer(wire.Reply{Error: "shutdown: only silod may ask for it"})
		return
	}
	if !m.ending {
		m.ending = true
		m.grace, m.forever = time.Now().Add(time.Duration(seconds)*time.Second), seconds < 0
		m.stopAll()
	}
	answer(wire.Reply{})
}

// enable makes or removes the links by which units are started.
func (m *Manager) enable(on bool, names []string) error {
	plan := m.unitSet().Disable
	if on {
		plan = m.unitSet().Enable
	}
	links, err := plan(names...)
	if err != nil {
		return err
	}
	for _, l := range links {
		if err := m.link(l); err != nil {
			return err
		}
	}
	m.refresh()
	return nil
}

// act carries out a job for units and waits for it.
func (m *Manager) act(action string, names []string, done func(error)) {
	var plan func(unit.Active, ...string) (*unit.Transaction, error)
	switch action {
	case wire.Start:
		plan = m.unitSet().Start
	case wire.Stop:
		plan = m.stopPlan
	case wire.Restart:
		plan = m.unitSet().Restart
	case wire.Reload:
		plan = m.unitSet().Reload
	default:
		done(fmt.Errorf("unknown action %q", action))
		return
	}
	for _, n := range names {
		u := m.unitSet().Load(n)
		if action != wire.Stop && action != wire.Reload && u.RefuseManualStart || action != wire.Start && action != wire.Reload && u.RefuseManualStop {
			done(fmt.Errorf("%s %s: its unit refuses this by hand", action, n))
			return
		}
		if s, ok := m.units[n].(*service); ok { // asked for by hand: begin to count anew
			s.restarts, s.starts = 0, nil
		}
	}
	tx, err := plan(m.isUp, names...)
	if err != nil {
		done(err)
		return
	}
	m.enqueue(tx, done)
}

// list describes services: those of names, or all.
func (m *Manager) list(names []string, withLog bool) []wire.Service {
	if len(names) == 0 {
		for _, n := range m.unitSet().Files() {
			if strings.HasSuffix(n, ".service") && !strings.Contains(n, "@.") {
				names = append(names, n)
			}
		}
		for n, r := range m.units {
			if s, ok := r.(*service); ok && (!s.state.isDown() || s.result != "" && s.from == nil) {
				names = append(names, n)
			}
		}
	}
	slices.Sort(names)
	members := m.o.System.Members()
	out := []wire.Service{}
	seen := map[string]bool{}
	for _, n := range names {
		u := m.unitSet().Load(n)
		if seen[u.Name] || u.State == unit.Provided && m.units[u.Name] == nil || u.State == unit.NotFound && m.units[u.Name] == nil {
			continue
		}
		seen[u.Name] = true
		w := m.describe(u, members)
		if withLog {
			w.Log = m.lines.last(u.Name)
		}
		out = append(out, w)
	}
	return out
}

// describe tells how one unit is doing.
func (m *Manager) describe(u *unit.Unit, members map[Mark][]Member) wire.Service {
	w := wire.Service{Name: u.Name, DisplayName: u.Description, Status: wire.Stopped, Path: u.Path, Enabled: m.enabled(u)}
	if u.State == unit.Bad || u.State == unit.Masked {
		w.Notes = append(w.Notes, "cannot start: "+u.Reason)
	}
	for _, n := range u.Notes {
		w.Notes = append(w.Notes, noteText(n))
	}
	if u.Service != nil {
		w.Type = string(u.Service.Type)
	}
	switch r := m.units[u.Name].(type) {
	case *service:
		w.Status, w.Since, w.MainPID, w.Result, w.ExitCode, w.Restarts = status[r.state], r.since, r.main, r.result, r.exitCode, r.restarts
		if r.text != "" {
			w.Notes = append(w.Notes, "says: "+r.text)
		}
		if r.mark != 0 {
			for _, p := range members[r.mark] {
				w.PIDs = append(w.PIDs, p.PID)
				w.Memory += m.o.System.Resident(p.PID)
			}
			slices.Sort(w.PIDs)
		}
	case *socket:
		if r.active {
			w.Status = wire.Running
		} else if r.failed {
			w.Status = wire.Failed
		}
	case *timer:
		if w.Next = r.next; r.active {
			w.Status = wire.Running
		}
	case *target:
		if r.active {
			w.Status = wire.Running
		}
	}
	for _, r := range m.sorted() {
		switch r := r.(type) {
		case *socket:
			if r.active && (r.u.Socket.Service == u.Name || r.name == u.Name) {
				for _, l := range r.u.Socket.Listen {
					w.Sockets = append(w.Sockets, address(l))
				}
			}
		case *timer:
			if r.active && r.u.Timer.Unit == u.Name {
				w.Next = r.next
			}
		}
	}
	return w
}

// enabled tells whether a unit is started with the container: by a link, or by
// a socket or timer of its name that is.
func (m *Manager) enabled(u *unit.Unit) bool {
	on := func(name string) bool { return m.unitSet().EnableState(name) == unit.Enabled }
	if on(u.Name) {
		return true
	}
	base := strings.TrimSuffix(u.Name, ".service")
	return on(base+".socket") || on(base+".timer")
}
