package unit

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Defaults of a system manager.
const (
	defaultTimeout      = 90 * time.Second
	defaultRestartDelay = 100 * time.Millisecond
	defaultStartLimit   = 10 * time.Second
	defaultStartBurst   = 5
)

// newUnit makes a unit with the defaults of its kind.
func newUnit(n Name) *Unit {
	u := &Unit{
		Name: n.Full, Kind: n.Kind(), DefaultDeps: true, Deps: map[Relation][]string{},
		StartLimitInterval: defaultStartLimit, StartLimitBurst: defaultStartBurst,
	}
	switch u.Kind {
	case KindService:
		u.Service = &Service{
			Commands: map[Phase][]Command{}, GuessMainPID: true, Restart: RestartNo, RestartDelay: defaultRestartDelay,
			TimeoutStart: defaultTimeout, TimeoutStop: defaultTimeout, RuntimeMax: Infinity, ReloadSignal: sigHUP,
			Kill: Kill{Mode: KillControlGroup, Signal: sigTERM, FinalSignal: sigKILL, WatchdogSignal: sigABRT, SendKill: true},
			Run:  Run{UMask: 0o022, IgnoreSIGPIPE: true},
		}
	case KindSocket:
		u.Socket = &Socket{Mode: 0o666, DirMode: 0o755, Backlog: 4096, MaxConns: 64, TriggerInterval: 2 * time.Second, TriggerBurst: 20}
	case KindTimer:
		u.Timer = &Timer{Accuracy: time.Minute, RemainAfter: true}
	case KindTarget, KindOther:
	}
	return u
}

// finish fills in what follows from the rest and checks the unit as a whole.
func (d *decoder) finish() error {
	u := d.u
	if u.Description == "" {
		u.Description = u.Name
	}
	var err error
	switch u.Kind {
	case KindService:
		err = d.finishService()
	case KindSocket:
		err = d.finishSocket()
	case KindTimer:
		err = d.finishTimer()
	case KindTarget, KindOther:
	}
	if err != nil {
		return err
	}
	return d.finishDeps()
}

func (d *decoder) finishService() error {
	s := d.u.Service
	starts := s.Commands[ExecStart]
	if d.dbus || s.Type == "" && d.busName != "" {
		return errors.New("Type=dbus is not supported: readiness on a message bus is not watched; set Type=exec in a drop-in")
	}
	if s.Type == "" {
		s.Type = Simple
		if len(starts) == 0 {
			s.Type = Oneshot
		}
	}
	switch {
	case len(starts) == 0 && len(s.Commands[ExecStop]) == 0:
		return errors.New("the service has neither ExecStart= nor ExecStop=")
	case len(starts) == 0 && s.Type != Oneshot:
		return errors.New("the service has no ExecStart=, which only Type=oneshot can do without")
	case len(starts) == 0 && !s.RemainAfterExit:
		return errors.New("a service without ExecStart= wants RemainAfterExit=yes")
	case len(starts) > 1 && s.Type != Oneshot:
		return errors.New("the service has more than one ExecStart=, which only Type=oneshot can have")
	case s.Type == Oneshot && (s.Restart == RestartAlways || s.Restart == RestartOnSuccess):
		return fmt.Errorf("Restart=%s would start a Type=oneshot service over and over", s.Restart)
	}
	d.finishTimes()
	s.NotifyAccess = notifyAccess(s)
	if s.Kill.RestartSignal == 0 {
		s.Kill.RestartSignal = s.Kill.Signal
	}
	if d.startOnly {
		for _, p := range phases {
			if p == ExecStart {
				continue
			}
			for i := range s.Commands[p] {
				s.Commands[p][i].Privileged = true
			}
		}
	}
	if s.Run.DynamicUser {
		d.path, d.line = d.u.Path, 0
		d.note("PrivateTmp= ProtectSystem= ProtectHome= RestrictSUIDSGID= RemoveIPC=: implied by DynamicUser=, without effect in a container")
	}
	return finishRun(&s.Run, d.name)
}

func (d *decoder) finishTimes() {
	s := d.u.Service
	if s.Type == Oneshot && !d.startTimeout {
		s.TimeoutStart = Infinity
	}
	if !d.abortSet {
		s.TimeoutAbort = s.TimeoutStop
	}
	if s.Watchdog == Infinity {
		s.Watchdog = 0
	}
}

// notifyAccess is the service's, or the least that its type needs.
func notifyAccess(s *Service) NotifyAccess {
	needs := s.Type == Notify || s.Type == NotifyReload || s.Watchdog > 0
	if s.NotifyAccess == "" {
		s.NotifyAccess = NotifyNone
	}
	if needs && s.NotifyAccess == NotifyNone {
		return NotifyMain
	}
	return s.NotifyAccess
}

// finishRun resolves what inherits.
func finishRun(r *Run, n Name) error {
	if r.DynamicUser {
		r.NoNewPrivs = true // cannot be turned off, as in systemd
		if r.User == "" {
			r.User = dynamicName(n)
		}
	}
	if r.Stdin.Kind == "" {
		r.Stdin.Kind = StdioNull
		if len(r.StdinData) > 0 {
			r.Stdin.Kind = StdioData
		}
	}
	if r.Stdout.Kind == "" {
		r.Stdout.Kind = StdioJournal
		if r.Stdin.Kind == StdioSocket {
			r.Stdout.Kind = StdioInherit
		}
	}
	if r.Stderr.Kind == "" {
		r.Stderr.Kind = StdioInherit
	}
	if r.Stdin.Kind == StdioData && len(r.StdinData) == 0 {
		return errors.New("StandardInput=data wants StandardInputText= or StandardInputData=")
	}
	return nil
}

// dynamicName makes the user name of a dynamic user out of the unit's.
func dynamicName(n Name) string {
	name := []byte(n.Prefix)
	for i, c := range name {
		if !alnum(c) && c != '-' && c != '_' {
			name[i] = '_'
		}
	}
	if len(name) > 31 {
		name = name[:31]
	}
	if name[0] >= '0' && name[0] <= '9' || name[0] == '-' {
		name[0] = '_'
	}
	return string(name)
}

// finishDeps adds implicit and default dependencies, puts each name into the
// form that the unit itself has, and sorts.
func (d *decoder) finishDeps() error {
	u := d.u
	err := errors.Join(d.implicit(), d.defaults())
	if err != nil {
		return err
	}
	for r, names := range u.Deps {
		for i, name := range names {
			names[i] = d.set.canonical(name)
		}
		slices.Sort(names)
		names = slices.Compact(names)
		// A unit that depends on itself means nothing by it.
		u.Deps[r] = slices.DeleteFunc(names, func(name string) bool { return name == u.Name })
	}
	return nil
}

// relateAll adds dependencies of several relations on one unit.
func (u *Unit) relateAll(name string, relations ...Relation) error {
	for _, r := range relations {
		if err := u.relate(r, name); err != nil {
			return err
		}
	}
	return nil
}

// implicit adds what follows from other directives.
func (d *decoder) implicit() error {
	u := d.u
	switch u.Kind {
	case KindService:
		for _, socket := range u.Service.Sockets {
			if err := u.relateAll(socket, Wants, After); err != nil {
				return err
			}
		}
	case KindSocket:
		if u.Socket.Accept {
			return nil // its instances have no names yet
		}
		return u.relateAll(u.Socket.Service, Triggers, Before)
	case KindTimer:
		return u.relateAll(u.Timer.Unit, Triggers, Before)
	case KindTarget, KindOther:
	}
	return nil
}

// defaults adds what DefaultDependencies= stands for.
func (d *decoder) defaults() error {
	u := d.u
	if !u.DefaultDeps {
		return nil
	}
	shutdown := func() error { return u.relateAll(shutdownTarget, Conflicts, Before) }
	start := func(more ...string) error {
		for _, name := range more {
			if err := u.relate(After, name); err != nil {
				return err
			}
		}
		return errors.Join(u.relateAll(sysinitTarget, Requires, After), shutdown())
	}
	switch u.Kind {
	case KindService:
		return start(basicTarget)
	case KindSocket:
		return errors.Join(start(), u.relate(Before, socketsTarget))
	case KindTimer:
		if len(u.Timer.Calendar) > 0 {
			return errors.Join(start("time-set.target", "time-sync.target"), u.relate(Before, timersTarget))
		}
		return errors.Join(start(), u.relate(Before, timersTarget))
	case KindTarget:
		if u.Name == shutdownTarget {
			return nil
		}
		// A target comes after all it pulls in, unless one of them says it
		// comes after the target.
		for _, r := range []Relation{Wants, Requires, Requisite, BindsTo, Upholds} {
			for _, name := range u.Deps[r] {
				if !slices.Contains(u.Deps[Before], name) {
					if err := u.relate(After, name); err != nil {
						return err
					}
				}
			}
		}
		return shutdown()
	case KindOther:
	}
	return nil
}
