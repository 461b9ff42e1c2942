package service

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"silo/internal/linux"
	"silo/internal/service/unit"
)

// listenNotify makes the socket of sd_notify and reads it.
func (m *Manager) listenNotify() error {
	sock, err := linux.ListenNotify(m.path(m.o.NotifySocket), 0o666)
	if err != nil {
		return err
	}
	go func() {
		buf := make([]byte, 4096) // as systemd; longer messages are cut
		for {
			msg, err := sock.Receive(buf)
			if err != nil {
				m.post(func() { m.tell("silo", "notify: "+err.Error()) })
				return
			}
			// The sender may be gone in a moment, so it is looked up now. What
			// came with the message, a barrier's descriptor among it, is closed
			// when it has been dealt with.
			from := sender{pid: msg.PID, uid: msg.UID, mark: m.o.System.MarkOf(msg.PID), above: m.o.System.Ancestors(msg.PID)}
			done := make(chan struct{})
			m.post(func() { m.notified(from, msg.Text); close(done) })
			<-done
			linux.CloseAll(msg.FDs)
		}
	}()
	return nil
}

// sender is who has sent a message.
type sender struct {
	pid   int
	uid   uint32
	mark  Mark
	above []int // its parent, and so on
}

// mayBeOf tells whether a sender can be a process of a service. Its mark alone
// does not prove it, as anybody may lower a limit to another's: who is neither
// root nor the service's user has to descend from it.
func (from *sender) mayBeOf(s *service) bool {
	if from.pid == s.main && s.main != 0 {
		return true
	}
	if s.mark == 0 || s.mark != from.mark {
		return false
	}
	return from.uid == 0 || from.uid == s.user.UID || slices.ContainsFunc(from.above, func(p int) bool { return p == s.main || p == s.control })
}

// notified takes in one message.
func (m *Manager) notified(from sender, text string) {
	var s *service
	for _, r := range m.units {
		if o, ok := r.(*service); ok && from.mayBeOf(o) {
			s = o
		}
	}
	pid := from.pid
	if s == nil {
		m.say("silo", "a message to the notify socket came from process "+strconv.Itoa(pid)+", which belongs to no service: dropped")
		return
	}
	switch access := s.u.Service.NotifyAccess; {
	case access == unit.NotifyAll,
		(access == unit.NotifyMain || access == unit.NotifyExec) && pid == s.main,
		access == unit.NotifyExec && pid == s.control:
	default:
		m.say(s.name, "a notify message came from process "+strconv.Itoa(pid)+", not from the one that NotifyAccess="+string(access)+" lets speak: dropped")
		return
	}
	for _, line := range strings.Split(text, "\n") {
		if key, value, ok := strings.Cut(line, "="); ok {
			s.heard(key, value)
		}
	}
	if s.state == starting && s.ready && isNotify(s.u) {
		s.started()
	}
	if s.state == reloading && s.reloaded && s.ready && s.control == 0 {
		s.reloadDone(nil)
	}
}

func isNotify(u *unit.Unit) bool {
	return u.Service.Type == unit.Notify || u.Service.Type == unit.NotifyReload
}

// heard takes in one assignment of a message.
func (s *service) heard(key, value string) {
	switch key {
	case "READY":
		s.ready = s.ready || value == "1"
	case "RELOADING":
		if value == "1" {
			s.reloaded, s.ready = true, false
		}
	case "STOPPING":
		if value == "1" && (s.state == running || s.state == reloading) {
			s.unwatch()
		}
	case "STATUS":
		s.text = value[:min(len(value), ringLine)]
	case "MAINPID":
		pid, err := strconv.Atoi(value)
		if err != nil || pid <= 1 || !s.isMember(pid) {
			s.m.say(s.name, "MAINPID="+value+" is not of this service: dropped")
			return
		}
		if pid != s.main {
			s.adopt(pid)
		}
	case "WATCHDOG":
		if value == "1" {
			s.feed()
		} else if value == "trigger" && s.state == running {
			s.bite()
		}
	case "WATCHDOG_USEC":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 && n < int64(unit.Infinity/time.Microsecond) {
			s.period = time.Duration(n) * time.Microsecond
			s.feed()
		}
	case "EXTEND_TIMEOUT_USEC":
		if n, err := strconv.ParseInt(value, 10, 64); err == nil && n > 0 && s.timer != nil {
			s.timer.Reset(time.Duration(min(n, int64(24*time.Hour/time.Microsecond))) * time.Microsecond)
		}
	}
}

// feed sets the watchdog anew.
func (s *service) feed() {
	s.unwatch()
	if s.period <= 0 || s.period == unit.Infinity || s.readyAt.IsZero() {
		return
	}
	run := s.run
	s.watchdog = s.m.after(s.period, func() {
		if s.run == run && (s.state == running || s.state == startPost || s.state == reloading) {
			s.bite()
		}
	})
}

func (s *service) unwatch() {
	if s.watchdog != nil {
		s.watchdog.Stop()
		s.watchdog = nil
	}
}

// bite ends a service that has not told in time that it is alive.
func (s *service) bite() {
	s.m.tell(s.name, "has not told within "+s.period.String()+" that it is alive: see WatchdogSec=")
	s.fail(resWatchdog)
	s.aborted = true
	s.killControl()
	s.signal()
}
