// Package cgroup puts containers into control groups: it makes the groups,
// limits, measures, freezes, ends and removes them. The three arrangements of
// Linux hosts, v1, hybrid and v2, look the same from outside; which hierarchy
// serves what is decided once, by Detect, for each controller on its own.
//
// The package writes below the mount points that Detect found and nowhere
// else. It does not move processes: whoever starts one writes it into
// Group.ProcsFiles.
package cgroup

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"silo/internal/errs"
)

// Mode is the arrangement of a host's hierarchies.
type Mode uint8

const (
	V1     Mode = iota + 1 // controllers in hierarchies of version 1, no version 2
	Hybrid                 // version 1 for most controllers, version 2 beside it
	V2                     // one hierarchy of version 2
)

func (m Mode) String() string {
	switch m {
	case V1:
		return "v1"
	case Hybrid:
		return "hybrid"
	case V2:
		return "v2"
	}
	return "none"
}

// Hierarchy is where one controller lives.
type Hierarchy struct {
	Dir string // mount point
	V2  bool
}

// Layout is what a host offers.
type Layout struct {
	Mode        Mode
	Controllers map[string]Hierarchy // by the kernel's name: "cpu", "memory", "blkio" (v1) or "io" (v2) …
	Unified     string               // mount point of version 2, "" if there is none
	Named       []string             // mount points of v1 hierarchies without controllers, as systemd's
	CPUs, Mems  []int                // processors and memory nodes online
	Memory      uint64               // bytes of the host
}

// joined are the v1 controllers whose hierarchies containers enter. Each one
// more costs at every start, so those that nothing here uses are left out.
var joined = []string{"cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "devices", "freezer"}

// Detect reads from /proc and /sys which hierarchies there are. A host that
// mounts none is of kind NotSupported.
func Detect() (Layout, error) {
	l, err := detect("/")
	if err != nil {
		return Layout{}, fmt.Errorf("find cgroups: %w", err)
	}
	return l, nil
}

// detect is Detect with the host's files below root.
func detect(root string) (Layout, error) {
	l := Layout{Controllers: map[string]Hierarchy{}}
	f, err := os.Open(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return l, err
	}
	defer f.Close()
	if err := l.readMounts(f, root); err != nil {
		return l, err
	}
	v1 := len(l.Named) > 0
	for _, h := range l.Controllers {
		v1 = v1 || !h.V2
	}
	switch {
	case v1 && l.Unified != "":
		l.Mode = Hybrid
	case v1:
		l.Mode = V1
	case l.Unified != "":
		l.Mode = V2
	default:
		return l, errs.New(errs.NotSupported, "no cgroup hierarchy is mounted: mount -t cgroup2 cgroup2 /sys/fs/cgroup")
	}
	return l, l.readHost(root)
}

// readMounts takes the cgroup file systems from mountinfo; see proc(5).
func (l *Layout) readMounts(r io.Reader, root string) error {
	s := bufio.NewScanner(r)
	for s.Scan() {
		before, after, ok := strings.Cut(s.Text(), " - ")
		mount, fs := strings.Fields(before), strings.Fields(after)
		if !ok || len(mount) < 6 || len(fs) < 3 {
			continue
		}
		dir := filepath.Join(root, unescape(mount[4]))
		switch fs[0] {
		case "cgroup2":
			if l.Unified != "" { // a second mount of the same hierarchy
				continue
			}
			l.Unified = dir
			list, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
			if err != nil {
				return err
			}
			for _, c := range strings.Fields(string(list)) {
				l.Controllers[c] = Hierarchy{Dir: dir, V2: true}
			}
		case "cgroup":
			for _, c := range strings.Split(fs[2], ",") {
				if strings.HasPrefix(c, "name=") && !slices.Contains(l.Named, dir) {
					l.Named = append(l.Named, dir)
				}
				if _, seen := l.Controllers[c]; !seen && slices.Contains(joined, c) {
					l.Controllers[c] = Hierarchy{Dir: dir}
				}
			}
		}
	}
	return s.Err()
}

func (l *Layout) readHost(root string) error {
	var err error
	if l.CPUs, err = readList(filepath.Join(root, "sys/devices/system/cpu/online")); err != nil {
		return err
	}
	// Without NUMA there is one node and no file.
	if l.Mems, err = readList(filepath.Join(root, "sys/devices/system/node/online")); err != nil {
		l.Mems = []int{0}
	}
	text, err := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "MemTotal:" {
			kb, err := strconv.ParseUint(f[1], 10, 54)
			if err != nil {
				return fmt.Errorf("/proc/meminfo: MemTotal: %v", err)
			}
			l.Memory = kb << 10
		}
	}
	return nil
}

func readList(path string) ([]int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseList(strings.TrimSpace(string(text)))
}

// maxListed bounds the numbers in a list; kernels know at most 8192 CPUs.
const maxListed = 8192

// parseList reads the kernel's list format, "0-3,7".
func parseList(text string) ([]int, error) {
	var out []int
	for _, part := range strings.Split(text, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		a, errA := strconv.ParseUint(low, 10, 31)
		b, errB := strconv.ParseUint(high, 10, 31)
		if errA != nil || errB != nil || a > b || b >= maxListed {
			return nil, errs.Invalidf("%q is no list of numbers: write it as 0-3,7", text)
		}
		for n := a; n <= b; n++ {
			out = append(out, int(n))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// unescape undoes mountinfo's octal escapes of space, tab, newline, backslash.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// dirs lists the hierarchies that containers enter, each once: version 2
// first, then version 1 by name. The v1 freezer is used where there is no v2,
// whose own freezer can be killed through.
func (l Layout) dirs() []Hierarchy {
	var out []Hierarchy
	for _, c := range joined {
		h, ok := l.Controllers[c]
		if !ok || h.V2 || (c == "freezer" && l.Unified != "") || slices.Contains(out, h) {
			continue
		}
		out = append(out, h)
	}
	for _, dir := range l.Named {
		out = append(out, Hierarchy{Dir: dir})
	}
	slices.SortFunc(out, func(a, b Hierarchy) int { return strings.Compare(a.Dir, b.Dir) })
	if l.Unified != "" {
		out = append([]Hierarchy{{Dir: l.Unified, V2: true}}, out...)
	}
	return out
}

// CheckParent tells whether parent can be the folder of groups: a relative or
// absolute path below the top of every hierarchy. Errors are of kind Invalid.
func CheckParent(parent string) error {
	trimmed := strings.Trim(parent, "/")
	for _, name := range strings.Split(trimmed, "/") {
		if err := checkName(name); err != nil {
			return errs.Invalidf("cgroup parent %q: %v", parent, err)
		}
	}
	if len(trimmed) > 1024 {
		return errs.Invalidf("cgroup parent of %d bytes: use at most 1024", len(trimmed))
	}
	return nil
}

func checkName(name string) error {
	switch {
	case name == "", name == ".", name == "..":
		return fmt.Errorf("%q is no name of a group", name)
	case len(name) > 255:
		return fmt.Errorf("a name of %d bytes: use at most 255", len(name))
	case strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:@-\\") != "":
		return fmt.Errorf("name %q: use letters, digits and _.:@-", name)
	}
	// The kernel keeps names that begin as its files do for itself.
	prefix, _, dotted := strings.Cut(name, ".")
	reserved := []string{"cgroup", "cpu", "cpuacct", "cpuset", "memory", "pids", "io", "blkio", "devices", "freezer", "hugetlb", "rdma", "misc", "net_cls", "net_prio", "perf_event", "irq", "dmem", "debug"}
	if dotted && slices.Contains(reserved, prefix) {
		return fmt.Errorf("name %q: names that begin with %s. are the kernel's", name, prefix)
	}
	switch name {
	case "tasks", "notify_on_release", "release_agent":
		return fmt.Errorf("name %q is the kernel's", name)
	}
	return nil
}
