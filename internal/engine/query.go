package engine

import (
	"context"
	"net/netip"
	"os"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/storage"

	"silo/internal/disk"
	"silo/internal/errs"
	"silo/internal/filter"
	silonet "silo/internal/network"
)

// find names a container by name, id or a prefix of its id that no other has.
func (e *Engine) find(ref string) (*Container, error) {
	ref = strings.TrimPrefix(ref, "/")
	e.mu.Lock()
	defer e.mu.Unlock()
	if ref == "" {
		return nil, errs.Invalidf("no container named")
	}
	if c := e.containers[ref]; c != nil {
		return c, nil
	}
	if id := e.names[ref]; id != "" {
		return e.containers[id], nil
	}
	var found *Container
	for id, c := range e.containers {
		if strings.HasPrefix(id, ref) {
			if found != nil {
				return nil, errs.Invalidf("Multiple IDs found with provided prefix: %s", ref)
			}
			found = c
		}
	}
	if found == nil {
		return nil, errs.NotFoundf("No such container: %s", ref)
	}
	return found, nil
}

// Containers lists containers, newest first.
func (e *Engine) Containers(_ context.Context, o ListOptions) ([]container.Summary, error) {
	if err := o.Filters.Validate("ancestor", "before", "expose", "exited", "health", "id", "is-task", "isolation", "label", "label!", "name", "network", "publish", "since", "status", "volume"); err != nil {
		return nil, err
	}
	match, err := e.listFilter(o.Filters)
	if err != nil {
		return nil, err
	}
	all := e.all()
	sort.Slice(all, func(i, j int) bool { return all[i].record().Created.After(all[j].record().Created) })
	out := []container.Summary{}
	stopped := o.All || o.Limit > 0 || len(o.Filters["status"]) > 0 || len(o.Filters["exited"]) > 0
	for _, c := range all {
		r, st := c.record(), c.state()
		live := st.State == container.StateRunning || st.State == container.StatePaused || st.State == container.StateRestarting
		if !live && !stopped || !match(c, r, st) {
			continue
		}
		out = append(out, e.summary(c, r, st, o.Size))
		if o.Limit > 0 && len(out) == o.Limit {
			break
		}
	}
	return out, nil
}

// listFilter compiles the filters of a listing.
func (e *Engine) listFilter(f filter.Args) (func(*Container, *configRecord, stateRecord) bool, error) {
	var before, since time.Time
	for key, to := range map[string]*time.Time{"before": &before, "since": &since} {
		for _, ref := range f[key] {
			c, err := e.find(ref)
			if err != nil {
				return nil, err
			}
			*to = c.record().Created
		}
	}
	ancestors := map[string]bool{}
	for _, ref := range f["ancestor"] {
		if img, err := e.images.Resolve(ref); err == nil {
			ancestors[img.ID] = true
		}
	}
	for _, s := range f["exited"] {
		if _, err := strconv.Atoi(s); err != nil {
			return nil, errs.Invalidf("invalid filter 'exited=%s'", s)
		}
	}
	for _, s := range f["health"] {
		if container.ValidateHealthStatus(container.HealthStatus(s)) != nil {
			return nil, errs.Invalidf("invalid filter 'health=%s'", s)
		}
	}
	matchPorts, err := portFilter(f)
	if err != nil {
		return nil, err
	}
	task, err := f.Bool("is-task", false)
	if err != nil {
		return nil, err
	}
	for _, s := range f["status"] {
		if container.ValidateContainerState(container.ContainerState(s)) != nil {
			return nil, errs.Invalidf("invalid filter 'status=%s'", s)
		}
	}
	return func(c *Container, r *configRecord, st stateRecord) bool {
		if task { // of a cluster, and there is none
			return false
		}
		if !before.IsZero() && !r.Created.Before(before) || !since.IsZero() && !r.Created.After(since) {
			return false
		}
		if len(f["ancestor"]) > 0 && !ancestors[r.ImageID] {
			return false
		}
		if len(f["exited"]) > 0 && (st.State != container.StateExited || !f.Exact("exited", strconv.Itoa(st.ExitCode))) {
			return false
		}
		return f.Exact("status", string(st.State)) && f.Prefix("id", r.ID) && f.Name("name", r.Name) && f.Labels(r.Config.Labels) &&
			f.Exact("isolation", string(r.HostConfig.Isolation)) && f.Exact("health", string(c.healthStatus())) &&
			e.onNetwork(f, r) && anyMatch(f, "volume", volumeNames(r)) && matchPorts(r, st)
	}, nil
}

func anyMatch(f filter.Args, key string, have []string) bool {
	return len(f[key]) == 0 || slices.ContainsFunc(have, func(s string) bool { return f.Exact(key, s) })
}

func volumeNames(r *configRecord) (out []string) {
	for _, m := range r.Mounts {
		out = append(out, m.Name, m.Source, m.Target)
	}
	return out
}

// shownCommand is a command as one line, quoted as Docker does.
func shownCommand(args []string) string {
	shown := slices.Clone(args)
	for i, arg := range shown {
		if i > 0 && strings.Contains(arg, " ") {
			shown[i] = "'" + arg + "'"
		}
	}
	return strings.Join(shown, " ")
}

func (e *Engine) summary(c *Container, r *configRecord, st stateRecord, size bool) container.Summary {
	args := slices.Concat(r.Config.Entrypoint, r.Config.Cmd)
	s := container.Summary{
		ID: r.ID, Names: []string{"/" + r.Name}, Image: r.ImageName, ImageID: r.ImageID, Command: shownCommand(args), Created: r.Created.Unix(),
		Labels: r.Config.Labels, State: st.State, Status: c.status(st), Ports: ports(r, st), Mounts: mountPoints(r),
		NetworkSettings: &container.NetworkSettingsSummary{Networks: e.networks(r, st)},
	}
	s.HostConfig.NetworkMode = string(r.HostConfig.NetworkMode)
	s.HostConfig.Annotations = r.HostConfig.Annotations
	c.mu.Lock()
	if c.health != nil {
		s.Health = &container.HealthSummary{Status: c.health.h.Status, FailingStreak: c.health.h.FailingStreak}
	}
	c.mu.Unlock()
	if size {
		s.SizeRw, s.SizeRootFs = c.sizes()
	}
	return s
}

// status is the words of `ps`: "Up 2 minutes (healthy)".
func (c *Container) status(st stateRecord) string {
	ago := func(t time.Time) string { return units.HumanDuration(time.Since(t)) }
	switch st.State {
	case container.StateRunning, container.StatePaused:
		s := "Up " + ago(st.Started)
		if st.State == container.StatePaused {
			return s + " (Paused)"
		}
		switch h := c.healthStatus(); h {
		case container.NoHealthcheck:
		case container.Starting:
			s += " (health: starting)"
		default:
			s += " (" + string(h) + ")"
		}
		return s
	case container.StateRestarting:
		return "Restarting (" + strconv.Itoa(st.ExitCode) + ") " + ago(st.Finished) + " ago"
	case container.StateExited:
		return "Exited (" + strconv.Itoa(st.ExitCode) + ") " + ago(st.Finished) + " ago"
	case container.StateRemoving:
		return "Removal In Progress"
	case container.StateDead:
		return "Dead"
	}
	return "Created"
}

// ports lists the ports of a container that is on the network now.
func ports(r *configRecord, st stateRecord) []container.PortSummary {
	out := []container.PortSummary{}
	done := map[string]bool{}
	if st.Endpoint != nil {
		for _, p := range st.Endpoint.Ports {
			ip := p.HostIP
			if !ip.IsValid() {
				ip = netip.IPv4Unspecified()
			}
			out = append(out, container.PortSummary{IP: ip, PrivatePort: p.ContainerPort, PublicPort: p.HostPort, Type: p.Proto})
			done[strconv.Itoa(int(p.ContainerPort))+"/"+p.Proto] = true
		}
	}
	for p := range r.Config.ExposedPorts {
		if st.Endpoint != nil && !done[p.String()] {
			out = append(out, container.PortSummary{PrivatePort: p.Num(), Type: string(p.Proto())})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].PrivatePort < out[j].PrivatePort })
	return out
}

// mountAsked tells whether --mount asks for something at target.
func mountAsked(r *configRecord, target string) bool {
	return slices.ContainsFunc(r.HostConfig.Mounts, func(m mount.Mount) bool { return path.Clean(m.Target) == target })
}

func mountPoints(r *configRecord) []container.MountPoint {
	out := []container.MountPoint{}
	for _, m := range r.Mounts {
		if m.Type == "tmpfs" && !mountAsked(r, m.Target) {
			continue // of --tmpfs: HostConfig.Tmpfs shows it
		}
		p := container.MountPoint{Type: mount.Type(m.Type), Name: m.Name, Source: m.Source, Destination: m.Target, Mode: m.Mode, RW: !m.ReadOnly}
		if m.Type == "volume" {
			p.Driver = "local"
		}
		if m.Type == "bind" {
			p.Propagation = mount.PropagationRPrivate
		}
		out = append(out, p)
	}
	return out
}

func (e *Engine) networks(r *configRecord, st stateRecord) map[string]*network.EndpointSettings {
	mode := string(r.HostConfig.NetworkMode)
	switch {
	case mode == "nat":
	case mode == "host" || mode == "none":
		return map[string]*network.EndpointSettings{mode: {NetworkID: e.networkID(mode)}}
	default:
		return map[string]*network.EndpointSettings{}
	}
	s := &network.EndpointSettings{NetworkID: e.networkID("nat"), Aliases: r.Aliases, DNSNames: knownNames(r)}
	if r.IP != "" {
		if ip, err := netip.ParseAddr(r.IP); err == nil {
			s.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: ip}
		}
	}
	if ep := st.Endpoint; ep != nil {
		s.EndpointID, s.Gateway, s.IPAddress, s.IPPrefixLen = endpointID(*ep), ep.Gateway, ep.IP, ep.Bits
		_ = s.MacAddress.UnmarshalText([]byte(ep.MAC))
	}
	return map[string]*network.EndpointSettings{"nat": s}
}

// endpointID gives an endpoint the 64 digits that the API wants: its host
// interface and its container, which are unique.
func endpointID(ep silonet.Endpoint) string { return digestHex("endpoint " + ep.HostIf + " " + ep.ID) }

// ContainerInspect shows all of one container.
func (e *Engine) ContainerInspect(_ context.Context, ref string, size bool) (container.InspectResponse, error) {
	c, err := e.find(ref)
	if err != nil {
		return container.InspectResponse{}, err
	}
	r, st := c.record(), c.state()
	args := slices.Concat(r.Config.Entrypoint, r.Config.Cmd)
	out := container.InspectResponse{
		ID: r.ID, Created: r.Created.Format(time.RFC3339Nano), Image: r.ImageID, LogPath: c.logPath(), Name: "/" + r.Name,
		RestartCount: st.Restarts, Driver: "silo", Platform: "linux", HostConfig: shownHostConfig(r), Config: c.shownConfig(r), Mounts: mountPoints(r), State: c.shownState(st),
		GraphDriver: &storage.DriverData{Name: "silo", Data: e.layerData(c, r, st)}, ExecIDs: e.execIDs(c),
		NetworkSettings: &container.NetworkSettings{Networks: e.networks(r, st), Ports: portMap(r, st)},
	}
	if len(args) > 0 {
		out.Path, out.Args = args[0], args[1:]
	}
	if out.Args == nil {
		out.Args = []string{}
	}
	if st.Endpoint != nil {
		out.NetworkSettings.SandboxID = digestHex("sandbox " + r.ID)
		out.NetworkSettings.SandboxKey = "/proc/" + strconv.Itoa(st.Agent) + "/ns/net"
	}
	if r.HostConfig.LogConfig.Type == "none" {
		out.LogPath = ""
	}
	if size {
		rw, root := c.sizes()
		out.SizeRw, out.SizeRootFs = &rw, &root
	}
	return out, nil
}

func (c *Container) shownConfig(r *configRecord) *container.Config {
	cfg := *r.Config
	if cfg.Hostname == "" && len(r.ID) >= 12 && r.HostConfig.UTSMode != "host" {
		cfg.Hostname = r.ID[:12]
	}
	return &cfg
}

// shownHostConfig is what was asked for, with what is in force where nothing
// was.
func shownHostConfig(r *configRecord) *container.HostConfig {
	h := *r.HostConfig
	if sec, err := securityOptions(&h); err == nil {
		masked, readOnly := protection(&h, sec)
		h.MaskedPaths, h.ReadonlyPaths = append([]string{}, masked...), append([]string{}, readOnly...) // empty, not null
	}
	if h.Memory > 0 && h.MemorySwap == 0 {
		h.MemorySwap = 2 * h.Memory
	}
	if h.MemorySwappiness != nil && *h.MemorySwappiness == -1 {
		h.MemorySwappiness = nil // what it means
	}
	if h.CgroupnsMode == "" {
		h.CgroupnsMode = container.CgroupnsModePrivate
	}
	return &h
}

func (c *Container) shownState(st stateRecord) *container.State {
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return "0001-01-01T00:00:00Z"
		}
		return t.Format(time.RFC3339Nano)
	}
	running := map[container.ContainerState]bool{container.StateRunning: true, container.StatePaused: true, container.StateRestarting: true} // Docker's word for all that rm refuses
	s := &container.State{
		Status: st.State, Running: running[st.State], Paused: st.State == container.StatePaused,
		Restarting: st.State == container.StateRestarting, OOMKilled: st.OOMKilled, Dead: st.State == container.StateDead, Pid: st.PID, ExitCode: st.ExitCode,
		Error: st.Error, StartedAt: stamp(st.Started), FinishedAt: stamp(st.Finished),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.health != nil {
		h := c.health.h
		h.Log = slices.Clone(h.Log)
		s.Health = &h
	}
	return s
}

// portMap shows the ports of a container that is on the network now.
func portMap(r *configRecord, st stateRecord) network.PortMap {
	out := network.PortMap{}
	if st.Endpoint == nil {
		return out
	}
	for p := range r.Config.ExposedPorts {
		out[p] = nil
	}
	for _, m := range st.Endpoint.Ports {
		p, err := network.ParsePort(strconv.Itoa(int(m.ContainerPort)) + "/" + m.Proto)
		if err != nil {
			continue
		}
		ip := m.HostIP
		if !ip.IsValid() {
			ip = netip.IPv4Unspecified()
		}
		out[p] = append(out[p], network.PortBinding{HostIP: ip, HostPort: strconv.Itoa(int(m.HostPort))})
	}
	return out
}

// layerData is what inspect tells of a container's place on the host.
func (e *Engine) layerData(c *Container, r *configRecord, st stateRecord) map[string]string {
	data := map[string]string{
		"dir": c.dir, "disk": c.dir + "/sandbox.vhdx", "layerchain": c.dir + "/layerchain.json",
		"session": strconv.FormatUint(uint64(st.Session), 10), "ids": strconv.FormatUint(uint64(r.FirstID), 10) + ":" + strconv.Itoa(rangeSize),
	}
	if base, err := e.layers.Base(r.ImageID); err == nil {
		data["base"] = base.Path
	}
	if dev := e.deviceOf(c); dev != "" {
		data["device"] = dev
	}
	return data
}

// deviceOf finds the loop device that serves a container's disk.
func (e *Engine) deviceOf(c *Container) string {
	list, err := disk.List(c.dir)
	if err != nil || len(list) == 0 {
		return ""
	}
	return list[0].Device
}

// execIDs are a container's execs that have not ended.
func (e *Engine) execIDs(c *Container) (out []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range c.execIDs {
		if x := e.execs[id]; x != nil && !x.hasEnded() {
			out = append(out, id)
		}
	}
	sort.Strings(out)
	return out
}

// sizes gives what a container has written, on the host, and that with its
// image.
func (c *Container) sizes() (rw, root int64) {
	rw, _ = c.diskUse()
	root = rw
	if base, err := c.e.layers.Base(c.record().ImageID); err == nil {
		root += base.Size
	}
	return rw, root
}

func (c *Container) diskUse() (int64, error) {
	allocated, _, err := disk.Usage(c.dir + "/sandbox.vhdx")
	return allocated, err
}

// treeSize sums what a folder takes on the host.
func treeSize(dir string) (n int64) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			n += treeSize(path.Join(dir, e.Name()))
		} else if info, err := e.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}

// ContainerLogs says where output is kept.
func (e *Engine) ContainerLogs(_ context.Context, ref string) (LogSource, error) {
	c, err := e.find(ref)
	if err != nil {
		return LogSource{}, err
	}
	r, st := c.record(), c.state()
	if r.HostConfig.LogConfig.Type == "none" {
		return LogSource{}, errs.New(errs.NotSupported, "configured logging driver does not support reading")
	}
	c.mu.Lock()
	done := c.exited
	c.mu.Unlock()
	if st.State != container.StateRunning && st.State != container.StatePaused && st.State != container.StateRestarting {
		ended := make(chan struct{})
		close(ended)
		done = ended
	}
	return LogSource{Path: c.logPath(), TTY: r.Config.Tty, Done: done, Created: r.Created}, nil
}
