package engine

import (
	"bytes"
	"context"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"

	agent "silo/internal/agent/wire"
	"silo/internal/cgroup"
	"silo/internal/errs"
	"silo/internal/filter"
	"silo/internal/linux"
)

// ContainerTop lists the processes of a container as the host's ps shows
// them.
func (e *Engine) ContainerTop(ctx context.Context, ref, psArgs string) (container.TopResponse, error) {
	none := container.TopResponse{}
	c, err := e.find(ref)
	if err != nil {
		return none, err
	}
	c.mu.Lock()
	b, st := c.box, c.st
	c.mu.Unlock()
	if b == nil || st.State != container.StateRunning && st.State != container.StatePaused {
		return none, errs.Conflictf("container %s is not running", ref)
	}
	pids, err := b.group.Procs()
	if err != nil {
		return none, err
	}
	pids = slices.DeleteFunc(pids, func(p int) bool { return p == b.agent })
	args := strings.Fields(psArgs)
	if len(args) == 0 {
		args = []string{"-ef"}
	}
	for _, a := range args {
		if strings.ContainsAny(a, ";|&$`<>\n") {
			return none, errs.Invalidf("ps args %q: only options of ps", psArgs)
		}
	}
	// Options that only say what to show need the numbers to select by; those
	// that select themselves, such as -e, do not go with them.
	out, err := exec.CommandContext(ctx, "ps", append(args, "-q"+joinNumbers(pids))...).Output()
	if err != nil {
		out, err = exec.CommandContext(ctx, "ps", args...).CombinedOutput()
	}
	if err != nil {
		return none, errs.Invalidf("ps %s: %s", psArgs, strings.TrimSpace(string(out)))
	}
	top, err := parsePS(out, pids)
	if err == nil {
		e.emit(c, events.ActionTop, nil)
	}
	return top, err
}

func joinNumbers(list []int) string {
	var b strings.Builder
	for i, n := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(n))
	}
	return b.String()
}

// parsePS picks the lines of ps that belong to pids.
func parsePS(out []byte, pids []int) (container.TopResponse, error) {
	t := container.TopResponse{Processes: [][]string{}}
	column := -1
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		f := strings.Fields(line)
		if i == 0 {
			t.Titles = f
			if column = slices.Index(f, "PID"); column < 0 {
				return t, errs.Invalidf("ps: no PID field in its output: give options that show it")
			}
			continue
		}
		if len(f) <= column {
			continue
		}
		pid, err := strconv.Atoi(f[column])
		if err != nil || !slices.Contains(pids, pid) {
			continue
		}
		if n := len(t.Titles); len(f) > n { // the last column may have spaces
			f = append(f[:n-1:n-1], strings.Join(f[n-1:], " "))
		}
		t.Processes = append(t.Processes, f)
	}
	return t, nil
}

// ContainerStats measures a container once a second.
func (e *Engine) ContainerStats(ctx context.Context, ref string, stream, oneShot bool) (<-chan container.StatsResponse, error) {
	c, err := e.find(ref)
	if err != nil {
		return nil, err
	}
	first, err := e.measure(c)
	if err != nil {
		return nil, err
	}
	out := make(chan container.StatsResponse, 1)
	if !stream && oneShot {
		out <- first
		close(out)
		return out, nil
	}
	go func() {
		defer close(out)
		last := first
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			case <-e.ctx.Done():
				return
			}
			s, err := e.measure(c)
			if err != nil {
				return
			}
			s.PreCPUStats, s.PreRead = last.CPUStats, last.Read
			last = s
			select {
			case out <- s:
			case <-ctx.Done():
				return
			}
			if !stream {
				return
			}
		}
	}()
	return out, nil
}

func (e *Engine) measure(c *Container) (container.StatsResponse, error) {
	r := c.record()
	s := container.StatsResponse{ID: r.ID, Name: "/" + r.Name, OSType: "linux", Read: time.Now()}
	c.mu.Lock()
	b, state := c.box, c.st.State
	c.mu.Unlock()
	if state == container.StateRemoving {
		return s, errs.NotFoundf("No such container: %s", r.Name)
	}
	// A sandbox may be parked for one that has not been started.
	if b == nil || b.group == nil || state != container.StateRunning && state != container.StatePaused {
		return s, nil // as Docker shows one that does not run: zeros
	}
	g, err := b.group.Stats()
	if err != nil {
		return s, err
	}
	system, err := linux.SystemCPU()
	if err != nil {
		return s, err
	}
	s.CPUStats = container.CPUStats{
		SystemUsage: system, OnlineCPUs: uint32(runtime.NumCPU()),
		CPUUsage:       container.CPUUsage{TotalUsage: g.CPU.Total, PercpuUsage: g.CPU.PerCPU, UsageInKernelmode: g.CPU.System, UsageInUsermode: g.CPU.User},
		ThrottlingData: container.ThrottlingData{Periods: g.CPU.Periods, ThrottledPeriods: g.CPU.ThrottledPeriods, ThrottledTime: g.CPU.ThrottledTime},
	}
	s.MemoryStats = container.MemoryStats{Usage: g.Memory.Usage, MaxUsage: g.Memory.MaxUsage, Limit: g.Memory.Limit, Failcnt: g.Memory.Failcnt, Stats: g.Memory.Stats}
	s.PidsStats = withoutAgent(g.Pids, b.agent)
	s.BlkioStats = container.BlkioStats{IoServiceBytesRecursive: blkio(g.Blkio.ServiceBytes), IoServicedRecursive: blkio(g.Blkio.Serviced)}
	if b.endpoint != nil {
		if n, err := e.net.Stats(b.endpoint.HostIf); err == nil {
			s.Networks = map[string]container.NetworkStats{"eth0": {
				RxBytes: n.RxBytes, RxPackets: n.RxPackets, RxErrors: n.RxErrors, RxDropped: n.RxDropped,
				TxBytes: n.TxBytes, TxPackets: n.TxPackets, TxErrors: n.TxErrors, TxDropped: n.TxDropped,
			}}
		}
	}
	return s, nil
}

// withoutAgent gives the counts that the user's processes and limit make.
func withoutAgent(p cgroup.PidsStats, process int) container.PidsStats {
	tasks, _ := os.ReadDir("/proc/" + strconv.Itoa(process) + "/task") // none: it has just ended
	out := container.PidsStats{Current: p.Current - min(uint64(len(tasks)), p.Current)}
	if p.Limit > agent.Threads {
		out.Limit = p.Limit - agent.Threads
	}
	return out
}

func blkio(list []cgroup.BlkioEntry) []container.BlkioStatEntry {
	out := []container.BlkioStatEntry{} // clients go through it without a look at null
	for _, x := range list {
		out = append(out, container.BlkioStatEntry{Major: x.Major, Minor: x.Minor, Op: x.Op, Value: x.Value})
	}
	return out
}

// onNetwork applies the filter network: a name, an id or the beginning of one.
func (e *Engine) onNetwork(f filter.Args, r *configRecord) bool {
	names := networkNames(string(r.HostConfig.NetworkMode))
	if anyMatch(f, "network", names) {
		return true
	}
	id := e.networkID(names[0])
	return !r.HostConfig.NetworkMode.IsContainer() && slices.ContainsFunc(f["network"], func(s string) bool { return s != "" && strings.HasPrefix(id, s) })
}

// networkNames are what a network, and its driver, may be called: nat is what
// Docker calls bridge.
func networkNames(name string) []string {
	if name == "nat" {
		return []string{name, "bridge"}
	}
	return []string{name}
}

// portFilter compiles the filters publish and expose.
func portFilter(f filter.Args) (func(*configRecord, stateRecord) bool, error) {
	publish, err := portRanges(f, "publish")
	if err != nil {
		return nil, err
	}
	expose, err := portRanges(f, "expose")
	return func(r *configRecord, st stateRecord) bool {
		return anyWithin(publish, publishedPorts(r, st)) && anyWithin(expose, slices.Collect(maps.Keys(r.Config.ExposedPorts)))
	}, err
}

// portRanges reads the ports of a filter.
func portRanges(f filter.Args, key string) (out []network.PortRange, err error) {
	for _, s := range f[key] {
		r, err := network.ParsePortRange(s)
		if err != nil || !slices.Contains([]network.IPProtocol{network.TCP, network.UDP, network.SCTP}, r.Proto()) || strings.HasSuffix(s, "/") {
			return nil, errs.Invalidf("invalid filter '%s=%s': give PORT[/PROTOCOL] or FIRST-LAST[/PROTOCOL], the protocol tcp, udp or sctp", key, s)
		}
		out = append(out, r)
	}
	return out, nil
}

// anyWithin tells whether one of ports lies in one of ranges; yes if there are
// no ranges.
func anyWithin(ranges []network.PortRange, ports []network.Port) bool {
	return len(ranges) == 0 || slices.ContainsFunc(ports, func(p network.Port) bool {
		return slices.ContainsFunc(ranges, func(r network.PortRange) bool {
			return r.Proto() == p.Proto() && r.Start() <= p.Num() && p.Num() <= r.End()
		})
	})
}

// publishedPorts are the ports by which the filter publish finds a container:
// those inside, as in Docker, and those of the host.
func publishedPorts(r *configRecord, st stateRecord) []network.Port {
	out := slices.Collect(maps.Keys(r.HostConfig.PortBindings))
	if st.Endpoint != nil {
		for _, m := range st.Endpoint.Ports {
			for _, number := range []uint16{m.ContainerPort, m.HostPort} {
				if p, ok := network.PortFrom(number, network.IPProtocol(m.Proto)); ok {
					out = append(out, p)
				}
			}
		}
	}
	return out
}

// limitedBuffer keeps the first bytes of a health check's output.
type limitedBuffer struct {
	buf  bytes.Buffer
	most int
}

func (l *limitedBuffer) Write(p []byte) (int, error) {
	if room := l.most - l.buf.Len(); room > 0 {
		l.buf.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}

func (l *limitedBuffer) String() string { return l.buf.String() }
