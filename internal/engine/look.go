package engine

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	agent "silo/internal/agent/wire"
	"silo/internal/cgroup"
	"silo/internal/errs"
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
	return parsePS(out, pids)
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
	b, removing := c.box, c.st.State == container.StateRemoving
	c.mu.Unlock()
	if removing {
		return s, errs.NotFoundf("No such container: %s", r.Name)
	}
	if b == nil || b.group == nil {
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
