// Package testenv holds what tests of the host need: conditions that must not
// be skipped in silence, and a TestMain that fails on what a test left behind.
package testenv

import (
	"fmt"
	"os"
	"sort"
	"strings"
	"testing"
	"time"
)

// Main runs the tests of a package and exits 1 if they left descriptors,
// mounts, loop devices, network links or child processes behind.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main for a package that has more to do before it exits with the code.
func Run(m *testing.M) int {
	before := snapshot()
	code := m.Run()
	if code == 0 {
		if left := settle(before); len(left) > 0 {
			fmt.Fprintf(os.Stderr, "the tests left behind:\n  %s\n", strings.Join(left, "\n  "))
			code = 1
		}
	}
	return code
}

// settle gives the kernel up to five seconds: it frees loop devices, links
// and namespaces after the last user has gone, not at once.
func settle(before map[string]bool) []string {
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var left []string
		for k := range snapshot() {
			if !before[k] {
				left = append(left, k)
			}
		}
		if len(left) == 0 || time.Now().After(deadline) {
			sort.Strings(left)
			return left
		}
	}
}

// snapshot names what this process and the host hold now.
func snapshot() map[string]bool {
	s := map[string]bool{}
	descriptors(s)
	lines(s, "/proc/self/mountinfo", "mount ", func(f []string) string { return f[4] })
	if entries, err := os.ReadDir("/sys/class/net"); err == nil {
		for _, e := range entries {
			s["link "+e.Name()] = true
		}
	}
	entries, _ := os.ReadDir("/sys/block")
	for _, e := range entries {
		if back, err := os.ReadFile("/sys/block/" + e.Name() + "/loop/backing_file"); err == nil {
			s["loop "+e.Name()+" of "+strings.TrimSpace(string(back))] = true
		}
	}
	tasks, _ := os.ReadDir("/proc/self/task")
	for _, task := range tasks {
		kids, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/children")
		for _, pid := range strings.Fields(string(kids)) {
			comm, _ := os.ReadFile("/proc/" + pid + "/comm")
			s["child "+pid+" "+strings.TrimSpace(string(comm))] = true
		}
	}
	return s
}

// descriptors adds what is open, leaving out what the Go runtime itself opens
// when it is first needed: epoll, its event descriptor, /dev/null, cgroup files.
func descriptors(s map[string]bool) {
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		to, err := os.Readlink("/proc/self/fd/" + e.Name())
		switch {
		case err != nil, strings.HasPrefix(to, "anon_inode:[event"), to == "/dev/null",
			strings.HasPrefix(to, "/proc/"), strings.HasPrefix(to, "/sys/"), strings.HasPrefix(to, "anon_inode:[pidfd]"),
			strings.HasPrefix(to, "/sys/fs/cgroup"):
			continue
		}
		s["descriptor "+e.Name()+" "+to] = true
	}
}

func lines(s map[string]bool, path, prefix string, key func(fields []string) string) {
	data, _ := os.ReadFile(path)
	for _, l := range strings.Split(string(data), "\n") {
		if f := strings.Fields(l); len(f) > 4 {
			s[prefix+key(f)] = true
		}
	}
}
