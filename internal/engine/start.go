package engine

import (
	"context"
	"net/netip"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	agent "silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
	"silo/internal/logfile"
	"silo/internal/network"
)

// ContainerStart starts a created or ended container.
func (e *Engine) ContainerStart(ctx context.Context, ref string) error {
	c, err := e.find(ref)
	if err != nil {
		return err
	}
	if !c.lock(ctx.Done()) {
		return ctx.Err()
	}
	defer c.unlock()
	switch st := c.state(); st.State {
	case container.StateRunning:
		return errs.New(errs.NotModified, "container %s is running", ref)
	case container.StatePaused:
		return errs.Conflictf("cannot start a paused container, try unpause instead")
	case container.StateRemoving, container.StateDead:
		return errs.Conflictf("container is marked for removal and cannot be started: %s", c.broken())
	}
	c.mu.Lock()
	c.stopping = false
	c.st.Failures, c.st.Restarts = 0, 0 // counted from here on, as in Docker
	c.mu.Unlock()
	return e.startLocked(ctx, c)
}

func (c *Container) broken() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.detail != "" {
		return c.detail
	}
	return string(c.st.State)
}

// startLocked starts a container; the caller holds the lock of its life. One
// that cannot be started has the exit code that Docker's clients expect, and
// stays created if it has never run.
func (e *Engine) startLocked(ctx context.Context, c *Container) error {
	// Once begun, a start is finished or undone, even if the client leaves.
	ctx = context.WithoutCancel(ctx)
	c.mu.Lock()
	c.failed, c.again, c.aborted = "", false, false
	c.mu.Unlock()
	err := e.tryStart(ctx, c)
	if err == nil {
		return nil
	}
	if shown := e.checkNotShown(c); shown != nil { // its disk is in use
		err = shown
	}
	code := 128
	switch errs.KindOf(err) {
	case errs.NoCommand:
		code = 127
	case errs.NotRunnable:
		code = 126
	}
	c.mu.Lock()
	box := c.box
	c.box = nil
	if c.st.Started.IsZero() {
		c.st.ExitCode, c.st.Error = code, err.Error()
	} else if terr := c.transition(container.StateExited); terr == nil {
		c.st.ExitCode, c.st.Error, c.st.Finished, c.st.PID, c.st.Agent = code, err.Error(), time.Now().UTC(), 0, 0
	}
	pending, tell := c.pending, c.takeWaiters()
	c.pending = nil
	remove := c.rec.HostConfig.AutoRemove
	c.mu.Unlock()
	for _, p := range pending {
		p.close()
	}
	tell()
	if box != nil {
		e.endpointGone(c, box)
	}
	if remove {
		e.removeRecord(c, false)
		if box == nil {
			box = &sandbox{id: c.rec.ID, dir: c.dir, first: c.rec.FirstID}
		}
		e.destroySandbox(box, true)
		return err
	}
	if box != nil {
		e.destroySandbox(box, false)
	}
	c.saveState()
	return err
}

// sandboxOf gives a container's sandbox, made the long way if it has none.
func (e *Engine) sandboxOf(ctx context.Context, c *Container, r *configRecord) (*sandbox, error) {
	c.mu.Lock()
	b := c.box
	c.mu.Unlock()
	if b != nil {
		return b, nil
	}
	p, err := e.sandboxPlan(r)
	if err != nil {
		return nil, err
	}
	if b, err = e.makeSandbox(ctx, p); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.box = b
	c.mu.Unlock()
	return b, nil
}

func (e *Engine) tryStart(ctx context.Context, c *Container) error {
	r := c.record()
	e.touch()
	b, err := e.sandboxOf(ctx, c, r)
	if err != nil {
		return err
	}
	if _, err := b.group.Set(withAgent(resources(r.HostConfig))); err != nil {
		return err
	}
	laid, err := e.takeRoot(ctx, b, r.ImageID)
	if err != nil {
		return err
	}
	var mounts []*linux.FD
	if !laid {
		root, err := e.baseOverlay(b, r.ImageID)
		if err != nil {
			return err
		}
		defer e.later(func() { root.Close() })
		mounts = append(mounts, root)
	}
	e.fault("start: root")
	start, fds, err := e.startSpec(c, r, b)
	if err != nil {
		return err
	}
	b.shorten(&start.Body, laid)
	defer func() {
		for _, fd := range fds {
			fd.Close()
		}
	}()
	if err := e.publish(ctx, r, b); err != nil {
		return err
	}
	e.fault("start: published")
	conns := c.takePending(&start)
	defer func() {
		for _, fd := range conns {
			fd.Close()
		}
	}()
	return e.begin(ctx, c, b, start, append(mounts, fds...), conns)
}

// begin has a container's command started, and notes that it runs.
func (e *Engine) begin(ctx context.Context, c *Container, b *sandbox, start wire.Start, fds, conns []*linux.FD) error {
	// The end may be told before start returns; it waits for c.mu's state.
	c.mu.Lock()
	begun := make(chan struct{})
	c.exited, c.begun = make(chan struct{}), begun
	c.waking = start.Body.Services != nil && start.Body.Services.Wait
	c.mu.Unlock()
	defer close(begun)
	s, err := e.keep().Start(ctx, start, fds, conns)
	c.mu.Lock()
	c.waking = false
	aborted := c.aborted
	c.mu.Unlock()
	if err != nil {
		e.endAgent(ctx, b)
		if aborted {
			return errs.Conflictf("container %s was ended while it waited for its services", c.record().Name)
		}
		return err
	}
	e.fault("start: started")
	e.began(c, b, s.PID)
	e.fault("start: noted")
	return nil
}

// shorten leaves out of a start what the agent has with a root that is laid.
func (b *sandbox) shorten(s *agent.Start, laid bool) {
	if s.Rooted = laid; laid {
		s.Files = slices.DeleteFunc(s.Files, func(f agent.File) bool { return slices.Contains(b.files, f) })
	}
}

// endAgent ends an agent whose start was refused.
func (e *Engine) endAgent(ctx context.Context, b *sandbox) { _ = e.keep().End(ctx, b.id) }

// began notes that a container runs.
func (e *Engine) began(c *Container, b *sandbox, pid int) {
	c.mu.Lock()
	if err := c.transition(container.StateRunning); err != nil {
		e.log.Error("start", "container", b.id, "err", err)
	}
	c.st.PID, c.st.Agent, c.st.Session, c.st.Started = pid, b.agent, b.session, time.Now().UTC()
	c.st.ExitCode, c.st.Error, c.st.OOMKilled, c.st.StoppedByUse = 0, "", false, false
	c.st.Endpoint = b.endpoint
	c.mu.Unlock()
	// The container holds its disk and namespaces now. If it has ended already,
	// closing unmounts them, which nobody needs to wait for.
	e.later(b.closeDescriptors)
	c.saveState()
	if p := c.record().HostConfig.RestartPolicy.Name; p != "" && p != container.RestartPolicyDisabled {
		if err := c.flush(); err != nil { // what is to run again must be known to run
			e.log.Error("write state", "container", b.id, "err", err)
		}
	}
	if b.endpoint != nil {
		e.emitNetwork(c, events.ActionConnect)
	}
	e.emitMounts(c, events.ActionMount)
	e.emit(c, events.ActionStart, nil)
	e.startHealth(c)
}

// startSpec is the pure part: what the keeper and the agent are to do.
func (e *Engine) startSpec(c *Container, r *configRecord, b *sandbox) (s wire.Start, fds []*linux.FD, err error) {
	cfg, h := r.Config, r.HostConfig
	args := slices.Concat(cfg.Entrypoint, cfg.Cmd)
	command, err := e.command(r, commandSpec{args: args, env: initEnv(r, args), dir: cfg.WorkingDir, user: cfg.User, tty: cfg.Tty, filtered: b.filtered})
	if err != nil {
		return s, nil, err
	}
	command.Rows, command.Cols = uint16(h.ConsoleSize[0]), uint16(h.ConsoleSize[1])
	s = wire.Start{
		ID: r.ID, Stdio: wire.Stdio{TTY: cfg.Tty, OpenStdin: cfg.OpenStdin, StdinOnce: cfg.StdinOnce},
		Body: agent.Start{PID: r.PID, Init: r.PID && h.Init != nil && *h.Init, Domain: cfg.Domainname, Sysctls: h.Sysctls, ReadOnly: h.ReadonlyRootfs, Command: command},
	}
	if h.UTSMode != "host" {
		s.Body.Hostname = hostname(r)
	} else if cfg.Hostname != "" {
		return s, nil, errs.Invalidf("conflicting options: hostname and the UTS mode")
	}
	if r.PID {
		sec, err := securityOptions(h)
		if err != nil {
			return s, nil, err
		}
		masked, readOnly := protection(h, sec)
		s.Body.Masked, s.Body.ReadOnlyPaths = below(masked, "/proc", true), below(readOnly, "/proc", true)
	}
	if h.LogConfig.Type != "none" {
		o, err := logfile.ParseOptions(h.LogConfig.Config)
		if err != nil {
			return s, nil, err
		}
		s.Stdio.Log = &wire.Log{Path: c.logPath(), MaxSize: o.MaxSize, MaxFiles: o.MaxFiles}
	}
	s.Body.Services = servicesOf(r)
	s.Body.Files = e.files(r, b)
	s.Body.Mounts, fds, err = openMounts(b, r.Mounts)
	return s, fds, err
}

func (c *Container) logPath() string { return logPath(c.dir, c.rec.ID) }

func logPath(dir, id string) string { return dir + "/" + id + "-json.log" }

type commandSpec struct {
	args, env  []string
	dir, user  string
	tty        bool
	privileged bool
	filtered   bool // the agent holds the default seccomp filter and capabilities
}

// command is the part that a container's own command and an exec share.
func (e *Engine) command(r *configRecord, s commandSpec) (agent.Command, error) {
	h := *r.HostConfig
	if s.privileged {
		h.Privileged = true
	}
	caps, err := capabilities(&h)
	if err != nil {
		return agent.Command{}, err
	}
	sec, err := securityOptions(&h)
	if err != nil {
		return agent.Command{}, err
	}
	env := effectiveEnv(s.env)
	if !slices.ContainsFunc(env, func(v string) bool { return strings.HasPrefix(v, "HOSTNAME=") }) {
		env = append(env, "HOSTNAME="+hostname(r))
	}
	c := agent.Command{Args: s.args, Env: env, Dir: s.dir, User: s.user, Groups: h.GroupAdd, TTY: s.tty, Caps: caps, NoNewPrivs: sec.noNewPrivs, Umask: h.Umask}
	for _, l := range h.Ulimits {
		c.Rlimits = append(c.Rlimits, agent.Rlimit{Name: l.Name, Type: ulimitTypes[l.Name], Soft: uint64(l.Soft), Hard: uint64(l.Hard)})
	}
	if h.OomScoreAdj != 0 {
		c.OOMScoreAdj = &h.OomScoreAdj
	}
	if !sec.unconfined && s.filtered && sec.profile == nil && slices.Equal(caps, defaultCaps) {
		c.Prepared, c.Caps = true, nil // those of Prepare
		return c, nil
	}
	if !sec.unconfined {
		f, err := e.filters.Get(sec.profile, caps)
		if err != nil {
			return c, err
		}
		c.Seccomp, c.SeccompFlags = f.Program, f.Flags
	}
	return c, nil
}

// publishList reads which ports a container publishes, -P included.
func publishList(r *configRecord) ([]network.PortMapping, error) {
	var out []network.PortMapping
	add := func(proto string, port uint16, ip netip.Addr, host string) error {
		if port == 0 {
			return errs.Invalidf("publish 0/%s: a port of a container is 1 to 65535", proto)
		}
		if proto != "tcp" && proto != "udp" {
			return errs.New(errs.NotSupported, "publish %d/%s: only tcp and udp can be published", port, proto)
		}
		m := network.PortMapping{Proto: proto, ContainerPort: port, HostIP: ip}
		if host != "" && host != "0" {
			first, last, isRange := strings.Cut(host, "-")
			n, err := strconv.ParseUint(first, 10, 16)
			if isRange && err == nil {
				var end uint64
				end, err = strconv.ParseUint(last, 10, 16)
				m.HostPortEnd = uint16(end)
			}
			if m.HostPort = uint16(n); err != nil || isRange && (n == 0 || m.HostPortEnd < m.HostPort) {
				return errs.Invalidf("invalid host port %q: give a number, or two as FIRST-LAST of which a free one is taken", host)
			}
		}
		out = append(out, m)
		return nil
	}
	for port, list := range r.HostConfig.PortBindings {
		for _, bind := range list {
			if bind.HostIP.IsValid() && bind.HostIP.Is6() {
				if bind.HostIP.IsUnspecified() && besideIPv4(list, bind.HostPort) {
					continue // clients ask for both where none was named
				}
				return nil, errs.New(errs.NotSupported, "publish on %q: the network nat is IPv4: give an IPv4 address, or none", bind.HostIP)
			}
			if err := add(string(port.Proto()), port.Num(), bind.HostIP, bind.HostPort); err != nil {
				return nil, err
			}
		}
		if len(list) == 0 {
			if err := add(string(port.Proto()), port.Num(), netip.Addr{}, ""); err != nil {
				return nil, err
			}
		}
	}
	if r.HostConfig.PublishAllPorts {
		for port := range r.Config.ExposedPorts {
			if _, ok := r.HostConfig.PortBindings[port]; !ok {
				if err := add(string(port.Proto()), port.Num(), netip.Addr{}, ""); err != nil {
					return nil, err
				}
			}
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ContainerPort < out[j].ContainerPort })
	return out, nil
}

// publish opens ports and makes the container known by name.
func (e *Engine) publish(ctx context.Context, r *configRecord, b *sandbox) error {
	if b.endpoint == nil {
		return nil
	}
	list, err := publishList(r)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		done, err := e.net.Publish(ctx, *b.endpoint, list)
		if err != nil {
			return err
		}
		b.endpoint.Ports = done
		if err := b.saveEndpoint(); err != nil {
			return err
		}
	}
	e.net.SetNames(r.ID, b.endpoint.IP, knownNames(r)...)
	return nil
}

// endpointGone takes back ports and names.
func (e *Engine) endpointGone(c *Container, b *sandbox) {
	if b.endpoint == nil {
		return
	}
	e.net.ClearNames(b.id)
	if len(b.endpoint.Ports) > 0 {
		if err := e.net.Unpublish(context.Background(), b.id); err != nil {
			e.log.Error("unpublish", "container", b.id, "err", err)
		}
	}
}
