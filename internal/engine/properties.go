package engine

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/moby/moby/api/types/container"

	"silo/api"
	agent "silo/internal/agent/wire"
	"silo/internal/disk"
	"silo/internal/errs"
	"silo/internal/facts"
	"silo/internal/linux"
	"silo/internal/property"
)

// rootTimeout bounds how long silod waits for a file system that a container
// may serve by itself.
const rootTimeout = 2 * time.Second

// Properties compares what can be observed of a container from inside and
// from the host.
func (e *Engine) Properties(ctx context.Context, ref string) (api.Properties, error) {
	c, err := e.find(ref)
	if err != nil {
		return api.Properties{}, err
	}
	r, st := c.record(), c.state()
	if st.State == container.StateDead {
		return api.Properties{}, errs.Conflictf("container %s is broken: %s", r.Name, c.broken())
	}
	c.reading.Lock()
	defer c.reading.Unlock()
	live := st.State == container.StateRunning || st.State == container.StatePaused
	var earlier []facts.Process
	since := facts.Uptime()
	if live {
		earlier = e.hostProcesses(c, st)
	}
	beside := make(chan *property.Outside, 1)
	go func() { // most of the outside does not have to wait for the inside
		o := e.outside(c, r, st)
		if live {
			e.outsideLive(c, r, st, o, earlier)
		} else {
			e.outsideStopped(ctx, c, r, o)
		}
		beside <- o
	}()
	in, why := e.insideOf(ctx, c, r, st)
	out := <-beside
	out.Earlier, out.Since = earlier, since
	if live {
		out.Processes = e.hostProcessesAfter(c, st, earlier, in)
		addEnded(out, in)
	}
	p := property.Evaluate(in, why, out)
	p.Container, p.Name, p.State, p.At, p.Isolation = r.ID, r.Name, string(st.State), time.Now(), "process"
	if r.PID {
		p.Isolation = "pid"
	}
	return p, nil
}

// insideOf reads the inside, or says why it cannot be read.
func (e *Engine) insideOf(ctx context.Context, c *Container, r *configRecord, st stateRecord) (*facts.Facts, string) {
	switch st.State {
	case container.StatePaused:
		return nil, "the container is paused: nothing can run inside"
	case container.StateRunning:
		in, err := e.readInside(ctx, c, r)
		if err != nil {
			return nil, err.Error()
		}
		return in, ""
	}
	return nil, "the container is not running"
}

// outside is what records tell, whether the container runs or not.
func (e *Engine) outside(c *Container, r *configRecord, st stateRecord) *property.Outside {
	h := r.HostConfig
	o := &property.Outside{
		Running: st.State == container.StateRunning, Paused: st.State == container.StatePaused, PIDs: r.PID, HostPIDs: h.PidMode == "host", Main: st.PID, Agent: st.Agent, Session: st.Session,
		Hostname: hostname(r), Terminal: r.Config.Tty, User: r.Config.User, FirstID: r.FirstID, IDs: rangeSize, Network: string(h.NetworkMode),
		Args: slices.Concat(r.Config.Entrypoint, r.Config.Cmd), Removed: h.AutoRemove,
		SetMemory: h.Memory, SetCPUs: float64(h.NanoCPUs) / 1e9, AgentTasks: agent.Threads, Account: hostAccounts(),
	}
	if h.CPUQuota > 0 && h.CPUPeriod > 0 {
		o.SetCPUs = float64(h.CPUQuota) / float64(h.CPUPeriod)
	}
	if h.PidsLimit != nil && *h.PidsLimit > 0 {
		o.SetPids = *h.PidsLimit
	}
	if o.Network == "nat" {
		o.Subnet, o.Gateway = e.net.Subnet().String(), e.net.Gateway().String()
	}
	o.IP, o.MAC = r.IP, r.MAC // as asked for; "" leaves it to each start
	if ep := st.Endpoint; ep != nil {
		o.IP, o.MAC = ep.IP.String(), ep.MAC
		for _, p := range ep.Ports {
			ip := "0.0.0.0"
			if p.HostIP.IsValid() {
				ip = p.HostIP.String()
			}
			o.Published = append(o.Published, property.Published{Protocol: p.Proto, HostIP: ip, HostPort: p.HostPort, ContainerPort: p.ContainerPort})
		}
	}
	o.Chain, o.Disk = e.chainOf(c, r), e.diskOf(c, r)
	o.ReadMachine("/proc", "/sys")
	counts, _ := sessionCounts()
	o.HostSession = counts[0]
	return o
}

// hostAccounts gives the names of the host's accounts by id.
func hostAccounts() func(uint32) string {
	var host facts.Facts
	host.ReadRoot(facts.OwnRoot(), nil)
	names := map[uint32]string{}
	for _, u := range host.Users {
		if names[u.UID] == "" {
			names[u.UID] = u.Name
		}
	}
	return func(uid uint32) string { return names[uid] }
}

// chainOf lists the layers of a container, nearest first.
func (e *Engine) chainOf(c *Container, r *configRecord) (out []api.Layer) {
	var paths []string
	data, err := os.ReadFile(filepath.Join(c.dir, "layerchain.json"))
	if err != nil || json.Unmarshal(data, &paths) != nil {
		return nil
	}
	for _, p := range paths {
		out = append(out, api.Layer{Path: p, Size: treeSize(p)})
	}
	if base, err := e.layers.Base(r.ImageID); err == nil {
		out = append(out, api.Layer{Path: base.Path, Size: base.Size, Base: true})
	}
	return out
}

func (e *Engine) diskOf(c *Container, r *configRecord) api.Disk {
	d := api.Disk{Container: r.ID, Name: r.Name, Path: filepath.Join(c.dir, "sandbox.vhdx")}
	allocated, _, err := disk.Usage(d.Path)
	if err != nil {
		return api.Disk{}
	}
	d.Allocated, d.Size, d.Device, d.Mounts = allocated, r.DiskSize, e.deviceOf(c), e.shown(r.ID)
	return d
}

// hostProcesses lists a container's processes but its agent, as the host sees
// them: those in its control group.
func (e *Engine) hostProcesses(c *Container, st stateRecord) []facts.Process {
	list, _ := facts.Processes("/proc", e.hostPIDs(c, st))
	return list
}

// hostProcessesAfter is hostProcesses once the inside has been read. One that
// is as the inside says, and was so before, is not read again.
func (e *Engine) hostProcessesAfter(c *Container, st stateRecord, earlier []facts.Process, in *facts.Facts) (out []facts.Process) {
	type look struct{ name, executable string }
	inside := map[int]look{}
	if in != nil {
		for _, p := range in.Processes {
			inside[p.PID] = look{p.Name, p.Executable}
		}
	}
	before := map[int]facts.Process{}
	for _, p := range earlier {
		number := p.PID
		if c.record().PID {
			number = p.Inner
		}
		if in == nil || inside[number] == (look{p.Name, p.Executable}) {
			before[p.PID] = p
		}
	}
	for _, pid := range e.hostPIDs(c, st) {
		if p, ok := before[pid]; ok {
			out = append(out, p)
		} else if p, ok := facts.ReadProcess("/proc", pid); ok && len(out) < facts.MaxProcesses {
			out = append(out, p)
		}
	}
	return out
}

// addEnded looks for the processes that only the inside names: the control
// group holds none that has ended and waits for its parent, and one that is gone
// by now proves nothing.
func addEnded(o *property.Outside, in *facts.Facts) {
	if in == nil || o.HostPIDs {
		return
	}
	have := map[int]bool{}
	for _, p := range slices.Concat(o.Processes, o.Earlier) {
		have[o.Number(&p)] = true
	}
	var zombies map[int]facts.Process // of its session, by their number inside
	o.Ended = map[int]bool{}
	for _, p := range in.Processes {
		if have[p.PID] || p.PID == o.Agent && !o.PIDs {
			continue
		}
		seen, there := facts.Process{}, false
		if o.PIDs {
			if zombies == nil {
				zombies = map[int]facts.Process{}
				for _, z := range sessionProcesses(o.Session) {
					zombies[z.Inner] = z
				}
			}
			seen, there = zombies[p.PID]
		} else {
			seen, there = facts.ReadProcess("/proc", p.PID)
		}
		if o.Ended[p.PID] = !there; there && seen.State == "Z" && o.Owns(&seen) {
			o.Processes = append(o.Processes, seen)
		}
	}
}

// hostPIDs are the numbers of a container's processes but its agent's.
func (e *Engine) hostPIDs(c *Container, st stateRecord) []int {
	c.mu.Lock()
	b := c.box
	c.mu.Unlock()
	if b == nil || b.group == nil {
		return []int{}
	}
	pids, err := b.group.Procs()
	if err != nil {
		return []int{}
	}
	pids = slices.DeleteFunc(pids, func(p int) bool { return p == st.Agent })
	slices.Sort(pids)
	return append([]int{}, pids...) // none is not all
}

// outsideLive adds what the host sees of a running container but its
// processes, which are given: its namespaces, root folder, ports, limits.
func (e *Engine) outsideLive(c *Container, r *configRecord, st stateRecord, o *property.Outside, processes []facts.Process) {
	list, err := e.services(c)
	takeServices(o, list, err)
	pids := make([]int, len(processes))
	for i, p := range processes {
		pids[i] = p.PID
	}
	agent := "/proc/" + strconv.Itoa(st.Agent)
	o.Problems = map[string]string{}
	process, err := linux.PidfdOpen(st.Agent)
	if err == nil {
		err = linux.InHostAndNetworkOf(process, func() {
			o.ReadHostname()
			o.ReadNetwork()
			o.ReadPorts(agent+"/net", "/proc", pids, linux.TCPListeners)
		})
		process.Close()
	}
	if err != nil {
		o.Problems["hostname"], o.Problems["network"], o.Problems["ports"] = err.Error(), err.Error(), err.Error()
	}
	readRoot(&o.Facts, agent+"/root", r.Config.Env)
	c.mu.Lock()
	b := c.box
	c.mu.Unlock()
	if b != nil && b.group != nil {
		l := b.group.Limits()
		o.Limits = facts.Limits{Memory: l.Memory, CPUs: l.CPUs, CPUSet: l.CPUSet, Processes: l.Processes}
		o.Cgroup = b.group.Path()
		if s, err := b.group.Stats(); err == nil {
			o.CPU, o.Memory = int64(s.CPU.Total/1e6), int64(s.Memory.Usage)
		}
	}
	o.Limits.Namespaces = facts.Namespaces("/proc/" + strconv.Itoa(st.PID))
}

// readRoot reads a container's files from outside; one that does not answer
// in time is given up.
func readRoot(f *facts.Facts, path string, env []string) {
	done := make(chan facts.Facts, 1)
	go func() {
		var got facts.Facts
		dir, err := linux.Open(path, linux.OPath|linux.ODirectory, 0)
		if err != nil {
			got.Problems = map[string]string{"os": err.Error(), "users": err.Error(), "timezone": err.Error(), "dns": err.Error(), "disk": err.Error()}
		} else {
			defer dir.Close()
			got.ReadRoot(facts.RootAt(dir), env)
			got.ReadDisk(dir.Path())
		}
		done <- got
	}()
	var got facts.Facts
	select {
	case got = <-done:
	case <-time.After(rootTimeout):
		why := "its file system does not answer"
		got.Problems = map[string]string{"os": why, "users": why, "timezone": why, "dns": why, "disk": why, "hostname-file": why}
	}
	takeRoot(f, &got)
}

// takeRoot moves what ReadRoot and ReadDisk fill in.
func takeRoot(f, got *facts.Facts) {
	f.System.OS, f.System.Release, f.System.Language, f.System.TimeZone = got.System.OS, got.System.Release, got.System.Language, got.System.TimeZone
	f.System.HostnameFile, f.Users, f.Disk, f.Network.Nameservers = got.System.HostnameFile, got.Users, got.Disk, got.Network.Nameservers
	f.Truncated = f.Truncated || got.Truncated
	for k, v := range got.Problems {
		if f.Problems == nil {
			f.Problems = map[string]string{}
		}
		f.Problems[k] = v
	}
}

// outsideStopped reads the files of a container that does not run.
func (e *Engine) outsideStopped(ctx context.Context, c *Container, r *configRecord, o *property.Outside) {
	why := "the container is being changed"
	if c.lockSoon() {
		defer c.unlock()
		m, err := e.rootOf(ctx, c)
		if err == nil {
			defer m.Close()
			o.ReadRoot(facts.RootAt(m), r.Config.Env)
			return
		}
		why = err.Error()
	}
	o.Problems = map[string]string{"os": why, "users": why, "timezone": why, "dns": why}
}

// lockSoon is lock for who has something else to say if the right stays taken.
func (c *Container) lockSoon() bool {
	late := make(chan struct{})
	timer := time.AfterFunc(rootTimeout, func() { close(late) })
	defer timer.Stop()
	return c.lock(late)
}

// takeServices takes in what the agent has answered.
func takeServices(o *property.Outside, list []facts.Service, err error) {
	switch {
	case errs.Is(err, errs.NotSupported): // an agent that supervises none
	case err != nil:
		o.ServicesWhy = err.Error()
	default:
		o.Services = list
	}
}

// services gives the services of a container by name and status; one that runs
// without services has none.
func (e *Engine) services(c *Container) ([]facts.Service, error) {
	ctx, cancel := context.WithTimeout(e.ctx, rootTimeout)
	defer cancel()
	list, err := e.Services(ctx, c.record().ID)
	if errs.Is(err, errs.Conflict) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := make([]facts.Service, len(list))
	for i, s := range list {
		out[i] = facts.Service{Name: facts.Text(s.Name), Status: facts.Text(s.Status)}
	}
	return out, nil
}

var errReader = errors.New("read inside: the reader did not end in time")
