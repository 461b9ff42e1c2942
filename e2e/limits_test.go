package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// groupFile is a limit's file: its name with cgroups of version 1 and 2.
type groupFile struct{ controller, v1, v2 string }

var (
	cpuQuota   = groupFile{"cpu", "cpu.cfs_quota_us", "cpu.max"}
	cpuShares  = groupFile{"cpu", "cpu.shares", "cpu.weight"}
	cpuSet     = groupFile{"cpuset", "cpuset.cpus", "cpuset.cpus"}
	memoryMost = groupFile{"memory", "memory.limit_in_bytes", "memory.max"}
	pidsMost   = groupFile{"pids", "pids.max", "pids.max"}
)

// inGroup reads a limit of a running container from the kernel, and tells
// whether it is one of version 2.
func (d *daemon) inGroup(id string, l groupFile) (value string, v2 bool) {
	d.t.Helper()
	groups, err := os.ReadFile("/proc/" + d.field(id, "{{.State.Pid}}") + "/cgroup")
	if err != nil {
		d.t.Fatal(err)
	}
	var path string
	for _, line := range strings.Split(strings.TrimSpace(string(groups)), "\n") {
		p := strings.SplitN(line, ":", 3)
		if slices.Contains(strings.Split(p[1], ","), l.controller) {
			path, v2 = filepath.Join("/sys/fs/cgroup", l.controller, p[2], l.v1), false
			break
		}
		if p[0] == "0" {
			path, v2 = filepath.Join("/sys/fs/cgroup", p[2], l.v2), true
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.TrimSpace(string(data)), v2
}

// limits wants limits in the kernel; the second value is that of version 2.
func (d *daemon) limits(id string, all map[groupFile][2]string) {
	d.t.Helper()
	for l, values := range all {
		got, v2 := d.inGroup(id, l)
		want := values[0]
		if v2 {
			want = values[1]
		}
		if got != want {
			d.t.Errorf("%s is %q, want %q (version 2: %t)", l.v2, got, want, v2)
		}
	}
}

// What run and update are told is what the kernel is told.
func TestLimitsInTheKernel(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("--cpus", "0.5", "--cpuset-cpus", "0", "--cpu-shares", "512", "-m", "64m", "--pids-limit", "50")
	d.limits(id, map[groupFile][2]string{
		cpuQuota: {"50000", "50000 100000"}, cpuShares: {"512", "59"}, cpuSet: {"0", "0"},
		memoryMost: {"67108864", "67108864"}, pidsMost: {"62", "62"}, // 12 are for the threads of the agent
	})
	d.silo("update", "--cpus", "0.25", "--cpu-shares", "1024", "-m", "96m", "--memory-swap", "96m", "--pids-limit", "60", id)
	changed := map[groupFile][2]string{
		cpuQuota: {"25000", "25000 100000"}, cpuShares: {"1024", "100"}, cpuSet: {"0", "0"},
		memoryMost: {"100663296", "100663296"}, pidsMost: {"72", "72"},
	}
	d.limits(id, changed)
	d.silo("restart", "-t", "0", id)
	d.limits(id, changed)
	if r := d.try("run", "--rm", "--cpuset-cpus", "4000", "core", "true"); r.code != 125 || strings.Count(r.err, "\n") != 1 {
		t.Errorf("a processor that is not there: exit %d, %q", r.code, r.err)
	}
}

// stats shows what a container uses: of its memory, processors and processes.
func TestStatsOfWhatIsUsed(t *testing.T) {
	d := useDaemon(t)
	id := d.detached("-m", "128m", "--cpus", "0.5", "core", "sh", "-c", "while true; do true; done")
	until(t, "it is busy", func() bool {
		f := strings.Fields(d.silo("stats", "--no-stream", "--format", "{{.CPUPerc}} {{.PIDs}} {{.MemUsage}}", id))
		percent, err := strconv.ParseFloat(strings.TrimSuffix(f[0], "%"), 64)
		if err != nil || percent > 100 { // half a processor, and what the kernel's periods do not fit
			t.Fatalf("stats shows %q (%v)", f, err)
		}
		return percent > 5 && f[1] != "0" && strings.HasSuffix(f[len(f)-1], "128MiB")
	})
	used := func() float64 {
		out := d.silo("stats", "--no-stream", "--format", "{{.MemPerc}}", id)
		percent, err := strconv.ParseFloat(strings.TrimSuffix(out, "%"), 64)
		if err != nil {
			t.Fatal(err)
		}
		return percent
	}
	before := used()
	d.silo("exec", id, "dd", "if=/dev/zero", "of=/dev/shm/held", "bs=1M", "count=32")
	until(t, "the memory shows", func() bool { return used() > before+20 })
}
