package service

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"silo/internal/linux"
	"silo/internal/service/unit"
)

// searchPath is where commands without a slash are looked for, and PATH of
// services.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// pidPoll is how often a PID file is looked for.
const pidPoll = 20 * time.Millisecond

// maxFile bounds what is read of an environment file, in bytes.
const maxFile = 1 << 20

// ids of dynamic users, as in systemd.
const (
	dynamicFirst = 61184
	dynamicLast  = 65519
)

// newID makes an id that no other run has. Nobody has to be unable to guess it;
// crypto/rand would bring a quarter of the agent's packages.
func newID() string {
	return fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()) //nolint:gosec // an id, not a secret
}

// spawn starts a command of a service.
func (s *service) spawn(c *unit.Command, asMain bool) (int, error) {
	run := &s.u.Service.Run
	env, err := s.environment(c)
	if err != nil {
		return 0, err
	}
	program, err := s.m.lookPath(c.Path)
	if err != nil {
		return 0, err
	}
	p := &Process{
		Service: s.name, Mark: s.mark, Path: program, User: s.user, UMask: run.UMask, Limits: run.Limits, Nice: run.Nice, OOMScore: run.OOMScore,
		IgnoreSIGPIPE: run.IgnoreSIGPIPE, NoNewPrivs: run.NoNewPrivs, Caps: run.BoundingSet, Ambient: run.AmbientSet,
	}
	if c.Privileged {
		if p.User, err = s.m.o.System.User("0", "", nil); err != nil {
			return 0, err
		}
		p.Ambient = nil
		if !c.KeepWalls {
			p.Caps, p.NoNewPrivs = nil, false
		}
	}
	if p.Dir, err = s.m.workingDir(run, p.User); err != nil {
		return 0, err
	}
	var opened []*linux.FD
	defer func() {
		for _, f := range opened {
			f.Close()
		}
	}()
	if s.phase == unit.ExecStart {
		var names []string
		if p.Files, names, err = s.passed(); err != nil {
			return 0, err
		}
		if len(p.Files) > 0 {
			p.ListenPID = true
			env = append(env, "LISTEN_FDS="+strconv.Itoa(len(p.Files)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
		}
	}
	if opened, err = s.streams(p, run); err != nil {
		return 0, err
	}
	if s.conn != nil { // not as LISTEN_FDS if it is standard input already
		if run.Stdin.Kind == unit.StdioSocket {
			p.Files, p.ListenPID = nil, false
		}
	}
	p.Env = env
	if p.Args, err = c.Argv(env); err != nil {
		return 0, err
	}
	if len(p.Args) == 0 {
		return 0, errors.New("no command is left once its variables are replaced")
	}
	return s.m.o.System.Spawn(p)
}

// lookPath finds a program in the container.
func (m *Manager) lookPath(name string) (string, error) {
	if strings.HasPrefix(name, "/") {
		return name, nil
	}
	for _, dir := range strings.Split(searchPath, ":") {
		p := path.Join(dir, name)
		if fi, err := os.Stat(m.path(p)); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", fmt.Errorf("%s is not in %s", name, searchPath)
}

func (m *Manager) workingDir(run *unit.Run, u User) (string, error) {
	dir := run.WorkingDirectory
	switch dir {
	case "":
		return "/", nil
	case "~":
		dir = u.Home
	}
	fi, err := os.Stat(m.path(dir))
	if err == nil && !fi.IsDir() {
		err = fmt.Errorf("%s is not a folder", dir)
	}
	if err != nil {
		if run.WorkingOptional {
			return "/", nil
		}
		return "", fmt.Errorf("WorkingDirectory=: %w", err)
	}
	return dir, nil
}

// path is where a file of the container is for this process.
func (m *Manager) path(p string) string { return path.Join(m.o.Root.Name(), path.Clean("/"+p)) }

// environment is what a command finds in its environment, later entries over
// earlier ones.
func (s *service) environment(c *unit.Command) ([]string, error) {
	run := &s.u.Service.Run
	env := []string{"PATH=" + searchPath, "INVOCATION_ID=" + s.id}
	if lang := lookup(s.m.o.Host.Environment, "LANG"); lang != "" {
		env = append(env, "LANG="+lang)
	}
	if run.User != "" || run.DynamicUser {
		env = append(env, "HOME="+s.user.Home, "USER="+s.user.Name, "LOGNAME="+s.user.Name, "SHELL="+s.user.Shell)
	}
	for kind, base := range dirBases {
		var list []string
		for _, d := range run.Dirs[kind].Dirs {
			list = append(list, path.Join(base.path, d.Name))
		}
		if len(list) > 0 {
			env = append(env, base.env+"="+strings.Join(list, ":"))
		}
	}
	if s.m.o.NotifySocket != "" && s.u.Service.NotifyAccess != unit.NotifyNone {
		env = append(env, "NOTIFY_SOCKET="+s.m.o.NotifySocket)
	}
	if w := s.u.Service.Watchdog; w > 0 && w != unit.Infinity {
		env = append(env, "WATCHDOG_USEC="+strconv.FormatInt(w.Microseconds(), 10))
	}
	if s.main != 0 {
		env = append(env, "MAINPID="+strconv.Itoa(s.main))
	}
	if s.phase == unit.ExecStop || s.phase == unit.ExecStopPost {
		env = append(env, "SERVICE_RESULT="+s.result)
		if e := s.mainExit; e != nil && e.Signal != 0 {
			env = append(env, "EXIT_CODE=killed", "EXIT_STATUS="+strings.TrimPrefix(signalName(e.Signal), "SIG"))
		} else if e != nil {
			env = append(env, "EXIT_CODE=exited", "EXIT_STATUS="+strconv.Itoa(e.Code))
		}
	}
	for _, name := range run.PassEnvironment {
		if v := lookup(s.m.o.Host.Environment, name); v != "" {
			env = append(env, name+"="+v)
		}
	}
	env = append(env, run.Environment...)
	for _, f := range run.EnvironmentFiles {
		more, err := s.m.envFile(f)
		if err != nil {
			return nil, err
		}
		env = append(env, more...)
	}
	return unset(unique(env), run.UnsetEnvironment), nil
}

// signalOrCode shows how a process ended.
func signalOrCode(e Exit) string {
	if e.Signal != 0 {
		return signalName(e.Signal)
	}
	return "exit code " + strconv.Itoa(e.Code)
}

// signalName names a signal as the kernel's headers do.
func signalName(n int) string {
	if name := linux.SignalName(n); name != "" {
		return name
	}
	return strconv.Itoa(n)
}

func lookup(env []string, name string) string {
	for _, e := range slices.Backward(env) {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

// unique leaves the last value of each variable.
func unique(env []string) (out []string) {
	at := map[string]int{}
	for _, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if i, ok := at[name]; ok {
			out[i] = e
			continue
		}
		at[name] = len(out)
		out = append(out, e)
	}
	return out
}

// unset leaves out variables by name or by name and value.
func unset(env, names []string) []string {
	return slices.DeleteFunc(env, func(e string) bool {
		name, _, _ := strings.Cut(e, "=")
		return slices.Contains(names, name) || slices.Contains(names, e)
	})
}

// envFile reads the environment files that match a pattern.
func (m *Manager) envFile(f unit.EnvFile) (env []string, err error) {
	names := []string{f.Path}
	if strings.ContainsAny(f.Path, "*?[") {
		if names, err = filepath.Glob(m.path(f.Path)); err != nil {
			return nil, fmt.Errorf("EnvironmentFile=%s: %w", f.Path, err)
		}
		for i := range names {
			names[i] = strings.TrimPrefix(names[i], strings.TrimSuffix(m.o.Root.Name(), "/"))
		}
	}
	for _, name := range names {
		data, err := m.read(name, maxFile)
		if err == nil {
			var vars []string
			if vars, err = unit.ParseEnvFile(data); err == nil {
				env = append(env, vars...)
			}
		}
		if err != nil && !(f.Optional && errors.Is(err, fs.ErrNotExist)) {
			return nil, fmt.Errorf("EnvironmentFile=%s: %w", f.Path, err)
		}
	}
	if len(names) == 0 && !f.Optional {
		return nil, fmt.Errorf("EnvironmentFile=%s: no file matches", f.Path)
	}
	return env, nil
}

// read reads a regular file of the container, up to a limit.
func (m *Manager) read(name string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(m.path(name), os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO does not hold it up
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", name, limit)
	}
	return data, err
}

// readPID reads a PID file.
func (m *Manager) readPID(name string) (int, error) {
	data, err := m.read(name, 4096)
	if err != nil {
		return 0, fmt.Errorf("PIDFile=: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("PIDFile=%s holds %.20q, which is no process number", name, data)
	}
	return pid, nil
}

// userOf finds who a service runs as; dynamic says that the id is one that
// this service has for itself.
func (m *Manager) userOf(name string, run *unit.Run) (u User, dynamic bool, err error) {
	account := run.User
	if account == "" && !run.DynamicUser {
		account = "0"
	}
	if account != "" {
		u, err = m.o.System.User(account, run.Group, run.ExtraGroups)
		if err == nil || !run.DynamicUser {
			return u, false, err
		}
	}
	id, err := m.dynamicID(name)
	if err != nil {
		return u, false, err
	}
	root, err := m.o.System.User("0", "", run.ExtraGroups)
	if err != nil {
		return u, false, err
	}
	if account == "" {
		account = strings.TrimSuffix(name, ".service")
	}
	return User{UID: id, GID: id, Groups: root.Groups, Name: account, Home: "/", Shell: "/usr/sbin/nologin"}, true, nil
}

// dynamicID gives a service an id that nobody has: the same one each time if
// it is free, so that its files stay its own.
func (m *Manager) dynamicID(name string) (uint32, error) {
	const span = dynamicLast - dynamicFirst + 1
	hash := uint32(2166136261)
	for _, b := range []byte(name) {
		hash = (hash ^ uint32(b)) * 16777619
	}
	for i := range uint32(span) {
		id := dynamicFirst + (hash+i)%span
		if _, taken := m.dynamic[id]; taken {
			continue
		}
		if u, err := m.o.System.User(strconv.Itoa(int(id)), "", nil); err == nil && u.Name != "" {
			continue // an account of the image
		}
		m.dynamic[id] = name
		return id, nil
	}
	return 0, errors.New("DynamicUser=: no id from 61184 to 65519 is free")
}
