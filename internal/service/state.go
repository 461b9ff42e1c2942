package service

import (
	"fmt"
	"slices"
	"time"

	"silo/internal/service/unit"
	"silo/internal/service/wire"
)

// state is where a service is in its life.
type state string

const (
	dead        state = "dead"
	condition   state = "condition"  // ExecCondition=
	startPre    state = "start-pre"  // ExecStartPre=
	starting    state = "start"      // ExecStart=, until it is up
	startPost   state = "start-post" // ExecStartPost=
	running     state = "running"
	reloading   state = "reload" // ExecReload=, or until notify-reload says so
	exited      state = "exited" // nothing runs, and it counts as up
	stopping    state = "stop"   // ExecStop=
	stopSignal  state = "stop-signal"
	stopKill    state = "stop-kill"
	stopPost    state = "stop-post" // ExecStopPost=
	finalKill   state = "final-kill"
	failed      state = "failed"
	autoRestart state = "auto-restart" // waits to be started again
)

// transitions says which state may follow which.
//
//	dead, failed, auto-restart ─▶ condition ─▶ start-pre ─▶ start ─▶ start-post ─▶ running ◀─▶ reload
//	   ▲      ▲        ▲              │            │          │          │           │ │         │
//	   │      │        │              ▼            ▼          ▼          ▼           │ ▼         │
//	   │      │        │           stop-signal ◀───┴──────────┴──────────┴───────────┤ exited    │
//	   │      │        │              │   ▲ ▼                                        ▼ │         │
//	   │      │        │              │   │ stop-kill                              stop ◀────────┘
//	   │      │        │              ▼   └──────────────────────────────────────────┘
//	   └──────┴────────┴────────── stop-post ─▶ final-kill ─▶ (the same three)
var transitions = map[state][]state{
	dead:        {condition, failed},
	failed:      {condition, dead},
	autoRestart: {condition, dead, failed},
	condition:   {startPre, stopSignal, stopPost, dead},
	startPre:    {starting, stopSignal, stopPost},
	starting:    {startPost, stopping, stopSignal, stopPost, running, exited},
	startPost:   {running, exited, stopping, stopSignal},
	running:     {reloading, exited, stopping, stopSignal},
	reloading:   {running, exited, stopping, stopSignal},
	exited:      {stopping, reloading},
	stopping:    {stopSignal},
	stopSignal:  {stopKill, stopPost},
	stopKill:    {stopPost},
	stopPost:    {finalKill, dead, failed, autoRestart},
	finalKill:   {dead, failed, autoRestart},
}

// status gives each state's name for people.
var status = map[state]string{
	dead: wire.Stopped, failed: wire.Failed, autoRestart: wire.Starting, condition: wire.Starting, startPre: wire.Starting,
	starting: wire.Starting, startPost: wire.Starting, running: wire.Running, reloading: wire.Running, exited: wire.Exited,
	stopping: wire.Stopping, stopSignal: wire.Stopping, stopKill: wire.Stopping, stopPost: wire.Stopping, finalKill: wire.Stopping,
}

// timeout gives how long a service may stay in a state; Infinity is for ever.
func (s *service) timeout() time.Duration {
	v := s.u.Service
	switch s.state {
	case condition, startPre, starting, startPost, reloading:
		return v.TimeoutStart
	case stopping, stopSignal, stopPost:
		if s.aborted {
			return v.TimeoutAbort
		}
		return v.TimeoutStop
	case stopKill, finalKill: // the kernel does not take long
		return min(v.TimeoutStop, killWait)
	case running:
		if v.RuntimeMax != unit.Infinity && v.RuntimeMax > 0 {
			return max(time.Until(s.readyAt.Add(v.RuntimeMax)), time.Millisecond)
		}
	}
	return unit.Infinity
}

// killWait is how long processes that were killed are awaited.
const killWait = 5 * time.Second

// to moves a service into another state.
func (s *service) to(next state) {
	if !slices.Contains(transitions[s.state], next) {
		panic(fmt.Sprintf("service %s: from %s to %s", s.name, s.state, next)) // a bug: the table says what can be
	}
	if status[next] != status[s.state] {
		s.since = time.Now()
	}
	s.state = next
	s.arm()
}

// arm sets the timer of the present state anew.
func (s *service) arm() {
	if s.timer != nil {
		s.timer.Stop()
		s.timer = nil
	}
	d := s.timeout()
	if d == unit.Infinity {
		return
	}
	in := s.state
	run := s.run
	s.timer = s.m.after(d, func() {
		if s.state == in && s.run == run {
			s.timedOut()
		}
	})
}

// isUp tells whether a state counts as active or becoming so.
func (st state) isUp() bool {
	switch st {
	case condition, startPre, starting, startPost, running, reloading, exited, autoRestart:
		return true
	}
	return false
}

// isDown tells that nothing of a service runs.
func (st state) isDown() bool { return st == dead || st == failed }
