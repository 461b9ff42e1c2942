package engine

import (
	"context"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"

	"silo/api"
	"silo/internal/errs"
	"silo/internal/event"
	"silo/internal/facts"
	"silo/internal/property"
)

// auditDir is where the audit daemon writes its log.
const auditDir = "/var/log/audit"

// Sessions lists the host's session 0 and one for each running container.
func (e *Engine) Sessions(context.Context) ([]api.Session, error) {
	counts, first := sessionCounts()
	host := api.Session{Number: 0, Processes: counts[0], Since: first, IDRange: api.IDRange{First: 0, Count: 65536}}
	for _, p := range sessionProcesses(0) {
		host.CPU += p.CPU
		host.Memory += p.Memory
	}
	out := []api.Session{host}
	for _, c := range e.all() {
		if s, ok := c.session(counts); ok {
			out = append(out, s)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Number < out[j].Number })
	return out, nil
}

// session is a container's row; false if it does not run.
func (c *Container) session(counts map[uint32]int) (api.Session, bool) {
	r, st := c.record(), c.state()
	if st.PID == 0 || st.State != container.StateRunning && st.State != container.StatePaused {
		return api.Session{}, false
	}
	s := api.Session{Number: st.Session, Container: r.ID, Name: r.Name, IDRange: api.IDRange{First: r.FirstID, Count: rangeSize}, Since: st.Started, Processes: counts[st.Session]}
	c.mu.Lock()
	b := c.box
	c.mu.Unlock()
	if b == nil || b.group == nil {
		return s, true
	}
	if st.Session == 0 { // no audit in the kernel: the cgroup says which processes
		if pids, err := b.group.Procs(); err == nil {
			s.Processes = len(pids)
		}
	}
	if u, err := b.group.Stats(); err == nil {
		s.CPU, s.Memory = int64(u.CPU.Total/1e6), int64(u.Memory.Usage)
	}
	return s, true
}

// lastSession is the session of the container's present run, or of its last.
func (c *Container) lastSession() uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.box != nil {
		return c.box.session
	}
	return c.st.Session
}

// sessionCounts counts processes by audit session; those without one are
// session 0's. It also tells when the host was started.
func sessionCounts() (map[uint32]int, time.Time) {
	counts := map[uint32]int{}
	entries, _ := os.ReadDir("/proc")
	for _, p := range entries {
		if _, err := strconv.Atoi(p.Name()); err == nil {
			counts[facts.Session("/proc/"+p.Name())]++
		}
	}
	var boot time.Time
	data, _ := os.ReadFile("/proc/stat")
	for line := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(line, "btime "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
				boot = time.Unix(n, 0)
			}
		}
	}
	return counts, boot
}

// sessionProcesses lists the host's processes of a session.
func sessionProcesses(number uint32) (out []facts.Process) {
	entries, _ := os.ReadDir("/proc")
	for _, p := range entries {
		pid, err := strconv.Atoi(p.Name())
		if err != nil || facts.Session("/proc/"+p.Name()) != number {
			continue
		}
		if p, ok := facts.ReadProcess("/proc", pid); ok {
			out = append(out, p)
		}
	}
	return out
}

// Session shows one session with its processes: the host's (0), a container's,
// or another one of the host that has processes.
func (e *Engine) Session(_ context.Context, number uint32) (api.SessionDetail, error) {
	counts, boot := sessionCounts()
	d := api.SessionDetail{Session: api.Session{Number: number, Processes: counts[number]}, List: []api.ProcessView{}}
	if number == 0 {
		d.Since = boot
	}
	for _, c := range e.all() {
		if s, ok := c.session(counts); ok && s.Number == number && number != 0 {
			d.Session = s
		}
	}
	account := hostAccounts()
	var cpu, memory int64
	for _, p := range sessionProcesses(number) {
		d.List = append(d.List, property.HostProcess(&p, account))
		cpu, memory = cpu+p.CPU, memory+p.Memory
	}
	if d.Container == "" {
		d.CPU, d.Memory = cpu, memory
		if len(d.List) == 0 {
			return d, errs.NotFoundf("no session %d: see silo session ls", number)
		}
	}
	return d, nil
}

// SessionLog gives what the host's audit log and silod's own hold of a
// session, oldest first.
func (e *Engine) SessionLog(_ context.Context, number uint32) ([]api.SessionRecord, error) {
	out, err := e.events.Session(number)
	if err != nil {
		return nil, err
	}
	audit, err := event.Audit(auditDir, number)
	if err != nil {
		return nil, err
	}
	out = append(out, audit...)
	sort.SliceStable(out, func(i, j int) bool { return out[i].At.Before(out[j].At) })
	return out, nil
}

func (e *Engine) eventLogPath() string { return filepath.Join(e.o.Run, "events.log") }
