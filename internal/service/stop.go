package service

import (
	"errors"
	"slices"
	"time"

	"silo/internal/service/unit"
)

// stop ends a run because a job asks for it.
func (s *service) stop(j *job) {
	s.noRestart = true
	s.restart = false
	switch {
	case s.state.isDown():
		s.m.finish(j, nil)
		return
	case s.state == autoRestart:
		s.settle(dead)
		s.m.finish(j, nil)
		return
	}
	s.takeJob(j)
	s.stopNow()
}

// stopNow begins to end a run, in the way that its state demands.
func (s *service) stopNow() {
	switch s.state {
	case running, exited, startPost, reloading:
		s.unwatch()
		s.killControl()
		s.to(stopping)
		s.runPhase(unit.ExecStop)
	case starting:
		if s.u.Service.Type == unit.Oneshot && s.main == 0 && s.control == 0 && s.result == success {
			s.to(stopping)
			s.runPhase(unit.ExecStop)
			return
		}
		s.signal()
	case condition, startPre:
		s.signal()
	}
}

// killControl ends a command that is in the way of another.
func (s *service) killControl() {
	if s.control != 0 {
		delete(s.m.procs, s.control)
		s.kill(s.control, sigKILL)
		s.control = 0
	}
}

func (s *service) kill(pid int, sig unit.Signal) {
	if err := s.m.o.System.Kill(pid, sig); err != nil {
		s.m.tell(s.name, err.Error())
	}
}

// signal asks the processes of a service to end, and goes on when they have.
func (s *service) signal() {
	s.unwatch()
	if s.state != stopSignal {
		s.to(stopSignal)
	}
	k := s.u.Service.Kill
	sig := k.Signal
	switch {
	case s.aborted:
		sig = k.WatchdogSignal
	case s.restart || s.m.has(s.name, unit.JobStart):
		sig = k.RestartSignal
	}
	for _, pid := range s.targets(false) {
		s.kill(pid, sig)
		if sig != sigKILL && sig != sigCONT { // one that is stopped could not end
			s.kill(pid, sigCONT)
		}
		if k.SendHUP {
			s.kill(pid, sigHUP)
		}
	}
	s.check()
}

// targets lists the processes that a signal reaches: by the kill mode, all of
// them for the last signal.
func (s *service) targets(last bool) (pids []int) {
	mode := s.u.Service.Kill.Mode
	own := slices.DeleteFunc([]int{s.main, s.control}, func(p int) bool {
		return p == 0 || p == s.main && !s.mainChild && !s.isMember(p) // its number may be another's by now
	})
	switch {
	case mode == unit.KillNone:
		return nil
	case mode == unit.KillControlGroup, mode == unit.KillMixed && last:
		for _, p := range s.m.members(s) {
			if !slices.Contains(own, p.PID) {
				own = append(own, p.PID)
			}
		}
	}
	return own
}

// check looks at the processes of a service again.
func (s *service) check() {
	switch s.state {
	case stopSignal:
		if s.left() == 0 {
			s.enterStopPost()
		}
	case stopKill:
		if s.left() == 0 {
			s.enterStopPost()
		}
	case finalKill:
		if s.left() == 0 {
			s.ended()
		}
	case starting:
		if s.u.Service.Type == unit.Forking && s.phase == unit.ExecStart && s.control == 0 {
			s.findMain()
		}
	case running:
		s.checkMain()
	}
}

// left counts the processes that a stop waits for.
func (s *service) left() int {
	n := 0
	if s.main != 0 && (s.mainChild || s.isMember(s.main)) {
		n++
	}
	if s.control != 0 {
		n++
	}
	if mode := s.u.Service.Kill.Mode; n == 0 && (mode == unit.KillControlGroup || mode == unit.KillMixed && s.state != stopSignal) {
		n = len(s.m.members(s))
	}
	if s.u.Service.Kill.Mode == unit.KillNone {
		n = 0
	}
	return n
}

// checkMain notices the end of a service whose main process is not a child of
// the agent, or that has none that is known.
func (s *service) checkMain() {
	switch {
	case s.main != 0 && s.mainChild:
		return
	case s.main != 0 && s.isMember(s.main):
		return
	case s.main != 0: // how it ended is known to its parent only
		s.main, s.mainExit = 0, &Exit{}
	case len(s.m.members(s)) > 0:
		return
	}
	s.isRunning()
}

func (s *service) isMember(pid int) bool { return s.m.o.System.MarkOf(pid) == s.mark }

// members lists the processes of a service.
func (m *Manager) members(s *service) []Member {
	if s.mark == 0 {
		return nil
	}
	if m.found == nil {
		m.found = m.o.System.Members()
	}
	return m.found[s.mark]
}

// timedOut does what follows when a state lasted too long.
func (s *service) timedOut() {
	k := s.u.Service.Kill
	switch s.state {
	case condition, startPre, starting, startPost:
		s.m.tell(s.name, "not up within "+s.timeout().String()+": see TimeoutStartSec=")
		s.fail(resTimeout)
		s.signal()
	case running:
		s.m.tell(s.name, "ran for RuntimeMaxSec=")
		s.fail(resTimeout)
		s.signal()
	case reloading:
		s.killControl()
		s.reloadDone(errors.New("not done within TimeoutStartSec="))
	case stopping:
		s.m.tell(s.name, "ExecStop= not done within "+s.timeout().String()+": see TimeoutStopSec=")
		s.fail(resTimeout)
		s.signal()
	case stopSignal:
		if !k.SendKill {
			s.m.tell(s.name, "processes are left, as SendSIGKILL=no wants")
			s.fail(resTimeout)
			s.enterStopPost()
			return
		}
		s.m.tell(s.name, "does not end: killed")
		s.fail(resTimeout)
		s.to(stopKill)
		s.killAll()
		s.check()
	case stopKill:
		s.m.tell(s.name, "a process does not end although it was killed")
		s.enterStopPost()
	case stopPost:
		s.m.tell(s.name, "ExecStopPost= not done within "+s.timeout().String())
		s.fail(resTimeout)
		s.finish()
	case finalKill:
		s.ended()
	}
}

func (s *service) killAll() {
	for _, pid := range s.targets(true) {
		s.kill(pid, s.u.Service.Kill.FinalSignal)
	}
}

func (s *service) enterStopPost() {
	s.killControl()
	s.to(stopPost)
	s.runPhase(unit.ExecStopPost)
}

// finish ends what is left of a run.
func (s *service) finish() {
	s.killControl()
	k := s.u.Service.Kill
	if k.SendKill && (k.Mode == unit.KillControlGroup || k.Mode == unit.KillMixed) && len(s.m.members(s)) > 0 {
		s.to(finalKill)
		s.killAll()
		s.check()
		return
	}
	s.ended()
}

// ended is the end of a run: nothing of it is left.
func (s *service) ended() {
	again := s.wantsRestart()
	s.m.removeDirs(s, again)
	if s.dynamic {
		delete(s.m.dynamic, s.user.UID)
	}
	delete(s.m.procs, s.main)
	s.mark, s.main, s.control, s.inactiveAt = 0, 0, 0, time.Now()
	last := dead
	if s.result != success && s.result != resCond {
		last = failed
	}
	if again {
		s.to(autoRestart)
		s.restarts++
		s.timer = s.m.after(s.u.Service.RestartDelay, s.restartNow)
	} else {
		s.to(last)
		s.text = ""
	}
	if !again && last == failed && !s.restart {
		s.m.failedForGood(s)
	}
	s.answer()
	if again || s.state.isDown() {
		s.m.downNow(s, again)
	}
}

// answer ends the job that waited for this service.
func (s *service) answer() {
	j := s.job
	if j == nil {
		return
	}
	switch {
	case s.restart && s.state.isDown():
		s.restart = false
		s.begin(j)
	case j.Kind == unit.JobStart && s.result != success && s.result != resCond:
		s.done(errors.New("failed: " + s.result))
	case j.Kind == unit.JobReload:
		s.done(errors.New("it has ended"))
	default:
		s.done(nil)
	}
}

// restartNow starts a service again after its delay.
func (s *service) restartNow() {
	if s.state != autoRestart || s.m.ending || s.m.has(s.name, unit.JobStart) {
		return
	}
	s.m.ask(s.name, s.m.unitSet().Start, s.name)
}

// wantsRestart applies Restart=.
func (s *service) wantsRestart() bool {
	v := s.u.Service
	if s.noRestart || s.restart || s.m.ending || s.from != nil || s.result == resLimit || s.result == resCond {
		return false
	}
	if e := s.mainExit; e != nil {
		if in(v.RestartPreventExit, *e) {
			return false
		}
		if in(v.RestartForceExit, *e) {
			return true
		}
	}
	return slices.Contains(restartOn[v.Restart], s.result)
}

// restartOn lists the results after which each policy starts a service again.
var restartOn = map[unit.RestartPolicy][]string{
	unit.RestartAlways:     {success, resProtocol, resTimeout, resExit, resSignal, resCore, resWatchdog, resource},
	unit.RestartOnSuccess:  {success},
	unit.RestartOnFailure:  {resProtocol, resTimeout, resExit, resSignal, resCore, resWatchdog, resource},
	unit.RestartOnAbnormal: {resTimeout, resSignal, resCore, resWatchdog},
	unit.RestartOnWatchdog: {resWatchdog},
	unit.RestartOnAbort:    {resSignal, resCore},
}

// failedForGood tells those who wait for failures.
func (m *Manager) failedForGood(s *service) {
	if m.ending {
		return
	}
	if s.from == nil {
		m.o.System.Failed(s.name, s.result)
	}
	if list := s.u.Deps[unit.OnFailure]; len(list) > 0 {
		m.ask(s.name, m.unitSet().Start, list...)
	}
}

// downNow does what follows for other units when one has gone down.
func (m *Manager) downNow(r runner, again bool) {
	u := r.loaded()
	for _, o := range m.sorted() {
		switch o := o.(type) {
		case *socket:
			if !again {
				o.listenAgain()
			}
		case *timer:
			o.unitChanged(u.Name)
		}
	}
	s, isService := r.(*service)
	if isService && s.from != nil {
		m.forget(s)
	}
	if again || m.ending {
		return
	}
	if isService && s.result == success && len(u.Deps[unit.OnSuccess]) > 0 {
		m.ask(u.Name, m.unitSet().Start, u.Deps[unit.OnSuccess]...)
	}
	var stop []string
	for _, o := range m.sorted() {
		d := o.loaded()
		if o.up() && !m.has(d.Name, unit.JobStop) && slices.Contains(d.Deps[unit.BindsTo], u.Name) {
			stop = append(stop, d.Name)
		}
	}
	if len(stop) > 0 {
		m.ask(u.Name, m.stopPlan, stop...)
	}
}

// upNow does what follows for timers when a service is up.
func (m *Manager) upNow(s *service) {
	for _, o := range m.sorted() {
		if t, ok := o.(*timer); ok {
			t.unitChanged(s.name)
		}
	}
}

// endWait is how long services may take to stop when the container's command
// has ended by itself; `silo stop` gives them its own time.
const endWait = 2 * time.Second

// End stops all services in order because the container's command has ended.
// done is called once, when they have stopped or their time is over: at once
// if none of them holds state (see holdsState).
func (m *Manager) End(done func()) {
	m.post(func() {
		if !m.ending && !slices.ContainsFunc(m.sorted(), holdsState) {
			m.ending = true
			done()
			return
		}
		over := false
		finish := func() {
			if !over {
				over = true
				done()
			}
		}
		m.endDone = append(m.endDone, finish)
		switch {
		case !m.ending:
			m.after(endWait, finish)
			m.ending = true
			m.stopAll()
		case len(m.jobs) == 0:
			m.ended()
		case !m.forever:
			m.after(max(time.Until(m.grace), 0), finish)
		}
	})
}

func (m *Manager) ended() {
	for _, f := range m.endDone {
		f()
	}
	m.endDone = nil
}

// stopAll stops whatever is up.
func (m *Manager) stopAll() {
	for _, j := range slices.Clone(m.jobs) {
		if j.Kind != unit.JobStop {
			m.finish(j, errEnding)
		}
	}
	var names []string
	for _, r := range m.sorted() {
		if s, ok := r.(*service); r.up() || ok && !s.state.isDown() {
			names = append(names, r.loaded().Name)
		}
	}
	if len(names) == 0 {
		m.ended()
		return
	}
	m.enqueue(m.unitSet().Stop(m.isUp, names...), func(error) { m.ended() })
}

// holdsState tells whether a service that runs is to be stopped in order when
// the container's command has ended. Others are killed with the container, as
// what a command leaves in the background is: they are simple processes that
// ask for nothing to be done at their end.
func holdsState(r runner) bool {
	s, ok := r.(*service)
	if !ok || s.state.isDown() || s.state == autoRestart {
		return false
	}
	v := s.u.Service
	switch v.Type {
	case unit.Forking, unit.Notify, unit.NotifyReload:
		return true
	}
	return len(v.Commands[unit.ExecStop])+len(v.Commands[unit.ExecStopPost])+len(v.Run.Dirs[unit.StateDirectory].Dirs) > 0 ||
		v.Kill.Signal != sigTERM
}
