package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"silo/internal/errs"
)

// Stats is what a group has used. Numbers that this host does not give are 0.
type Stats struct {
	CPU    CPUStats
	Memory MemoryStats
	Pids   PidsStats
	Blkio  BlkioStats
}

// CPUStats are times in nanoseconds since the group was made.
type CPUStats struct {
	Total, User, System uint64
	PerCPU              []uint64 // v1 only
	Periods             uint64   // quota periods that passed
	ThrottledPeriods    uint64   // of them, those in which the quota was used up
	ThrottledTime       uint64
}

// MemoryStats are bytes.
type MemoryStats struct {
	Usage, MaxUsage uint64
	Limit           uint64            // at most the host's memory
	Failcnt         uint64            // v1: how often the limit was hit
	Stats           map[string]uint64 // memory.stat, with the kernel's own names
	V2              bool              // which kernel interface the names are of
}

// PidsStats count processes and threads. Limit 0 is none.
type PidsStats struct {
	Current, Limit uint64
}

// BlkioStats are bytes and operations since the group was made.
type BlkioStats struct {
	ServiceBytes, Serviced []BlkioEntry
}

// BlkioEntry is one number of one block device. Op has the kernel's names on
// v1 ("Read", "Write", "Sync" …, "Total") and "read" and "write" on v2, as
// Docker shows them.
type BlkioEntry struct {
	Major, Minor uint64
	Op           string
	Value        uint64
}

// Stats reads what the group has used. NotFound if the group is gone.
func (g *Group) Stats() (Stats, error) {
	var s Stats
	if g.bad != nil {
		return s, g.bad
	}
	for _, read := range []func(*Stats) error{g.cpuStats, g.memoryStats, g.pidsStats, g.blkioStats} {
		err := read(&s)
		if errors.Is(err, fs.ErrNotExist) && !g.Exists() {
			return Stats{}, errs.NotFoundf("measure cgroup %s: there is no such group", g.path)
		}
		// A file may be absent: a kernel built without it, a controller that
		// the parent does not give.
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return Stats{}, fmt.Errorf("measure cgroup %s: %w", g.path, err)
		}
	}
	return s, nil
}

func (g *Group) cpuStats(s *Stats) error {
	c := &s.CPU
	dir, v2, ok := g.dir("cpu")
	if g.layout.Mode == V2 || v2 {
		k, err := readKeys(g.UnifiedDir(), "cpu.stat")
		c.Total, c.User, c.System = k["usage_usec"]*1000, k["user_usec"]*1000, k["system_usec"]*1000
		c.Periods, c.ThrottledPeriods, c.ThrottledTime = k["nr_periods"], k["nr_throttled"], k["throttled_usec"]*1000
		return err
	}
	if ok {
		k, err := readKeys(dir, "cpu.stat")
		if err != nil {
			return err
		}
		c.Periods, c.ThrottledPeriods, c.ThrottledTime = k["nr_periods"], k["nr_throttled"], k["throttled_time"]
	}
	if dir, _, ok = g.dir("cpuacct"); !ok {
		return nil
	}
	var err error
	if c.Total, err = readNumber(dir, "cpuacct.usage"); err != nil {
		return err
	}
	if c.User, err = readNumber(dir, "cpuacct.usage_user"); err != nil {
		return err
	}
	if c.System, err = readNumber(dir, "cpuacct.usage_sys"); err != nil {
		return err
	}
	per, err := readText(dir, "cpuacct.usage_percpu")
	if err != nil {
		return err
	}
	for _, f := range strings.Fields(per) {
		n, err := number(f)
		if err != nil {
			return fmt.Errorf("cpuacct.usage_percpu: %v", err)
		}
		c.PerCPU = append(c.PerCPU, n)
	}
	return nil
}

func (g *Group) memoryStats(s *Stats) error {
	m := &s.Memory
	dir, v2, ok := g.dir("memory")
	if !ok {
		return nil
	}
	m.V2 = v2
	files := struct{ usage, peak, limit string }{"memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.limit_in_bytes"}
	if v2 {
		files = struct{ usage, peak, limit string }{"memory.current", "memory.peak", "memory.max"}
	}
	var err error
	if m.Usage, err = readNumber(dir, files.usage); err != nil {
		return err
	}
	if m.Limit, err = readNumber(dir, files.limit); err != nil {
		return err
	}
	if g.layout.Memory > 0 {
		m.Limit = min(m.Limit, g.layout.Memory)
	}
	if m.Stats, err = readKeys(dir, "memory.stat"); err != nil {
		return err
	}
	if !v2 {
		if m.Failcnt, err = readNumber(dir, "memory.failcnt"); err != nil {
			return err
		}
	}
	m.MaxUsage, err = readNumber(dir, files.peak) // last: v2 has it from 5.19 on
	return err
}

func (g *Group) pidsStats(s *Stats) error {
	dir, _, ok := g.dir("pids")
	if !ok {
		return nil
	}
	var err error
	if s.Pids.Current, err = readNumber(dir, "pids.current"); err != nil {
		return err
	}
	if s.Pids.Limit, err = readNumber(dir, "pids.max"); s.Pids.Limit == math.MaxUint64 {
		s.Pids.Limit = 0
	}
	return err
}

func (g *Group) blkioStats(s *Stats) error {
	if dir, v2, ok := g.dir("io"); ok && v2 {
		text, err := readText(dir, "io.stat")
		if err != nil {
			return err
		}
		return parseIOStat(text, &s.Blkio)
	}
	dir, _, ok := g.dir("blkio")
	if !ok {
		return nil
	}
	for file, to := range map[string]*[]BlkioEntry{
		"blkio.throttle.io_service_bytes_recursive": &s.Blkio.ServiceBytes,
		"blkio.throttle.io_serviced_recursive":      &s.Blkio.Serviced,
	} {
		text, err := readText(dir, file)
		if err != nil {
			return err
		}
		if *to, err = parseBlkio(text); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

// parseBlkio reads v1's lines "8:0 Read 4096"; the sum over all devices,
// "Total 4096", is left out as Docker does.
func parseBlkio(text string) ([]BlkioEntry, error) {
	var out []BlkioEntry
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		e := BlkioEntry{Op: f[1]}
		var err error
		if e.Major, e.Minor, err = device(f[0]); err != nil {
			return nil, err
		}
		if e.Value, err = number(f[2]); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// parseIOStat reads v2's lines "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 …".
func parseIOStat(text string, to *BlkioStats) error {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue // a device that was never used has no numbers
		}
		major, minor, err := device(f[0])
		if err != nil {
			return fmt.Errorf("io.stat: %w", err)
		}
		for _, kv := range f[1:] {
			key, value, _ := strings.Cut(kv, "=")
			n, err := strconv.ParseUint(value, 10, 64)
			if err != nil {
				continue // other controllers add numbers of other kinds
			}
			e := BlkioEntry{Major: major, Minor: minor, Value: n}
			switch key {
			case "rbytes":
				e.Op = "read"
				to.ServiceBytes = append(to.ServiceBytes, e)
			case "wbytes":
				e.Op = "write"
				to.ServiceBytes = append(to.ServiceBytes, e)
			case "rios":
				e.Op = "read"
				to.Serviced = append(to.Serviced, e)
			case "wios":
				e.Op = "write"
				to.Serviced = append(to.Serviced, e)
			}
		}
	}
	return nil
}

func device(text string) (major, minor uint64, err error) {
	a, b, ok := strings.Cut(text, ":")
	major, errA := strconv.ParseUint(a, 10, 32)
	minor, errB := strconv.ParseUint(b, 10, 32)
	if !ok || errA != nil || errB != nil {
		return 0, 0, fmt.Errorf("%q is no device number", text)
	}
	return major, minor, nil
}
