package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"silo/internal/agent/wire"
	"silo/internal/linux"
	"silo/internal/service"
	"silo/internal/service/unit"
	swire "silo/internal/service/wire"
)

// passFD is where descriptors that a service inherits wait until those below
// are in place.
const passFD = scratchFD + 10

// Spawn starts a process of a service. See service.System.
func (v *services) Spawn(p *service.Process) (int, error) {
	stdio, pumps, err := v.stdio(p)
	defer func() {
		for _, f := range stdio {
			f.Close()
		}
	}()
	if err != nil {
		return 0, err
	}
	like := v.like
	thread, err := v.a.threadFor(&like, spawnOptions{})
	if err != nil {
		return 0, err
	}
	steps := v.steps(p, like, stdio, thread.bounds())
	f := linux.Fork{}
	if p.ListenPID {
		e, err := linux.NewExecPID(p.Path, p.Args, p.Env, "LISTEN_PID")
		if err != nil {
			return 0, err
		}
		defer e.Close()
		f.Prepare = e.Prepare
		steps = append(steps, e.Steps...)
	} else {
		steps = append(steps, linux.StepExec(p.Path, p.Args, p.Env))
	}
	f.Steps = steps
	pid, err := v.fork(&f, thread)
	if err != nil {
		for _, s := range pumps {
			s.f.Close()
		}
		return 0, err
	}
	for _, s := range pumps {
		go s.run()
	}
	return pid, nil
}

// fork makes a process of a service, unless the container has ended.
func (v *services) fork(f *linux.Fork, thread *forker) (int, error) {
	a := v.a
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.sealed {
		return 0, errors.New("the container has ended")
	}
	pid, err := thread.start(f)
	a.forks++
	a.spawned.Broadcast()
	return pid, err
}

// steps is the child's way to the program, all but its execution. The order is
// commandSteps'.
func (v *services) steps(p *service.Process, like wire.Command, stdio []*linux.FD, bounds []string) []linux.Step {
	steps := stdioSteps(stdio, false)
	for i, fd := range p.Files {
		steps = append(steps, linux.StepDup(fd.Int(), passFD+i))
	}
	for i := range p.Files {
		steps = append(steps, linux.StepDup(passFD+i, 3+i))
	}
	if len(p.Files) > 0 {
		steps = append(steps, linux.StepCloseFrom(3+len(p.Files)))
	}
	if p.IgnoreSIGPIPE {
		steps = append(steps, linux.StepIgnoreSignal(linux.SIGPIPE))
	}
	if p.Nice != nil {
		steps = append(steps, linux.StepNice(*p.Nice))
	}
	if p.OOMScore != nil { // lowering it is for the host to grant
		write := linux.StepsWriteFile("/proc/self/oom_score_adj", strconv.Itoa(*p.OOMScore))
		write[1] = write[1].IgnoreErrors(syscall.EACCES, syscall.EPERM)
		steps = append(steps, write...)
	}
	mark := v.base - uint64(p.Mark)
	limits := append(v.limits(p), wire.Rlimit{Name: "mark", Type: linux.RlimitRTTime, Soft: mark, Hard: mark})
	caps := like.Caps
	if p.Caps != nil {
		caps = slices.DeleteFunc(slices.Clone(caps), func(c string) bool { return !slices.Contains(p.Caps, c) })
	}
	ambient := slices.DeleteFunc(slices.Clone(p.Ambient), func(c string) bool { return !slices.Contains(caps, c) })
	before, after := linux.StepsAmbient(ambient)
	c := wire.Command{
		Dir: p.Dir, Caps: caps, NoNewPrivs: p.NoNewPrivs || like.NoNewPrivs, Seccomp: like.Seccomp, SeccompFlags: like.SeccompFlags,
		Rlimits: limits, OOMScoreAdj: nil, Umask: &p.UMask,
	}
	steps = append(steps, before...)
	rest := commandSteps(c, user{uid: p.User.UID, gid: p.User.GID, groups: p.User.Groups}, bounds)
	return append(append(steps, rest...), after...)
}

// limits gives the limits of a service, none higher than this container's.
func (v *services) limits(p *service.Process) (out []wire.Rlimit) {
	for _, l := range v.like.Rlimits {
		if l.Type != linux.RlimitRTTime {
			out = append(out, l)
		}
	}
	for name, l := range p.Limits {
		n, ok := linux.RlimitNumber(name)
		if !ok || n == linux.RlimitRTTime {
			continue
		}
		hard, err := linux.HardLimit(0, n)
		if err != nil {
			continue
		}
		out = slices.DeleteFunc(out, func(o wire.Rlimit) bool { return o.Type == n })
		out = append(out, wire.Rlimit{Name: name, Type: n, Soft: min(l.Soft, l.Hard, hard), Hard: min(l.Hard, hard)})
	}
	return out
}

// stdio opens the standard streams. Those that go to the log are pipes, whose
// other ends are to be pumped.
func (v *services) stdio(p *service.Process) (stdio []*linux.FD, pumps []*pump, err error) {
	for i, s := range []service.Stream{p.Stdin, p.Stdout, p.Stderr} {
		var fd *linux.FD
		switch {
		case s.FD != nil:
			fd, err = s.FD.Dup()
		case s.Log && i > 0:
			var r *linux.FD
			if r, fd, err = linux.Pipe(); err == nil {
				_ = fd.Chown(int(p.User.UID), -1) // so that it can be opened as /dev/stdout
				pumps = append(pumps, &pump{f: r.PollFile(), out: v.manager().Output, service: p.Service, stream: []string{"", "stdout", "stderr"}[i]})
			}
		default:
			fd, err = linux.Open("/dev/null", linux.ORdwr, 0)
		}
		if err != nil {
			for _, s := range pumps {
				s.f.Close()
			}
			return stdio, nil, err
		}
		stdio = append(stdio, fd)
	}
	return stdio, pumps, nil
}

// pump moves what a service writes to its log.
type pump struct {
	f               *os.File
	service, stream string
	out             func(service, stream string, data []byte)
	rest            []byte // of a line
}

// buffers are shared: an idle stream holds none.
var buffers = sync.Pool{New: func() any { b := make([]byte, swire.MaxLog); return &b }}

// run reads until all writers have gone. A service that writes faster than its
// log is written waits, as one does whose terminal is stopped.
func (p *pump) run() {
	defer p.f.Close()
	rc, err := p.f.SyscallConn()
	for err == nil {
		var buf *[]byte
		var n int
		var rerr error
		err = rc.Read(func(fd uintptr) bool {
			buf = buffers.Get().(*[]byte)
			n, rerr = linux.ReadFD(int(fd), *buf)
			if linux.IsErrno(rerr, syscall.EAGAIN) {
				buffers.Put(buf)
				buf = nil
				return false
			}
			return true
		})
		if buf == nil {
			break
		}
		if n > 0 {
			p.take((*buf)[:n])
		}
		buffers.Put(buf)
		if n == 0 || rerr != nil {
			break
		}
	}
	if len(p.rest) > 0 {
		p.out(p.service, p.stream, p.rest)
	}
}

// take passes whole lines on and keeps the rest until its end comes.
func (p *pump) take(data []byte) {
	end := bytes.LastIndexByte(data, '\n') + 1
	if end > 0 {
		if len(p.rest) > 0 {
			first := bytes.IndexByte(data, '\n') + 1
			line := append(p.rest, data[:first]...)
			for len(line) > 0 {
				n := min(len(line), swire.MaxLog)
				p.out(p.service, p.stream, line[:n])
				line = line[n:]
			}
			p.rest, data, end = nil, data[first:], end-first
		}
		if end > 0 {
			p.out(p.service, p.stream, data[:end])
		}
		data = data[end:]
	}
	p.rest = append(p.rest, data...)
	if len(p.rest) >= swire.MaxLog {
		p.out(p.service, p.stream, p.rest[:swire.MaxLog])
		p.rest = append([]byte(nil), p.rest[swire.MaxLog:]...)
	}
}

// Members lists the processes of services. See service.System.
func (v *services) Members() map[service.Mark][]service.Member {
	found := map[service.Mark][]service.Member{}
	self := strconv.Itoa(os.Getpid())
	everyProcess(processes, func(pid int) {
		if mark := v.MarkOf(pid); mark != 0 {
			found[mark] = append(found[mark], service.Member{PID: pid, Child: parent(strconv.Itoa(pid)) == self})
		}
	})
	return found
}

// everyProcess looks at each process of a list once. One that starts another and
// ends, as daemons do, could pass unseen between the reading of the list and
// the look at it. So the list is read again until it holds nothing new: who
// lives then has been looked at.
func everyProcess(list func() []string, look func(pid int)) {
	seen := map[string]bool{}
	for range maxScans {
		news := false
		for _, name := range list() {
			if pid, err := strconv.Atoi(name); err == nil && !seen[name] {
				seen[name], news = true, true
				look(pid)
			}
		}
		if !news {
			break
		}
	}
}

// maxScans bounds how often the list is read, whatever starts meanwhile.
const maxScans = 8

// processes lists the names in /proc, those that are no process too.
func processes() []string {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return names
}

// parent gives the number of a process's parent, from its stat: after the
// name, which may hold anything, come state and parent.
func parent(pid string) string {
	data, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return ""
	}
	if f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:])); len(f) > 1 {
		return f[1]
	}
	return ""
}

// MarkOf reads the mark of a process. See service.System.
func (v *services) MarkOf(pid int) service.Mark {
	if pid <= 1 {
		return 0
	}
	hard, err := linux.HardLimit(pid, linux.RlimitRTTime)
	if err != nil || hard >= v.base || v.base-hard > 1<<32 {
		return 0
	}
	return service.Mark(v.base - hard)
}

// Ancestors lists a process's parents. See service.System.
func (v *services) Ancestors(pid int) (list []int) {
	self := os.Getpid()
	for range maxAncestors {
		up, err := strconv.Atoi(parent(strconv.Itoa(pid)))
		if err != nil || up <= 1 || up == self {
			break
		}
		list, pid = append(list, up), up
	}
	return list
}

// maxAncestors bounds how far up a process's parents are looked for.
const maxAncestors = 64

// Kill signals a process. See service.System.
func (v *services) Kill(pid int, sig unit.Signal) error {
	err := linux.Kill(pid, linux.Signal(sig))
	if linux.IsErrno(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// Resident reads the memory of a process. See service.System.
func (v *services) Resident(pid int) int64 {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0
	}
	if f := strings.Fields(string(data)); len(f) > 1 {
		if pages, err := strconv.ParseInt(f[1], 10, 64); err == nil {
			return pages * int64(os.Getpagesize())
		}
	}
	return 0
}

// User looks up an account of the container. See service.System.
func (v *services) User(name, group string, extra []string) (service.User, error) {
	u, err := lookupUser(name, extra, false)
	if err != nil {
		return service.User{}, err
	}
	out := service.User{UID: u.uid, GID: u.gid, Groups: u.groups, Home: u.home, Shell: "/bin/sh"}
	for _, f := range accounts("/etc/passwd", false) {
		if len(f) >= 7 && f[2] == fmt.Sprint(u.uid) && (out.Name == "" || f[0] == name) {
			if out.Name = f[0]; f[6] != "" {
				out.Shell = f[6]
			}
		}
	}
	slices.Sort(out.Groups)
	out.Groups = slices.Compact(out.Groups)
	if group != "" {
		if out.GID, err = lookupGroup(accounts("/etc/group", false), group); err != nil {
			return out, err
		}
	}
	if out.GID != 0 { // as systemd has it
		out.Groups = withPrimary(out.Groups, out.GID)
	}
	return out, nil
}

// Output sends what a service wrote. See service.System.
func (v *services) Output(name, stream string, data []byte) {
	_ = v.a.ch.Send(wire.Message{Op: "servicelog", Body: encode(swire.Log{Service: name, Stream: stream, Data: data})}) // the keeper is gone, and so is the container
}

// Failed tells silod of a failure. See service.System.
func (v *services) Failed(name, result string) {
	go func() {
		_ = v.a.ch.Send(wire.Message{Op: "servicefailed", Body: encode(swire.Failure{Service: name, Result: result})})
	}()
}
