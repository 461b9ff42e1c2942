package unit

import (
	"errors"
	"time"
)

func serviceRows() []row {
	list := []row{
		{"Service", "Type", false, setType},
		{"Service", "BusName", true, func(d *decoder, v string) (err error) { d.busName, err = d.expand(v); return err }},
		{"Service", "RemainAfterExit", false, toBool(func(u *Unit) *bool { return &u.Service.RemainAfterExit })},
		{"Service", "PIDFile", false, setPIDFile},
		{"Service", "GuessMainPID", true, toBool(func(u *Unit) *bool { return &u.Service.GuessMainPID })},
		{"Service", "NotifyAccess", true, toEnum(func(u *Unit) *NotifyAccess { return &u.Service.NotifyAccess }, NotifyNone, NotifyMain, NotifyExec, NotifyAll)},
		{"Service", "Sockets", false, setSockets},
		{"Service", "Restart", false, toEnum(func(u *Unit) *RestartPolicy { return &u.Service.Restart },
			RestartNo, RestartAlways, RestartOnSuccess, RestartOnFailure, RestartOnAbnormal, RestartOnWatchdog, RestartOnAbort)},
		{"Service", "RestartSec", true, toSpan(func(u *Unit) *time.Duration { return &u.Service.RestartDelay })},
		{"Service", "SuccessExitStatus", true, toExits(func(u *Unit) *ExitSet { return &u.Service.SuccessExit })},
		{"Service", "RestartPreventExitStatus", true, toExits(func(u *Unit) *ExitSet { return &u.Service.RestartPreventExit })},
		{"Service", "RestartForceExitStatus", true, toExits(func(u *Unit) *ExitSet { return &u.Service.RestartForceExit })},
		{"Service", "TimeoutSec", false, setTimeoutBoth},
		{"Service", "TimeoutStartSec", false, setTimeoutStart},
		{"Service", "TimeoutStopSec", false, toTimeout(func(u *Unit) *time.Duration { return &u.Service.TimeoutStop })},
		{"Service", "TimeoutAbortSec", false, setTimeoutAbort},
		{"Service", "RuntimeMaxSec", false, toTimeout(func(u *Unit) *time.Duration { return &u.Service.RuntimeMax })},
		{"Service", "WatchdogSec", false, toSpan(func(u *Unit) *time.Duration { return &u.Service.Watchdog })},
		{"Service", "KillMode", false, toEnum(func(u *Unit) *KillMode { return &u.Service.Kill.Mode }, KillControlGroup, KillMixed, KillProcess, KillNone)},
		{"Service", "KillSignal", false, toSignal(func(u *Unit) *Signal { return &u.Service.Kill.Signal })},
		{"Service", "RestartKillSignal", false, toSignal(func(u *Unit) *Signal { return &u.Service.Kill.RestartSignal })},
		{"Service", "FinalKillSignal", false, toSignal(func(u *Unit) *Signal { return &u.Service.Kill.FinalSignal })},
		{"Service", "WatchdogSignal", false, toSignal(func(u *Unit) *Signal { return &u.Service.Kill.WatchdogSignal })},
		{"Service", "ReloadSignal", false, toSignal(func(u *Unit) *Signal { return &u.Service.ReloadSignal })},
		{"Service", "SendSIGHUP", false, toBool(func(u *Unit) *bool { return &u.Service.Kill.SendHUP })},
		{"Service", "SendSIGKILL", false, toBool(func(u *Unit) *bool { return &u.Service.Kill.SendKill })},
		{"Service", "PermissionsStartOnly", false, func(d *decoder, v string) error {
			return toBool(func(*Unit) *bool { return &d.startOnly })(d, v)
		}},
	}
	for _, p := range phases {
		list = append(list, row{"Service", string(p), false, setCommands(p)})
	}
	return list
}

// phases are all of them, in the order in which they run.
var phases = [...]Phase{ExecCondition, ExecStartPre, ExecStart, ExecStartPost, ExecReload, ExecStop, ExecStopPost}

func setCommands(p Phase) setter {
	return func(d *decoder, value string) error {
		s := d.u.Service
		if value == "" {
			delete(s.Commands, p)
			return nil
		}
		list, err := d.commands(value)
		if err != nil {
			return err
		}
		if len(s.Commands[p])+len(list) > mostList {
			return errTooMany
		}
		s.Commands[p] = append(s.Commands[p], list...)
		return nil
	}
}

func setType(d *decoder, value string) error {
	d.dbus = value == "dbus"
	if d.dbus {
		return nil // refused at the end: a drop-in may say otherwise
	}
	return toEnum(func(u *Unit) *ServiceType { return &u.Service.Type },
		Simple, Exec, Forking, Oneshot, Notify, NotifyReload, Idle)(d, value)
}

func setPIDFile(d *decoder, value string) error {
	if value == "" {
		d.u.Service.PIDFile = ""
		return nil
	}
	p, err := d.expand(value)
	if err != nil {
		return err
	}
	if p != "" && p[0] != '/' {
		p = "/run/" + p
	}
	d.u.Service.PIDFile, err = cleanPath(p)
	return err
}

func setSockets(d *decoder, value string) error {
	return toList(func(u *Unit) *[]string { return &u.Service.Sockets }, quoting{}, func(s string) (string, error) {
		n, err := ParseName(s)
		if err == nil && n.Kind() != KindSocket {
			return "", errors.New("want names of sockets")
		}
		return s, err
	})(d, value)
}

func setTimeoutStart(d *decoder, value string) error {
	d.startTimeout = true
	return toTimeout(func(u *Unit) *time.Duration { return &u.Service.TimeoutStart })(d, value)
}

func setTimeoutBoth(d *decoder, value string) error {
	if err := setTimeoutStart(d, value); err != nil {
		return err
	}
	d.u.Service.TimeoutStop = d.u.Service.TimeoutStart
	return nil
}

func setTimeoutAbort(d *decoder, value string) error {
	if value == "" {
		d.abortSet = false
		return nil
	}
	d.abortSet = true
	return toTimeout(func(u *Unit) *time.Duration { return &u.Service.TimeoutAbort })(d, value)
}
