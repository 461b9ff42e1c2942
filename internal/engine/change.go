package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"silo/internal/errs"
	"silo/internal/filter"
	"silo/internal/linux"
	"silo/internal/logfile"
)

// ContainerRename gives a container another name.
func (e *Engine) ContainerRename(ctx context.Context, ref, name string) error {
	name = strings.TrimPrefix(name, "/")
	if err := checkName(name); err != nil {
		return err
	}
	c, err := e.find(ref)
	if err != nil {
		return err
	}
	if !c.lock(ctx.Done()) {
		return ctx.Err()
	}
	defer c.unlock()
	if err := c.changeable(ref); err != nil {
		return err
	}
	old := c.record()
	e.mu.Lock()
	if other := e.names[name]; other != "" {
		e.mu.Unlock()
		if other == old.ID {
			return errs.Invalidf("renaming a container with the same name as its current name")
		}
		return errs.Conflictf("Conflict. The container name \"/%s\" is already in use by container \"%s\". You have to remove (or rename) that container to be able to reuse that name.", name, other)
	}
	e.names[name] = old.ID
	e.mu.Unlock()
	next := *old
	next.Name = name
	err = c.writeConfig(&next)
	e.mu.Lock()
	if err != nil {
		delete(e.names, name)
	} else {
		delete(e.names, old.Name)
	}
	e.mu.Unlock()
	if err != nil {
		return err
	}
	if ep := c.state().Endpoint; ep != nil {
		e.net.SetNames(next.ID, ep.IP, knownNames(&next)...)
	}
	e.emit(c, events.ActionRename, map[string]string{"oldName": "/" + old.Name})
	return nil
}

// changeable refuses a container that was removed while the lock of its life
// was waited for, and one whose record is damaged. The caller holds the lock.
func (c *Container) changeable(ref string) error {
	switch c.state().State {
	case container.StateRemoving:
		return errs.NotFoundf("No such container: %s", ref)
	case container.StateDead:
		return errs.Conflictf("container %s is broken: %s", ref, c.broken())
	}
	return nil
}

// checkUpdate refuses what an update cannot change.
func checkUpdate(u container.UpdateConfig) error {
	for _, x := range []struct {
		set  bool
		name string
	}{
		{len(u.Ulimits) > 0, "Ulimits"},
		{len(u.Devices) > 0, "Devices"},
		{u.CgroupParent != "", "CgroupParent"},
	} {
		if x.set {
			return errs.Invalidf("update: %s cannot be changed: make a new container", x.name)
		}
	}
	return checkUnsupported(&container.HostConfig{Resources: u.Resources})
}

// ContainerUpdate changes limits and the restart policy, live.
func (e *Engine) ContainerUpdate(ctx context.Context, ref string, u container.UpdateConfig) (container.UpdateResponse, error) {
	none := container.UpdateResponse{Warnings: []string{}}
	if err := checkUpdate(u); err != nil {
		return none, err
	}
	c, err := e.find(ref)
	if err != nil {
		return none, err
	}
	if !c.lock(ctx.Done()) {
		return none, ctx.Err()
	}
	defer c.unlock()
	if err := c.changeable(ref); err != nil {
		return none, err
	}
	old := c.record()
	host := *old.HostConfig
	if u.RestartPolicy.Name != "" {
		if err := container.ValidateRestartPolicy(u.RestartPolicy); err != nil {
			return none, errs.Invalidf("%v", err)
		}
		if host.AutoRemove && !u.RestartPolicy.IsNone() {
			return none, errs.Conflictf("Restart policy cannot be updated because AutoRemove is enabled for the container")
		}
		host.RestartPolicy = u.RestartPolicy
	}
	mergeResources(&host.Resources, u.Resources)
	limits := resources(&host)
	if err := limits.Validate(e.cgroups); err != nil {
		return none, err
	}
	c.mu.Lock()
	b := c.box
	c.mu.Unlock()
	if b != nil {
		w, err := b.group.Set(withAgent(resources(&container.HostConfig{Resources: mergedOnly(host.Resources, u.Resources)})))
		if err != nil {
			return none, err
		}
		none.Warnings = append(none.Warnings, w...)
	}
	next := *old
	next.HostConfig = &host
	if err := c.writeConfig(&next); err != nil {
		return none, err
	}
	e.emit(c, events.ActionUpdate, nil)
	return none, nil
}

// mergeResources lets what is set in u replace what is in r.
func mergeResources(r *container.Resources, u container.Resources) {
	for _, f := range []struct{ to, from *int64 }{
		{&r.Memory, &u.Memory},
		{&r.MemorySwap, &u.MemorySwap},
		{&r.MemoryReservation, &u.MemoryReservation},
		{&r.NanoCPUs, &u.NanoCPUs},
		{&r.CPUQuota, &u.CPUQuota},
		{&r.CPUPeriod, &u.CPUPeriod},
		{&r.CPUShares, &u.CPUShares},
	} {
		if *f.from != 0 {
			*f.to = *f.from
		}
	}
	if u.NanoCPUs != 0 {
		r.CPUQuota, r.CPUPeriod = 0, 0
	} else if u.CPUQuota != 0 || u.CPUPeriod != 0 {
		r.NanoCPUs = 0
	}
	if u.CpusetCpus != "" {
		r.CpusetCpus = u.CpusetCpus
	}
	if u.CpusetMems != "" {
		r.CpusetMems = u.CpusetMems
	}
	if u.PidsLimit != nil {
		r.PidsLimit = u.PidsLimit
	}
}

// mergedOnly gives the merged limits of those kinds that u touches; memory
// and swap go together.
func mergedOnly(merged, u container.Resources) (out container.Resources) {
	if u.Memory != 0 || u.MemorySwap != 0 {
		out.Memory, out.MemorySwap = merged.Memory, merged.MemorySwap
	}
	if u.NanoCPUs != 0 || u.CPUQuota != 0 || u.CPUPeriod != 0 {
		out.NanoCPUs, out.CPUQuota, out.CPUPeriod = merged.NanoCPUs, merged.CPUQuota, merged.CPUPeriod
	}
	out.MemoryReservation, out.CPUShares = u.MemoryReservation, u.CPUShares
	out.CpusetCpus, out.CpusetMems, out.PidsLimit = u.CpusetCpus, u.CpusetMems, u.PidsLimit
	return out
}

// ContainerPause freezes a container's processes.
func (e *Engine) ContainerPause(ctx context.Context, ref string) error {
	return e.freeze(ctx, ref, container.StatePaused, events.ActionPause)
}

// ContainerUnpause lets them go on.
func (e *Engine) ContainerUnpause(ctx context.Context, ref string) error {
	return e.freeze(ctx, ref, container.StateRunning, events.ActionUnPause)
}

func (e *Engine) freeze(ctx context.Context, ref string, to container.ContainerState, action events.Action) error {
	c, err := e.find(ref)
	if err != nil {
		return err
	}
	if !c.lock(ctx.Done()) {
		return ctx.Err()
	}
	defer c.unlock()
	st := c.state()
	switch {
	case to == container.StatePaused && st.State == container.StatePaused:
		return errs.Conflictf("container %s is already paused", ref)
	case to == container.StatePaused && st.State != container.StateRunning:
		return errs.Conflictf("container %s is not running", ref)
	case to == container.StateRunning && st.State != container.StatePaused:
		return errs.Conflictf("container %s is not paused", ref)
	}
	c.mu.Lock()
	b := c.box
	c.mu.Unlock()
	if b == nil {
		return errs.Conflictf("container %s is not running", ref)
	}
	if to == container.StatePaused {
		err = b.group.Freeze()
	} else {
		err = b.group.Thaw()
	}
	if err != nil {
		return err
	}
	c.mu.Lock()
	err = c.transition(to)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.saveState()
	e.emit(c, action, nil)
	return nil
}

// replay sends what a container wrote before to a client.
func (e *Engine) replay(ctx context.Context, c *Container, fd *linux.FD, o AttachOptions) error {
	r, err := logfile.NewReader(c.logPath(), logfile.ReadOptions{Tail: -1})
	if err != nil {
		return err
	}
	defer r.Close()
	mux := !c.record().Config.Tty
	for {
		rec, err := r.Next(ctx)
		if err != nil {
			return nil //nolint:nilerr // the end of the log, or of the client
		}
		if rec.Stream == "stdout" && !o.Stdout || rec.Stream == "stderr" && !o.Stderr {
			continue
		}
		if err := writeFrame(fd, mux, rec.Stream, rec.Line); err != nil {
			return err
		}
	}
}

// writeFrame writes output to a client as the keeper would.
func writeFrame(fd *linux.FD, mux bool, stream string, data []byte) error {
	code := byte(1)
	if stream == "stderr" {
		code = 2
	}
	if mux {
		n := len(data)
		data = append([]byte{code, 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, data...)
	}
	return linux.WriteFull(fd, data)
}

func writeError(fd *linux.FD, mux bool, text string) { _ = writeFrame(fd, mux, "stdout", []byte(text)) }

// untilFilter reads the filter until: a time, or a duration before now.
func untilFilter(f filter.Args) (time.Time, error) {
	list := f["until"]
	if len(list) == 0 {
		return time.Time{}, nil
	}
	if len(list) > 1 {
		return time.Time{}, errs.Invalidf("more than one until filter specified")
	}
	if d, err := time.ParseDuration(list[0]); err == nil {
		return time.Now().Add(-d), nil
	}
	if n, err := strconv.ParseFloat(list[0], 64); err == nil {
		return time.Unix(0, int64(n*1e9)), nil
	}
	for _, form := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02"} {
		if t, err := time.ParseInLocation(form, list[0], time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errs.Invalidf("invalid filter 'until=%s': give a time or a duration", list[0])
}

func digestHex(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func itoa(n int) string { return strconv.Itoa(n) }
