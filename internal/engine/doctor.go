package engine

import (
	"os"
	"os/exec"
	"strconv"
	"strings"

	"silo/api"
	"silo/internal/cgroup"
	"silo/internal/linux"
)

// doctor checks what of the host Silo uses.
func (e *Engine) doctor() []api.Check {
	h, err := linux.HostInfo()
	list := []api.Check{
		kernelCheck("kernel 5.19 or newer", h.Release, err, 5, 19, "idmapped layers of an overlay are missing: no container can run"),
		kernelCheck("EROFS from a file (6.12)", h.Release, err, 6, 12, "each image in use takes a loop device"),
		kernelCheck("overlay from descriptors (6.15)", h.Release, err, 6, 15, "mounts are attached below the exec root for a moment at each start"),
		fileCheck("audit session", "/proc/self/sessionid", "a container's session number is 0 and the host's audit log does not name it"),
		fileCheck("user namespaces", "/proc/self/ns/user", "no container can run"),
		fileCheck("overlay", "/sys/module/overlay", "no container can run: modprobe overlay"),
		fileCheck("loop devices", "/dev/loop-control", "no sandbox disk can be attached: modprobe loop"),
	}
	for _, name := range []string{"memory", "cpu", "cpuset", "pids"} {
		c := api.Check{Name: "cgroup controller " + name, Answer: "yes"}
		if _, ok := e.cgroups.Controllers[name]; !ok {
			c.Answer, c.Effect = "no", "limits of this kind are refused"
		}
		list = append(list, c)
	}
	mode := map[cgroup.Mode]string{cgroup.V1: "version 1", cgroup.V2: "version 2"}[e.cgroups.Mode]
	if mode == "" {
		mode = "hybrid"
	}
	list = append(list, api.Check{Name: "cgroups", Answer: "yes", Detail: mode})
	mkfs := api.Check{Name: "mkfs.ext4", Answer: "yes"}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		if _, err := os.Stat("/usr/sbin/mkfs.ext4"); err != nil {
			mkfs.Answer, mkfs.Effect, mkfs.Suggestion = "no", "disks of a size not used before cannot be made", "apt-get install e2fsprogs"
		}
	}
	list = append(list, mkfs)
	n := e.net.Inspect()
	r := api.Check{Name: "resolver at the gateway", Answer: "yes", Detail: n.Resolver}
	if !strings.Contains(n.Resolver, ":53") {
		r.Answer, r.Effect = "no", "containers resolve no names unless --dns is given"
	}
	list = append(list, r)
	for _, w := range n.Warnings {
		list = append(list, api.Check{Name: "network", Answer: "no", Detail: w})
	}
	return list
}

func kernelCheck(name, release string, err error, major, minor int, effect string) api.Check {
	c := api.Check{Name: name, Detail: release, Answer: "yes"}
	a, b, ok := strings.Cut(release, ".")
	have, err1 := strconv.Atoi(a)
	b, _, _ = strings.Cut(b, ".")
	low, err2 := strconv.Atoi(strings.TrimRight(b, "abcdefghijklmnopqrstuvwxyz-+"))
	switch {
	case err != nil || !ok || err1 != nil || err2 != nil:
		c.Answer = "unknown"
	case have < major || have == major && low < minor:
		c.Answer, c.Effect = "no", effect
	}
	return c
}

func fileCheck(name, path, effect string) api.Check {
	if _, err := os.Stat(path); err != nil {
		if os.IsPermission(err) {
			return api.Check{Name: name, Answer: "unknown", Detail: err.Error()}
		}
		return api.Check{Name: name, Answer: "no", Detail: path + " is missing", Effect: effect}
	}
	return api.Check{Name: name, Answer: "yes"}
}
