package service

import (
	"errors"
	"fmt"
	"time"

	"silo/internal/linux"
	"silo/internal/service/unit"
)

// service is one service unit and what runs of it.
type service struct {
	m     *Manager
	name  string
	u     *unit.Unit // as it was when the service was started last
	state state
	since time.Time
	timer *time.Timer
	poll  *time.Timer // for a PID file

	run       uint64 // counts starts, so that what is late is noticed
	mark      Mark
	id        string // INVOCATION_ID of this run
	user      User
	dynamic   bool // user is one of ours
	readyAt   time.Time
	job       *job // waits for this service to be up, or down
	restart   bool // the stop that is on its way makes room for a start
	noRestart bool

	main       int  // process
	mainChild  bool // it is a child of the agent: its end is told
	mainIgnore bool // its failure counts as success
	control    int
	phase      unit.Phase
	index      int

	result   string
	mainExit *Exit // of this run
	exitCode int   // of the last run
	restarts int
	starts   []time.Time // for the start limit
	idled    bool
	aborted  bool // by its watchdog

	ready    bool   // READY=1 came
	reloaded bool   // RELOADING=1 came and READY=1 is awaited
	text     string // STATUS=
	watchdog *time.Timer
	period   time.Duration // of the watchdog, as the service set it

	conn *linux.FD // the connection that a socket with Accept= gave
	from *socket   // and that socket
	peer string    // who connected

	activeAt, inactiveAt time.Time // when it went up and down last, for timers
}

// Results of a run, in systemd's words.
const (
	success     = "success"
	resProtocol = "protocol"
	resTimeout  = "timeout"
	resExit     = "exit-code"
	resSignal   = "signal"
	resCore     = "core-dump"
	resWatchdog = "watchdog"
	resLimit    = "start-limit-hit"
	resCond     = "exec-condition"
	resource    = "resources"
)

func (s *service) loaded() *unit.Unit { return s.u }
func (s *service) up() bool           { return s.state.isUp() }

// fail notes the first thing that went wrong in a run.
func (s *service) fail(result string) {
	if s.result == success {
		s.result = result
	}
}

// start begins a run.
func (s *service) start(j *job) {
	switch s.state {
	case dead, failed:
	case autoRestart:
	case running, reloading, exited:
		s.m.finish(j, nil)
		return
	default: // it comes up, or goes down and comes up then
		s.takeJob(j)
		s.restart = !s.state.isUp()
		return
	}
	if s.state == autoRestart {
		if s.timer != nil {
			s.timer.Stop()
		}
	}
	s.noRestart = false
	s.begin(j)
}

// takeJob makes j the job that waits for this service.
func (s *service) takeJob(j *job) {
	if s.job != nil && s.job != j {
		s.m.finish(s.job, errCanceled)
	}
	s.job = j
}

// begin starts a run from a state in which nothing runs.
func (s *service) begin(j *job) {
	s.takeJob(j)
	if s.conn == nil {
		s.u = s.m.unitSet().Load(s.name)
	}
	s.result = success
	if err := canStart(s.u); err != nil {
		s.refuse(resource, err)
		return
	}
	s.m.note(s.u)
	ok, err := s.m.conditions(s.u)
	if err != nil {
		s.refuse("assert", err)
		return
	}
	if !ok {
		s.settle(dead)
		s.done(nil)
		return
	}
	if s.limited() {
		s.refuse(resLimit, fmt.Errorf("started more than %d times within %s: see StartLimitBurst=", s.u.StartLimitBurst, s.u.StartLimitInterval))
		return
	}
	s.fresh()
	if s.user, s.dynamic, err = s.m.userOf(s.name, &s.u.Service.Run); err != nil {
		s.refuse(resource, err)
		return
	}
	s.to(condition)
	if err := s.m.makeDirs(s); err != nil {
		s.m.tell(s.name, err.Error())
		s.fail(resource)
		s.signal()
		return
	}
	s.runPhase(unit.ExecCondition)
}

// fresh forgets the last run.
func (s *service) fresh() {
	s.m.marks++
	s.run++
	s.mark, s.id = s.m.marks, newID()
	s.main, s.control, s.mainExit, s.mainChild = 0, 0, nil, false
	s.ready, s.reloaded, s.aborted, s.text, s.readyAt = false, false, false, "", time.Time{}
	s.period = s.u.Service.Watchdog
}

// settle moves to a state in which nothing runs.
func (s *service) settle(st state) {
	if s.state != st {
		s.to(st)
	}
}

// refuse ends a run that did not begin.
func (s *service) refuse(result string, err error) {
	s.m.tell(s.name, "not started: "+err.Error())
	s.fail(result)
	s.settle(failed)
	s.since = time.Now()
	s.done(err)
	s.m.failedForGood(s)
}

// limited counts a start and tells whether it is one too many.
func (s *service) limited() bool {
	if s.u.StartLimitInterval <= 0 || s.u.StartLimitBurst <= 0 {
		return false
	}
	now := time.Now()
	for len(s.starts) > 0 && (s.u.StartLimitInterval != unit.Infinity && now.Sub(s.starts[0]) > s.u.StartLimitInterval) {
		s.starts = s.starts[1:]
	}
	if len(s.starts) >= s.u.StartLimitBurst {
		return true
	}
	s.starts = append(s.starts, now)
	return false
}

// done answers the job that waits.
func (s *service) done(err error) {
	j := s.job
	s.job = nil
	s.m.finish(j, err)
}

// runPhase runs the commands of a phase one after the other.
func (s *service) runPhase(p unit.Phase) {
	s.phase, s.index = p, 0
	s.advance()
}

// advance runs the next command of the phase, or ends the phase.
func (s *service) advance() {
	list := s.u.Service.Commands[s.phase]
	if s.index >= len(list) {
		s.phaseDone()
		return
	}
	asMain := s.phase == unit.ExecStart && s.u.Service.Type != unit.Forking
	pid, err := s.spawn(&list[s.index], asMain)
	if err != nil {
		s.m.tell(s.name, string(s.phase)+"=: "+err.Error())
		s.commandEnded(Exit{Code: exitExec}, asMain)
		return
	}
	s.m.procs[pid] = s
	if !asMain {
		s.control = pid
		return
	}
	s.main, s.mainChild, s.mainExit, s.mainIgnore = pid, true, nil, list[s.index].Ignore
	switch s.u.Service.Type {
	case unit.Simple, unit.Exec, unit.Idle:
		s.phaseDone()
	}
}

// exitExec is the exit code of a command that could not be executed, as in
// systemd.
const exitExec = 203

// phaseDone moves on when all commands of a phase have ended well.
func (s *service) phaseDone() {
	v := s.u.Service
	switch s.phase {
	case unit.ExecCondition:
		s.to(startPre)
		s.runPhase(unit.ExecStartPre)
	case unit.ExecStartPre:
		s.to(starting)
		s.runPhase(unit.ExecStart)
	case unit.ExecStart:
		if v.Type == unit.Forking {
			s.findMain()
			return
		}
		s.started()
	case unit.ExecStartPost:
		s.isRunning()
	case unit.ExecReload:
		if v.Type != unit.NotifyReload || s.reloadSent() {
			s.reloadDone(nil)
		}
	case unit.ExecStop:
		s.signal()
	case unit.ExecStopPost:
		s.finish()
	}
}

// started runs what is to be run when a service is up.
func (s *service) started() {
	s.readyAt = time.Now()
	s.activeAt = s.readyAt
	s.feed()
	if len(s.u.Service.Commands[unit.ExecStartPost]) > 0 {
		s.to(startPost)
		s.runPhase(unit.ExecStartPost)
		return
	}
	s.isRunning()
}

// isRunning enters the state that a service that is up has, by what is left of
// it. It is where ends of the main process lead too.
func (s *service) isRunning() {
	v := s.u.Service
	alive := s.main != 0 || v.Type != unit.Oneshot && s.mainExit == nil && s.mayLackMain() && len(s.m.members(s)) > 0
	switch {
	case alive:
		if s.state != running {
			s.to(running)
		}
	case s.result != success:
		s.signal()
		return
	case v.RemainAfterExit:
		if s.state != exited {
			s.to(exited)
		}
	default:
		s.done(nil)
		s.stopNow()
		return
	}
	s.done(nil)
	s.m.upNow(s)
}

// mayLackMain tells that a service can be up without a main process that is
// known.
func (s *service) mayLackMain() bool { return s.u.Service.Type == unit.Forking }

// processEnded takes in the end of a process that was started here.
func (s *service) processEnded(pid int, e Exit) {
	switch pid {
	case s.main:
		s.main = 0
		s.mainExit = &e
		s.exitCode = exitCode(e)
		s.mainEnded(e)
	case s.control:
		s.control = 0
		s.commandEnded(e, false)
	}
}

func exitCode(e Exit) int {
	if e.Signal != 0 {
		return 128 + e.Signal
	}
	return e.Code
}

// commandEnded goes on after a command of a phase; asMain is one that could
// not be started.
func (s *service) commandEnded(e Exit, asMain bool) {
	list := s.u.Service.Commands[s.phase]
	good := s.classify(e, true)
	if s.index < len(list) && list[s.index].Ignore {
		good = success
	}
	if asMain {
		s.mainExit, s.exitCode = &e, exitCode(e)
	}
	switch {
	case s.state == stopSignal || s.state == stopKill || s.state == finalKill:
		s.check() // it was one of those that are to end
		return
	case good == success:
		s.index++
		s.advance()
		return
	}
	switch s.phase {
	case unit.ExecCondition:
		if e.Signal == 0 && e.Code < 255 { // not now, and no failure
			s.m.tell(s.name, fmt.Sprintf("not started: ExecCondition= ended with %d", e.Code))
			s.result = resCond
			s.to(stopPost)
			s.runPhase(unit.ExecStopPost)
			return
		}
		s.fail(good)
		s.signal()
	case unit.ExecReload:
		s.reloadDone(fmt.Errorf("ExecReload= ended with %d", exitCode(e)))
	case unit.ExecStopPost:
		s.fail(good)
		s.finish()
	case unit.ExecStart:
		if s.u.Service.Type == unit.Forking {
			s.exitCode = exitCode(e)
		}
		fallthrough
	default:
		s.fail(good)
		s.signal()
	}
}

// classify names the result of an end. A command that is done is not excused
// by a signal, a process that runs for long is: it was asked to end.
func (s *service) classify(e Exit, command bool) string {
	x := s.u.Service.SuccessExit
	if in(x, e) {
		return success
	}
	switch {
	case e.Signal == 0 && e.Code == 0:
		return success
	case e.Signal == 0:
		return resExit
	case !command && (e.Signal == sigHUP || e.Signal == sigINT || e.Signal == sigTERM || e.Signal == sigPIPE):
		return success
	case e.Core:
		return resCore
	}
	return resSignal
}

const (
	sigHUP  = 1
	sigINT  = 2
	sigKILL = 9
	sigPIPE = 13
	sigTERM = 15
	sigCONT = 18
)

func in(x unit.ExitSet, e Exit) bool {
	for _, c := range x.Codes {
		if e.Signal == 0 && e.Code == c {
			return true
		}
	}
	for _, g := range x.Signals {
		if e.Signal == int(g) {
			return true
		}
	}
	return false
}

// mainEnded goes on after the end of the main process.
func (s *service) mainEnded(e Exit) {
	v := s.u.Service
	result := s.classify(e, v.Type == unit.Oneshot)
	if s.mainIgnore {
		result = success
	}
	if s.aborted {
		result = resWatchdog
	}
	s.fail(result)
	switch s.state {
	case starting:
		switch {
		case s.result != success:
			s.signal()
		case v.Type == unit.Oneshot:
			s.index++
			s.advance()
		default: // notify: it ended before it said that it is ready
			s.m.tell(s.name, "ended before it was ready")
			s.fail(resProtocol)
			s.signal()
		}
	case startPost:
		if s.result != success {
			s.signal()
		}
	case running:
		s.isRunning()
	case reloading:
		if s.control == 0 {
			s.reloadDone(errors.New("the service ended meanwhile"))
		}
	case stopSignal, stopKill, finalKill:
		s.check()
	}
}
