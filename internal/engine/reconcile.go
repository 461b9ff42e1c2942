package engine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/moby/moby/api/types/container"

	"silo/internal/cgroup"
	"silo/internal/disk"
	"silo/internal/keeper/wire"
	"silo/internal/network"
	"silo/internal/record"
)

// reconcile makes the host match the records after a start of silod: what
// runs is taken over, what ended meanwhile is noted, what is half-made or
// claimed by no record is taken away. Only what is this data root's own is
// touched.
func (e *Engine) reconcile(ctx context.Context) error {
	h, err := e.keep().Hello(ctx)
	if err != nil {
		return err
	}
	live := map[string]wire.Status{}
	for _, s := range h.Containers {
		live[s.ID] = s
	}
	claimed := map[string]bool{}
	var endpoints []network.Endpoint
	for _, c := range e.all() {
		s, ok := live[c.record().ID]
		switch {
		case c.state().State == container.StateDead:
		case ok && (s.State == wire.Running || s.State == wire.Exited):
			e.adopt(c, s)
			claimed[s.ID] = true
			if c.box.endpoint != nil {
				endpoints = append(endpoints, *c.box.endpoint)
			}
		default:
			e.settle(c)
		}
	}
	e.background(func() { e.guard.Run(e.ctx) })
	e.net.Adopt(endpoints)
	// What ended since the first look was told before anybody knew of it.
	if h, err = e.keep().Hello(ctx); err != nil {
		return err
	}
	for _, s := range h.Containers {
		if _, ok := live[s.ID]; ok {
			live[s.ID] = s
		}
		e.endedExecs(s)
	}
	for id := range live {
		if !claimed[id] { // a standby, or made for a container that was never started
			_ = e.keep().End(ctx, id)
		}
	}
	if err := e.sweep(ctx, claimed); err != nil {
		return err
	}
	for _, c := range e.all() {
		if s, ok := live[c.record().ID]; ok && claimed[s.ID] && s.State == wire.Exited {
			e.background(func() { e.ended(c, *s.Exit) })
		} else if ok && claimed[s.ID] && len(s.Failed) > 0 {
			e.background(func() { e.servicesFailed(s) })
		}
	}
	e.startWanted()
	return nil
}

// adopt takes over a container that went on while silod was away.
func (e *Engine) adopt(c *Container, s wire.Status) {
	r := c.record()
	parent := r.HostConfig.CgroupParent
	if parent == "" {
		parent = e.cgroupParent()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	paused := c.st.State == container.StatePaused
	b := &sandbox{id: s.ID, dir: c.dir, first: r.FirstID, agent: s.Agent, session: s.Session, group: cgroup.New(e.cgroups, parent, s.ID), endpoint: c.st.Endpoint}
	var ep network.Endpoint // the state may not have been written before silod was killed
	if err := record.Read(endpointPath(c.dir), &ep); err == nil && ep.ID == s.ID {
		b.endpoint = &ep
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		e.log.Error("the record of an endpoint is damaged", "container", s.ID, "err", err)
	}
	c.box = b
	frozen, err := b.group.Frozen()
	if err != nil {
		frozen = paused
	}
	c.st.State = container.StateRunning
	if frozen {
		c.st.State = container.StatePaused
	}
	c.st.PID, c.st.Agent, c.st.Session, c.st.Started, c.st.Endpoint = s.PID, s.Agent, s.Session, s.Started.UTC(), b.endpoint
	c.st.ExitCode, c.st.Error = 0, "" // of the run before, or of a damaged record
	if b.endpoint != nil {
		e.net.SetNames(r.ID, b.endpoint.IP, knownNames(r)...)
	}
	e.adoptExecs(c, s)
	e.background(func() { e.startHealth(c) })
}

// adoptExecs takes over the further commands of a container.
func (e *Engine) adoptExecs(c *Container, s wire.Status) {
	e.mu.Lock()
	defer e.mu.Unlock()
	begun := make(chan struct{})
	close(begun)
	for _, x := range s.Execs {
		io := x.Stdio
		if len(x.Args) == 0 {
			continue
		}
		c.execIDs = append(c.execIDs, x.ID)
		e.execs[x.ID] = &execution{
			id: x.ID, c: c, pid: x.PID, ran: true, begun: begun, done: make(chan struct{}),
			req: container.ExecCreateRequest{Cmd: x.Args, User: x.User, Tty: io.TTY, AttachStdin: io.OpenStdin, AttachStdout: true, AttachStderr: true},
		}
	}
}

// endedExecs notes the ends of a container's execs.
func (e *Engine) endedExecs(s wire.Status) {
	for _, x := range s.Execs {
		if x.Exit != nil {
			e.execSeen(*x.Exit)
		}
	}
}

// settle notes that a container does not run.
func (e *Engine) settle(c *Container) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.st.State {
	case container.StateRunning, container.StatePaused:
		c.st.ExitCode, c.st.Error = 255, "it ended while silod was away: the host was restarted, or silo-keeper was killed"
		c.st.Finished = time.Now().UTC()
	case container.StateRestarting:
		c.again = true // whatever has decided that
	default:
		return
	}
	c.st.State, c.st.PID, c.st.Agent, c.st.Endpoint = container.StateExited, 0, 0, nil
	c.dirty = true
	e.background(func() { _ = c.flush() })
}

// sweep takes away what no record claims.
func (e *Engine) sweep(ctx context.Context, claimed map[string]bool) error {
	keep := map[string]bool{}
	for _, c := range e.all() {
		keep[c.record().ID] = true
	}
	removed, err := cgroup.Sweep(e.cgroups, e.cgroupParent(), claimed)
	if err != nil {
		e.log.Error("sweep cgroups", "err", err)
	}
	for _, c := range e.all() { // a parent that the user named is swept for this container only
		r := c.record()
		if parent := r.HostConfig.CgroupParent; parent != "" && !claimed[r.ID] {
			g := cgroup.New(e.cgroups, parent, r.ID)
			if err := errors.Join(g.Kill(), g.Destroy()); err != nil {
				e.log.Error("sweep cgroup", "container", r.ID, "err", err)
			}
		}
	}
	links, err := e.net.Sweep(ctx)
	if err != nil {
		e.log.Error("sweep network", "err", err)
	}
	entries, err := os.ReadDir(e.containersDir())
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if id := entry.Name(); !keep[id] {
			e.unmountShown(id)
			if err := os.RemoveAll(filepath.Join(e.containersDir(), id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				e.log.Error("sweep folder", "container", id, "err", err)
			}
			removed = append(removed, "folder "+id)
		}
	}
	if err := e.ids.claims.sweep(); err != nil {
		e.log.Error("sweep", "err", err)
	}
	if err := e.sweepDisks(claimed); err != nil {
		e.log.Error("sweep disks", "err", err)
	}
	if n := len(removed) + len(links); n > 0 {
		e.log.Info("swept what no record claims", "objects", n)
	}
	if _, err := e.layers.Sweep(e.images.IDs()); err != nil {
		e.log.Error("sweep bases", "err", err)
	}
	return nil
}

// sweepDisks detaches disks of containers that do not run. One that is shown
// on the host stays.
func (e *Engine) sweepDisks(claimed map[string]bool) error {
	list, err := disk.List(e.containersDir())
	if err != nil {
		return err
	}
	for _, d := range list {
		id := filepath.Base(filepath.Dir(d.Path))
		if claimed[id] || len(e.shown(id)) > 0 {
			continue
		}
		if err := disk.Detach(d); err != nil {
			e.log.Debug("detach", "device", d.Device, "err", err) // it goes by itself with its last user
		}
	}
	return nil
}

// startWanted starts the containers that their policy wants after a start of
// silod, and goes on restarting those that ended while it was away.
func (e *Engine) startWanted() {
	for _, c := range e.all() {
		r, st := c.record(), c.state()
		c.mu.Lock()
		again := c.again && !st.StoppedByUse
		c.mu.Unlock()
		if st.State != container.StateExited {
			continue
		}
		if r.HostConfig.AutoRemove {
			e.background(func() {
				if err := e.ContainerRemove(e.ctx, r.ID, RemoveOptions{Volumes: true}); err != nil {
					e.log.Error("remove container that ended while silod was away", "container", r.ID, "err", err)
				}
			})
			continue
		}
		switch p := r.HostConfig.RestartPolicy.Name; {
		case p == container.RestartPolicyAlways, p == container.RestartPolicyUnlessStopped && !st.StoppedByUse:
			e.background(func() {
				if err := e.ContainerStart(e.ctx, r.ID); err != nil {
					e.log.Error("start by restart policy", "container", r.ID, "err", err)
				}
			})
		case again, p == container.RestartPolicyOnFailure && !st.StoppedByUse:
			e.retry(c)
		}
	}
}

// retry goes on with the restarts of a container whose policy counts them.
func (e *Engine) retry(c *Container) {
	c.mu.Lock()
	wanted := e.restartWanted(c, c.st.ExitCode) && c.transition(container.StateRestarting) == nil
	c.mu.Unlock()
	if wanted {
		e.background(func() { e.restartLater(c) })
	}
}

// closeDescriptors drops what silod holds of a container.
func (c *Container) closeDescriptors() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.box.closeDescriptors()
}
