package survival

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// cgroupParents lists the groups below which the daemon's containers live.
func (d *daemon) cgroupParents() []string {
	v1, _ := filepath.Glob("/sys/fs/cgroup/*/silo-" + d.bridge)
	v2, _ := filepath.Glob("/sys/fs/cgroup/silo-" + d.bridge)
	return append(v1, v2...)
}

// traces names everything on the host that is of a container of this daemon.
func (d *daemon) traces() []string {
	d.t.Helper()
	found := map[string]bool{}
	add := func(format string, args ...any) { found[fmt.Sprintf(format, args...)] = true }
	entries, _ := os.ReadDir(filepath.Join(d.data(), "containers"))
	for _, e := range entries {
		add("folder %s", e.Name())
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		d.t.Fatal(err)
	}
	for _, line := range strings.Split(string(mounts), "\n") {
		if strings.Contains(line, d.dir+"/") {
			add("mount %s", line)
		}
	}
	devices, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, path := range devices {
		if back, err := os.ReadFile(path); err == nil && strings.HasPrefix(string(back), filepath.Join(d.data(), "containers")) {
			add("loop device of %s", strings.TrimSpace(string(back)))
		}
	}
	sum := sha256.Sum256([]byte(d.bridge))
	prefix := "sl" + base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").EncodeToString(sum[:])[:3]
	links, _ := os.ReadDir("/sys/class/net")
	for _, l := range links {
		master, _ := os.Readlink("/sys/class/net/" + l.Name() + "/master")
		if strings.HasPrefix(l.Name(), prefix) || filepath.Base(master) == d.bridge {
			add("link %s", l.Name())
		}
	}
	for _, parent := range d.cgroupParents() {
		groups, _ := os.ReadDir(parent)
		for _, g := range groups {
			if g.IsDir() {
				add("cgroup %s/%s", parent, g.Name())
			}
		}
	}
	d.processes(add)
	d.rules(add)
	return slices.Sorted(maps.Keys(found))
}

// processes finds agents and commands by their cgroup, and agents that have
// none any more by their parent.
func (d *daemon) processes(add func(string, ...any)) {
	keeper := strconv.Itoa(d.keeperPID())
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		comm, _ := os.ReadFile("/proc/" + e.Name() + "/comm")
		groups, _ := os.ReadFile("/proc/" + e.Name() + "/cgroup")
		status, _ := os.ReadFile("/proc/" + e.Name() + "/status")
		if strings.Contains(string(groups), "/silo-"+d.bridge+"/") || keeper != "0" && strings.Contains(string(status), "\nPPid:\t"+keeper+"\n") {
			add("process %s %s", e.Name(), strings.TrimSpace(string(comm)))
		}
	}
}

// rules finds elements of the daemon's port maps.
func (d *daemon) rules(add func(string, ...any)) {
	for _, name := range []string{"ports", "ports_of_address"} {
		out, err := exec.Command("nft", "list", "map", "inet", "silo-"+d.bridge, name).Output()
		if err == nil && strings.Contains(string(out), "elements") {
			add("nft element %s", out)
		}
	}
}

// clean waits until the only traces are those before.
func (d *daemon) clean(before []string) {
	d.t.Helper()
	var left []string
	ok := func() bool {
		left = slices.DeleteFunc(d.traces(), func(s string) bool { return slices.Contains(before, s) })
		return len(left) == 0
	}
	defer func() {
		if len(left) > 0 {
			d.t.Logf("left on the host:\n  %s", strings.Join(left, "\n  "))
		}
	}()
	d.until("nothing is left on the host", ok)
}

// descriptors counts what a process has open.
func descriptors(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries)
}
