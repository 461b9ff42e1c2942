package service

import (
	"errors"
	"fmt"

	"silo/internal/service/unit"
)

// reload makes a service read its configuration anew.
func (s *service) reload(j *job) {
	v := s.u.Service
	switch {
	case s.state != running && s.state != exited:
		s.m.finish(j, errors.New("it is not running"))
		return
	case len(v.Commands[unit.ExecReload]) == 0 && v.Type != unit.NotifyReload:
		s.m.finish(j, errors.New("it cannot be reloaded: its unit has no ExecReload="))
		return
	}
	s.takeJob(j)
	s.to(reloading)
	s.reloaded = false
	s.runPhase(unit.ExecReload)
}

// reloadSent sends the signal of notify-reload and tells whether that is all:
// else RELOADING=1 and READY=1 will tell the end.
func (s *service) reloadSent() bool {
	if s.main == 0 {
		return true
	}
	s.kill(s.main, s.u.Service.ReloadSignal)
	return false
}

// reloadDone ends a reload; whatever became of it, the service goes on.
func (s *service) reloadDone(err error) {
	if err != nil {
		s.m.tell(s.name, "reload: "+err.Error())
	}
	j := s.job
	s.job = nil
	s.m.finish(j, err)
	if s.state != reloading {
		return
	}
	if s.main == 0 && s.mainExit != nil || s.u.Service.Type == unit.Oneshot {
		s.isRunning()
		return
	}
	s.to(running)
	s.checkMain()
}

// findMain finds the main process of a service of type forking, whose first
// process has ended.
func (s *service) findMain() {
	v := s.u.Service
	if v.PIDFile == "" {
		if list := s.m.members(s); v.GuessMainPID && len(list) > 0 {
			s.guess(list)
		}
		s.started()
		return
	}
	pid, err := s.m.readPID(v.PIDFile)
	if err == nil && s.m.o.System.MarkOf(pid) != s.mark {
		err = fmt.Errorf("PIDFile=%s names process %d, which is not of this service", v.PIDFile, pid)
	}
	switch {
	case err == nil:
		s.adopt(pid)
		s.started()
	case len(s.m.members(s)) == 0:
		s.m.tell(s.name, "its processes have ended: "+err.Error())
		s.fail(resProtocol)
		s.signal()
	default: // the daemon may write it a moment later
		if s.poll != nil {
			s.poll.Stop()
		}
		run := s.run
		s.poll = s.m.after(pidPoll, func() {
			if s.run == run && s.state == starting {
				s.findMain()
			}
		})
	}
}

// guess takes the one process whose parent has gone for the main process, as
// a daemon leaves itself; of several it takes none.
func (s *service) guess(list []Member) {
	found := 0
	for _, p := range list {
		if p.Child {
			if found != 0 {
				return
			}
			found = p.PID
		}
	}
	if found != 0 {
		s.adopt(found)
	}
}

// adopt makes a process that the service started its main process.
func (s *service) adopt(pid int) {
	if s.main != 0 && s.main != pid {
		delete(s.m.procs, s.main)
	}
	s.main, s.mainChild, s.mainExit, s.mainIgnore = pid, false, nil, false
	for _, p := range s.m.members(s) {
		if p.PID == pid {
			s.mainChild = p.Child
		}
	}
	s.m.procs[pid] = s
}
