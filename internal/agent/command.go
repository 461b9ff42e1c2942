package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/ipc"
	"silo/internal/linux"
)

// scratchFD is the descriptor number that steps between fork and exec use for
// what they open; every descriptor from 3 on is closed by exec.
const scratchFD = 200

// start builds the root and executes the container's own command.
func (a *agent) start(s wire.Start, fds *ipc.FDs) (any, *linux.FD, error) {
	a.mu.Lock()
	started := a.main != 0
	a.mu.Unlock()
	if started || a.parts["dev"] == nil {
		return nil, nil, errs.Conflictf("agent: start before prepare, or twice")
	}
	if err := a.setHostname(s.Hostname); err != nil {
		return nil, nil, err
	}
	if s.Domain != "" {
		if err := linux.SetDomainname(s.Domain); err != nil {
			return nil, nil, err
		}
	}
	if err := a.setSysctls(s.Sysctls); err != nil {
		return nil, nil, err
	}
	if err := a.completeRoot(s, fds); err != nil {
		return nil, nil, err
	}
	a.pidns = s.PID
	if s.Services != nil {
		if err := a.startServices(s); err != nil {
			return nil, nil, err
		}
	} else {
		a.ahead.drop()
	}
	before := []linux.Step{}
	if s.PID {
		before = append(linux.StepsMountProc("/proc", scratchFD), protectSteps(s.Masked, s.ReadOnlyPaths)...)
	}
	fresh := s.Rooted && len(s.Mounts) == 0 && (s.Services == nil || !s.Services.Wait)
	return a.spawn(s.Command, fds, spawnOptions{main: true, fresh: fresh, newPID: s.PID, init: s.Init, before: before})
}

// setSysctls writes kernel parameters of this process's namespaces.
func (a *agent) setSysctls(list map[string]string) error {
	for key, value := range list {
		if a.sysfd == nil {
			return errs.New(errs.NotSupported, "set sysctl %s: no /proc/sys", key)
		}
		f, err := linux.OpenBeneath(a.sysfd, strings.ReplaceAll(key, ".", "/"), linux.OWronly|linux.OTrunc, 0)
		if errors.Is(err, fs.ErrNotExist) {
			return errs.Invalidf("set sysctl %s: the kernel has no such parameter", key)
		}
		if err != nil {
			return errs.Invalidf("set sysctl %s: %v", key, err)
		}
		file := f.File()
		_, err = file.WriteString(value)
		file.Close()
		if err != nil {
			return errs.Invalidf("set sysctl %s to %q: %v", key, value, err)
		}
	}
	return nil
}

// exec executes a further command in the running container; program, if
// there is one, is executed instead of what PATH leads to.
func (a *agent) exec(c wire.Command, program *linux.FD, fds *ipc.FDs) (any, *linux.FD, error) {
	a.mu.Lock()
	main := a.main
	a.mu.Unlock()
	if main == 0 {
		return nil, nil, errs.Conflictf("exec: the container is not running")
	}
	if !a.pidns {
		return a.spawn(c, fds, spawnOptions{program: program})
	}
	inside, err := a.insider(main)
	if err != nil {
		return nil, nil, err
	}
	return a.spawn(c, fds, spawnOptions{program: program, from: inside})
}

type spawnOptions struct {
	main   bool
	fresh  bool // nothing has run in the root since it was laid
	newPID bool
	init   bool
	from   *forker // nil for the one that suits the command
	before []linux.Step
	// program is executed in place of what the command's first word names.
	program *linux.FD
}

// spawn makes the process of a command. With a terminal, its master is the
// returned descriptor.
func (a *agent) spawn(c wire.Command, fds *ipc.FDs, o spawnOptions) (any, *linux.FD, error) {
	thread, err := a.threadFor(&c, o)
	if err != nil {
		return nil, nil, err
	}
	u, err := lookupUser(c.User, c.Groups, o.fresh)
	if err != nil {
		return nil, nil, err
	}
	u.groups = withPrimary(u.groups, u.gid)
	env := completeEnv(c, u)
	program := ""
	if o.program == nil {
		if program, err = lookupProgram(c.Args, env, c.Dir); err != nil {
			return nil, nil, err
		}
	}
	if err := makeDir(c.Dir, o.main); err != nil {
		return nil, nil, err
	}
	stdio, master, err := commandStdio(c, u, fds, o.main)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		for _, f := range stdio {
			f.Close()
		}
	}()
	steps := stdioSteps(stdio, c.TTY)
	steps = append(steps, o.before...)
	var exec linux.Step
	if o.init {
		spec, err := initSpec(c, u, program, env)
		if err != nil {
			master.Close()
			return nil, nil, err
		}
		defer spec.Close()
		steps = append(steps, linux.StepDup(spec.Int(), initFD))
		exec = linux.StepExecFD(a.self, []string{initName}, nil)
	} else {
		steps = append(steps, commandSteps(c, u, thread.bounds())...)
		exec = linux.StepExec(program, c.Args, env)
		if o.program != nil {
			exec = linux.StepExecFD(o.program, c.Args, env)
		}
	}
	f := linux.Fork{Steps: append(steps, exec)}
	if o.newPID {
		f.Flags |= linux.CloneNewPID
	}
	pid, err := a.register(&f, thread, c.ID, o.main)
	if err != nil {
		master.Close()
		return nil, nil, classify(c, err)
	}
	return wire.Started{PID: pid}, master, nil
}

// register forks and notes the child before the reaper can see its end.
func (a *agent) register(f *linux.Fork, thread *forker, id string, main bool) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	pid, err := thread.start(f)
	if err != nil {
		return 0, err
	}
	a.commands[pid] = id
	a.unanswered++
	if main {
		a.main = pid
	}
	a.spawned.Broadcast()
	return pid, nil
}

// stdioSteps puts the standard streams in place and closes all else on exec.
func stdioSteps(stdio []*linux.FD, tty bool) []linux.Step {
	steps := []linux.Step{linux.StepSetsid()}
	for i := range 3 {
		from := stdio[0]
		if len(stdio) == 3 {
			from = stdio[i]
		}
		steps = append(steps, linux.StepDup(from.Int(), i))
	}
	if tty {
		steps = append(steps, linux.StepControllingTTY(0))
	}
	return append(steps, linux.StepCloseFrom(3))
}

// commandSteps turns the child into the command's user with its rights. The
// order matters: limits and the working directory while still root, the
// bounding set before the user changes, and the seccomp filter before the
// user changes too, unless no_new_privs lets anybody install one. bounds is the
// bounding set that the child begins with, nil if it is not known.
func commandSteps(c wire.Command, u user, bounds []string) (steps []linux.Step) {
	steps = append(steps, linux.StepTimerSlack(linux.UsualTimerSlack))
	for _, r := range c.Rlimits {
		steps = append(steps, linux.StepRlimit(r.Name, r.Type, r.Soft, r.Hard))
	}
	if c.OOMScoreAdj != nil {
		steps = append(steps, linux.StepsWriteFile("/proc/self/oom_score_adj", fmt.Sprint(*c.OOMScoreAdj))...)
	}
	if c.Umask != nil {
		steps = append(steps, linux.StepUmask(*c.Umask))
	} else {
		steps = append(steps, linux.StepUmask(0o022))
	}
	if c.Dir == "/" {
		steps = append(steps, linux.StepChdir(c.Dir))
	} else if c.Dir != "" {
		steps = append(steps, linux.StepsEnterDir(c.Dir)...)
	}
	steps = append(steps, linux.StepsDropCaps(bounds, c.Caps)...)
	if len(c.Seccomp) > 0 && !c.NoNewPrivs {
		steps = append(steps, linux.StepSeccomp(c.Seccomp, c.SeccompFlags))
	}
	steps = append(steps, linux.StepSetID(u.uid, u.gid, u.groups)...)
	if c.NoNewPrivs {
		steps = append(steps, linux.StepNoNewPrivs())
		if len(c.Seccomp) > 0 {
			steps = append(steps, linux.StepSeccomp(c.Seccomp, c.SeccompFlags))
		}
	}
	return steps
}

// commandStdio gives the descriptors that become 0, 1 and 2: three, or one
// terminal for all.
func commandStdio(c wire.Command, u user, fds *ipc.FDs, console bool) (stdio []*linux.FD, master *linux.FD, err error) {
	if !c.TTY {
		for _, name := range []string{"standard input", "standard output", "standard error"} {
			fd, err := fds.Next(name)
			if err != nil {
				return stdio, nil, err
			}
			stdio = append(stdio, fd)
			if u.uid == 0 { // the keeper's pipes are root's already
				continue
			}
			if err := fd.Chown(int(u.uid), -1); err != nil && !linux.IsErrno(err, syscall.EPERM, syscall.EINVAL) {
				return stdio, nil, err
			}
		}
		return stdio, nil, nil
	}
	master, slave, err := linux.OpenPTY("/dev/pts/ptmx")
	if err != nil {
		return nil, nil, err
	}
	if err = linux.SetWinsize(master.Int(), c.Rows, c.Cols); err == nil {
		err = slave.Chown(int(u.uid), -1)
	}
	if err == nil && console {
		err = linux.Run([]linux.Step{linux.StepBind(slave.Path(), "/dev/console")})
	}
	if err != nil {
		master.Close()
		slave.Close()
		return nil, nil, fmt.Errorf("set up terminal: %w", err)
	}
	return []*linux.FD{slave}, master, nil
}

// completeEnv adds what a login would set and the image did not.
func completeEnv(c wire.Command, u user) []string {
	env := c.Env
	has := func(name string) bool {
		for _, e := range env {
			if strings.HasPrefix(e, name+"=") {
				return true
			}
		}
		return false
	}
	if !has("HOME") {
		env = append(env, "HOME="+u.home)
	}
	if c.TTY && !has("TERM") {
		env = append(env, "TERM=xterm")
	}
	return env
}

// lookupProgram finds the program of a command along PATH.
func lookupProgram(args, env []string, dir string) (string, error) {
	if len(args) == 0 || args[0] == "" {
		return "", errs.Invalidf("no command specified")
	}
	name := args[0]
	if strings.Contains(name, "/") {
		p := name
		if !path.IsAbs(p) {
			p = path.Join("/", dir, p)
		}
		return p, checkProgram(name, p)
	}
	search := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			search = v
		}
	}
	var denied error
	for _, d := range strings.Split(search, ":") {
		p := path.Join("/", dir, d, name)
		if path.IsAbs(d) {
			p = path.Join(d, name)
		}
		mode, err := linux.ModeOf(p)
		if missing(err) {
			continue
		}
		if err = runnable(name, mode, err); err == nil {
			return p, nil
		}
		denied = err
	}
	if denied != nil {
		return "", denied
	}
	return "", errs.New(errs.NoCommand, "exec: %q: executable file not found in $PATH", name)
}

func checkProgram(name, p string) error {
	if p := path.Clean(p); strings.HasPrefix(p, "/proc/") { // its links lead to the agent, not to the container
		return errs.New(errs.NotRunnable, "exec: %q: permission denied", name)
	}
	mode, err := linux.ModeOf(p)
	if missing(err) {
		return errs.New(errs.NoCommand, "exec: %q: stat %s: no such file or directory", name, p)
	}
	return runnable(name, mode, err)
}

func missing(err error) bool { return linux.IsErrno(err, syscall.ENOENT, syscall.ENOTDIR) }

// runnable tells why a file with a mode, or an error in its place, cannot be
// executed.
func runnable(name string, mode fs.FileMode, err error) error {
	switch {
	case err != nil:
		return errs.New(errs.NotRunnable, "exec: %q: %v", name, err)
	case mode.IsDir():
		return errs.New(errs.NotRunnable, "exec: %q: is a directory", name)
	case mode&0o111 == 0:
		return errs.New(errs.NotRunnable, "exec: %q: permission denied", name)
	}
	return nil
}

// classify gives an error between fork and exec its kind.
func classify(c wire.Command, err error) error {
	var s *linux.StepError
	if !errors.As(err, &s) {
		return err
	}
	if strings.HasPrefix(s.Step, "exec ") {
		kind := errs.NotRunnable // permission, format, text busy …
		if s.Err == syscall.ENOENT || s.Err == syscall.ENOTDIR {
			kind = errs.NoCommand // of the script's interpreter or the loader
		}
		return errs.New(kind, "exec: %q: %v", c.Args[0], s.Err)
	}
	if dir, ok := strings.CutPrefix(s.Step, "chdir to "); ok {
		switch s.Err {
		case syscall.ENOENT:
			return errs.New(errs.NotRunnable, "the working directory %s is not there", dir)
		case syscall.ELOOP:
			return errs.New(errs.NotRunnable, "the working directory %s leads through a link of /proc, or through too many", dir)
		}
		return errs.New(errs.NotRunnable, "%s: %v", s.Step, s.Err)
	}
	if strings.HasPrefix(s.Step, "set ulimit ") {
		return errs.Invalidf("%s: %v: more than this host grants", s.Step, s.Err)
	}
	return err
}

// makeDir makes the working directory, as Docker does: of the container's own
// command only. A further one with a wrong folder is told so.
func makeDir(dir string, main bool) error {
	if dir == "" || dir == "/" {
		return nil
	}
	if !path.IsAbs(dir) {
		return errs.Invalidf("the working directory %q is not an absolute path", dir)
	}
	if !main {
		return nil
	}
	root, err := linux.Open("/", linux.OPath|linux.ODirectory, 0)
	if err != nil {
		return err
	}
	defer root.Close()
	return makeDirIn(root, dir)
}

func makeDirIn(root *linux.FD, dir string) error {
	there, err := linux.MkdirAllIn(root, dir, 0o755)
	if err != nil {
		return errs.New(errs.NotRunnable, "make the working directory %s: %v", dir, err)
	}
	return there.Close()
}
