package agent

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/service"
	"silo/internal/service/unit"
	swire "silo/internal/service/wire"
	"silo/internal/share"
)

// services is what the agent keeps of its supervisor of services; nil while
// there is none. It implements service.System (spawn.go has the rest).
//
// The processes of a service are told apart by a mark that no descendant
// loses, whatever it does to its environment, session or parent: the hard
// limit of RLIMIT_RTTIME. It bounds only what real-time processes use, in
// microseconds, and a mark is more than a hundred thousand years below
// unlimited. A process may lower it, and so pass for one of a service that
// was started later: it may be ended with that one, and gains no right, as a
// mark alone lets nobody speak for a service.
type services struct {
	a    *agent
	host unit.Host
	root *os.Root
	base uint64       // the limit of what is no service
	like wire.Command // rights that services have at most

	once   sync.Once
	m      atomic.Pointer[service.Manager] // nil until there is something to do
	booted bool                            // start-up has begun
}

// manager gives the supervisor, which is made when it is needed: the command
// does not wait for it.
func (v *services) manager() *service.Manager {
	v.once.Do(func() {
		v.m.Store(service.New(service.Options{System: v, Root: v.root, Host: v.host, NotifySocket: notifySocket, Rest: debug.FreeOSMemory}))
	})
	return v.m.Load()
}

// Where the agent listens, and its services tell how they are doing: in /dev,
// which can be written even if the root cannot.
const (
	socketDir    = "/dev/silo"
	notifySocket = socketDir + "/notify"
)

// markBase is the mark of what is no service, where nothing limits it.
const markBase = 1 << 62

// newServices makes all that a supervisor needs; it starts nothing yet.
func (a *agent) newServices(s wire.Start) error {
	hard, err := linux.HardLimit(0, linux.RlimitRTTime)
	if err != nil {
		return err
	}
	if hard < 1<<40 {
		return errs.New(errs.NotSupported, "services cannot be told apart: the limit rttime is %d here, which is too low for marks: raise it, or leave out --services", hard)
	}
	stage := a.ahead
	if stage == nil || len(s.Mounts) > 0 { // a mount may show other files
		stage.drop()
		if stage, err = stageServices(); err != nil {
			return err
		}
	}
	v := &services{a: a, host: stage.of(s), root: stage.root, base: min(hard, markBase), like: s.Command}
	stage.owner.Store(v)
	a.mu.Lock()
	a.services = v
	a.mu.Unlock()
	return nil
}

// waitMost bounds how long a command waits for the services.
const waitMost = 2 * time.Minute

// startServices makes the supervisor. If the command is to wait for the
// services they are started first, and it returns when they are up.
func (a *agent) startServices(s wire.Start) error {
	if s.PID {
		return errs.New(errs.NotSupported, "services in a PID namespace")
	}
	if err := a.newServices(s); err != nil {
		return fmt.Errorf("supervise services: %w", err)
	}
	if !s.Services.Wait {
		return nil
	}
	up := make(chan []string, 1)
	a.services.boot(func(failed []string) { up <- failed })
	select {
	case failed := <-up:
		if len(failed) > 0 && s.Services.OnFailure == swire.ExitOnFailure {
			return errs.New(errs.Unavailable, "wait for services: %s failed", strings.Join(failed, ", "))
		}
		return nil
	case <-time.After(waitMost):
		return errs.New(errs.Unavailable, "wait for services: not all up after %s", waitMost)
	}
}

// bootDelay lies between the command's start and that of the services: a command
// that is over at once should not share the processors with them.
const bootDelay = 15 * time.Millisecond

// bootServices starts the enabled services beside the command, if there are
// any to be supervised.
func (a *agent) bootServices() {
	a.mu.Lock()
	v := a.services
	a.mu.Unlock()
	if v == nil || v.booted {
		return
	}
	v.booted = true
	time.AfterFunc(bootDelay, func() {
		a.mu.Lock()
		over := a.sealed || a.draining || a.exit != nil || a.ending
		a.mu.Unlock()
		if !over {
			v.manager().Boot(nil)
		}
	})
}

func (v *services) boot(done func(failed []string)) {
	v.booted = true
	v.manager().Boot(done)
}

// answerService answers a request of silod.
func (a *agent) answerService(m wire.Message, raw []int) {
	linux.CloseAll(raw)
	a.mu.Lock()
	v := a.services
	a.mu.Unlock()
	done := wire.Message{ID: m.ID, Op: "done"}
	var r swire.Request
	err := json.Unmarshal(m.Body, &r)
	if err == nil && v == nil {
		err = errs.Conflictf("the container runs without services")
	}
	if err == nil {
		reply := v.manager().Handle(r, true)
		if done.Body = encode(reply); reply.Error != "" {
			err = errs.Conflictf("%s", reply.Error)
		}
	}
	if err != nil {
		done.Error = &wire.Error{Kind: uint8(errs.KindOf(err)), Text: err.Error()}
	}
	_ = a.ch.Send(done)
}

// serviceEnded tells the supervisor of a child that is no command.
func (a *agent) serviceEnded(pid int, ws linux.WaitStatus) {
	a.mu.Lock()
	v := a.services
	a.mu.Unlock()
	if v == nil || v.m.Load() == nil {
		return
	}
	e := service.Exit{Core: ws.CoreDump()}
	if ws.Signaled() {
		e.Signal = int(ws.Signal())
	} else {
		e.Code = ws.ExitStatus()
	}
	v.manager().Exited(pid, e)
}

// mainEnded ends the container after its command: at once if it was killed,
// else when services that hold state have stopped.
func (a *agent) mainEnded(ws linux.WaitStatus) {
	a.mu.Lock()
	v := a.services
	if v == nil || v.m.Load() == nil || ws.Signaled() && ws.Signal() == linux.SIGKILL {
		a.sealed = true // reapAll kills what is left
		a.mu.Unlock()
		return
	}
	a.draining = true
	a.mu.Unlock()
	v.manager().End(func() {
		a.mu.Lock()
		a.sealed, a.draining = true, false
		a.mu.Unlock()
		if linux.HasChild() { // reap may be waiting for one of them
			a.killAll()
		}
		a.spawned.Broadcast()
	})
}

// ahead is what can be made of the supervisor before it is known whether the
// container will have one: the socket where it listens, the container's root and
// what package unit is to know of it.
type ahead struct {
	listener *os.File
	owner    atomic.Pointer[services] // nil: nobody can connect yet
	dropped  atomic.Bool
	root     *os.Root
	host     unit.Host
}

// stageServices makes it.
func stageServices() (*ahead, error) {
	if err := os.MkdirAll(socketDir, 0o755); err != nil {
		return nil, err
	}
	fd, err := linux.ListenUnix(swire.Socket, 0o666)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot("/")
	if err != nil {
		fd.Close()
		return nil, err
	}
	st := &ahead{listener: fd.File(), root: root, host: rootHost()}
	go st.answer()
	return st, nil
}

// drop takes it back.
func (st *ahead) drop() {
	if st == nil {
		return
	}
	st.dropped.Store(true)
	st.listener.Close()
	st.root.Close()
	_ = os.RemoveAll(socketDir) // what stays is a folder without a listener
}

// of adds what a start tells.
func (st *ahead) of(s wire.Start) unit.Host {
	h := st.host
	h.Environment, h.Capabilities = s.Command.Env, s.Command.Caps
	if s.Hostname != "" {
		h.Hostname = s.Hostname
	}
	return h
}

// rootHost tells package unit about the container's root and its kernel.
func rootHost() unit.Host {
	text := func(path string) string {
		data, _ := os.ReadFile(path) // what is not there stays empty
		return strings.TrimSpace(string(data[:min(len(data), 4096)]))
	}
	arch := map[string]string{"amd64": "x86-64", "386": "x86", "arm64": "arm64", "arm": "arm"}[runtime.GOARCH]
	h := unit.Host{
		Hostname: text("/proc/sys/kernel/hostname"), MachineID: text("/etc/machine-id"), BootID: strings.ReplaceAll(text("/proc/sys/kernel/random/boot_id"), "-", ""),
		KernelRelease: text("/proc/sys/kernel/osrelease"), Architecture: arch, KernelCmdline: text("/proc/cmdline"),
		OSRelease: map[string]string{}, User: "root", Group: "root", Home: "/root", Shell: "/bin/sh",
		CPUs: runtime.NumCPU(), Zone: time.LoadLocation,
	}
	if f := strings.Fields(text("/proc/meminfo")); len(f) > 1 {
		if kb, err := strconv.ParseUint(f[1], 10, 64); err == nil {
			h.Memory = kb << 10
		}
	}
	release := text("/etc/os-release")
	if release == "" {
		release = text("/usr/lib/os-release")
	}
	if vars, err := unit.ParseEnvFile([]byte(release)); err == nil {
		for _, e := range vars {
			if key, value, ok := strings.Cut(e, "="); ok {
				h.OSRelease[key] = value
			}
		}
	}
	return h
}

// maxClients bounds the connections to the agent's socket at a time, and
// maxClientsEach those of one user but root, so that none keeps out the others.
// Those whose services start or stop meanwhile do not count: maxWaiting bounds
// them.
const (
	maxClients     = 16
	maxClientsEach = 8
	maxWaiting     = 64
)

// clients counts them.
type clients struct {
	slots   chan struct{}
	waiting chan struct{}
	each    *share.Each[uint32]
}

func newClients() *clients {
	return &clients{slots: make(chan struct{}, maxClients), waiting: make(chan struct{}, maxWaiting), each: share.New[uint32](maxClientsEach)}
}

// wait does what may take long without one of the slots; false if too many do
// already.
func (c *clients) wait(f func()) bool {
	select {
	case c.waiting <- struct{}{}:
	default:
		return false
	}
	<-c.slots
	f()
	<-c.waiting
	c.slots <- struct{}{}
	return true
}

// clientPatience is how long a client may take to send its request.
const clientPatience = 10 * time.Second

// answer answers programs inside the container until the listener is closed.
func (st *ahead) answer() {
	all := newClients()
	for {
		all.slots <- struct{}{}
		sock, err := linux.Accept(st.listener)
		if st.dropped.Load() {
			return
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // out of descriptors: may pass
			<-all.slots
			continue
		}
		go func() {
			defer func() { sock.Close(); <-all.slots }()
			if v := st.owner.Load(); v != nil {
				v.client(sock, all)
			}
		}()
	}
}

// client answers one program, one request a line.
func (v *services) client(sock *linux.Socket, all *clients) {
	uid, err := sock.PeerUID()
	if err != nil {
		return
	}
	if uid != 0 {
		if !all.each.Enter(uid) {
			return
		}
		defer all.each.Leave(uid)
	}
	var rest []byte
	for {
		_ = sock.File().SetReadDeadline(time.Now().Add(clientPatience))
		line, more, err := readLine(sock, rest)
		if err != nil {
			return
		}
		rest = more
		var r swire.Request
		reply := swire.Reply{}
		switch err := json.Unmarshal(line, &r); {
		case err != nil:
			reply.Error = "request: " + err.Error()
		case r.Action == swire.Shutdown:
			reply.Error = "shutdown: only silod may ask for it"
		case r.Op != swire.OpAction || uid != 0: // answered at once
			reply = v.manager().Handle(r, uid == 0)
		case !all.wait(func() { reply = v.manager().Handle(r, true) }):
			reply.Error = fmt.Sprintf("%d requests wait for services already", maxWaiting)
		}
		_ = sock.File().SetWriteDeadline(time.Now().Add(clientPatience))
		if sock.Send(append(encode(reply), '\n')) != nil {
			return
		}
	}
}

// readLine reads up to a newline; what came after it is returned too.
func readLine(sock *linux.Socket, have []byte) (line, rest []byte, err error) {
	for {
		for i, b := range have {
			if b == '\n' {
				return have[:i], have[i+1:], nil
			}
		}
		if len(have) > swire.MaxRequest {
			return nil, nil, fmt.Errorf("request is longer than %d bytes", swire.MaxRequest)
		}
		buf := make([]byte, 4096)
		n, fds, err := sock.Recv(buf)
		linux.CloseAll(fds)
		if err != nil {
			return nil, nil, err
		}
		have = append(have, buf[:n]...)
	}
}
