package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// snapshot counts what the measured silod holds of the host. Standbys change
// their names from run to run, so numbers are compared.
type snapshot map[string]int

func takeSnapshot(d *daemon) snapshot {
	keeper := d.keeper()
	s := snapshot{
		"container folders": d.folders(),
		"loop devices":      d.loops(),
		"agents":            len(agents(keeper)),
		"cgroups":           len(d.cgroups()),
	}
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	s["mounts of the host below the roots"] = strings.Count(string(mounts), d.dir)
	ports, _ := os.ReadDir("/sys/class/net/" + d.bridge + "/brif")
	s["ports of the switch"] = len(ports)
	s["nftables elements"] = d.elements()
	namespaces := map[string]bool{}
	for _, pid := range append(children(keeper), keeper, d.cmd.Process.Pid) {
		for _, kind := range []string{"user", "mnt", "net", "uts", "ipc", "cgroup", "pid"} {
			if id, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", pid, kind)); err == nil {
				namespaces[id] = true
			}
		}
	}
	s["namespaces"] = len(namespaces)
	return s
}

// cgroups lists the groups of the measured silod.
func (d *daemon) cgroups() []string { return cgroupsOf("silo-" + d.bridge) }

// cgroupsOf lists the groups of that name and those within them, in all
// hierarchies, the innermost first.
func cgroupsOf(name string) (dirs []string) {
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // a group that is gone counts as gone
		}
		if e.IsDir() && slices.Contains(strings.Split(path, "/"), name) {
			dirs = append(dirs, path)
		}
		return nil
	})
	slices.Reverse(dirs)
	return dirs
}

// elements counts the rules and elements of the measured silod's table: the
// words of its listing. It is 0 where the command nft is not installed.
func (d *daemon) elements() int {
	out, _ := exec.Command("nft", "list", "table", "inet", "silo-"+d.bridge).Output()
	return len(strings.Fields(string(out)))
}

// awaitSame says what differs from the snapshot: the kernel frees some things
// after their last user has gone, so it is given time.
func (s snapshot) awaitSame(d *daemon) (left []string) {
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		left = left[:0]
		now := takeSnapshot(d)
		for what, n := range s {
			if now[what] != n {
				left = append(left, fmt.Sprintf("%s: %d before, %d after", what, n, now[what]))
			}
		}
		slices.Sort(left)
		if len(left) == 0 || time.Since(begin) > 10*time.Second {
			return left
		}
	}
}

// stolen is how much processor time the machine did not get because its host
// gave it to others, in hundredths of a second: "steal" of proc_stat(5). A
// machine that is no guest, or whose host does not tell, has 0.
func stolen() string {
	data, _ := os.ReadFile("/proc/stat")
	first, _, _ := strings.Cut(string(data), "\n")
	if f := strings.Fields(first); len(f) > 8 {
		return f[8]
	}
	return ""
}
