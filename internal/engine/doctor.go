package engine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"silo/api"
	"silo/internal/cgroup"
	"silo/internal/layer"
	"silo/internal/linux"
)

// examination is one thing that Silo needs of the host.
type examination struct {
	name       string
	probe      func(*Engine) (detail string, err error) // nil, linux.ErrAbsent, or not known
	effect     string                                   // what follows if it is not there
	suggestion string
}

// plain makes an examination's probe of one that needs nothing.
func plain(f func() error) func(*Engine) (string, error) {
	return func(*Engine) (string, error) { return "", f() }
}

func namespace(kind string) func(*Engine) (string, error) {
	return plain(func() error { return linux.ProbeNamespace(kind) })
}

func fileSystem(kind string) func(*Engine) (string, error) {
	return plain(func() error { return linux.ProbeFileSystem(kind) })
}

// examinations is everything that doctor looks at. What can be tried is tried;
// versions are compared nowhere.
var examinations = []examination{
	{"user namespaces", namespace("user"), "no container can run", "sysctl -w user.max_user_namespaces=65536"},
	{"mount namespaces", namespace("mnt"), "no container can run", ""},
	{"network namespaces", namespace("net"), "containers run with --network host only", "sysctl -w user.max_net_namespaces=65536"},
	{"UTS namespaces", namespace("uts"), "containers run with --uts host only", ""},
	{"IPC namespaces", namespace("ipc"), "containers run with --ipc host only", ""},
	{"PID namespaces", namespace("pid"), "isolation pid is refused; images that bring systemd do not run", ""},
	{"cgroup namespaces", namespace("cgroup"), "no container can run", ""},
	{"EROFS", fileSystem("erofs"), "no image can be used", "modprobe erofs"},
	{"EROFS from a file", erofsFromFile, "each image in use takes a loop device", ""},
	{"overlay", fileSystem("overlay"), "no container can run", "modprobe overlay"},
	{"overlay of detached mounts", plain(linux.ProbeOverlay), "mounts are attached in a mount namespace of silod's for a moment at each start", ""},
	{"owners of an image mapped", mappedBase, "no container can run: a kernel from 5.19 on has it", ""},
	{"ext4", fileSystem("ext4"), "no sandbox disk can be mounted", "modprobe ext4"},
	{"free loop device", plain(linux.ProbeLoop), "no sandbox disk can be attached", "modprobe loop, or stop containers"},
	{"space given back", func(e *Engine) (string, error) { return e.o.Data, linux.ProbePunchHole(e.o.Data) }, "files deleted inside do not give space back to the host", ""},
	{"hidden processes in proc", plain(linux.ProbeHidePID), "no container with isolation process can run", ""},
	{"audit sessions", plain(linux.ProbeAudit), "a container's session number is 0 and the host's audit log does not name it", "boot with audit=1"},
	{"seccomp filters", plain(func() error { return linux.ProbeSeccomp("errno") }), "containers run with --security-opt seccomp=unconfined only", ""},
	{"processes by descriptor", plain(linux.ProbePidfd), "no container can run", ""},
	{"paths beneath a folder", plain(linux.ProbeOpenat2), "no container can run", ""},
	{"cgroups", cgroupMode, "", ""},
	{"cgroup.kill", cgroupKill, "containers are ended by freezing and killing each process", ""},
	{"controller memory", controller("memory"), "--memory is refused", "boot with cgroup_enable=memory"},
	{"controller cpu", controller("cpu"), "--cpus and --cpu-shares are refused", ""},
	{"controller cpuset", controller("cpuset"), "--cpuset-cpus is refused", ""},
	{"controller pids", controller("pids"), "--pids-limit is refused: nothing stops a fork bomb", ""},
	{"controller io", either("io", "blkio"), "stats shows no disk use", ""},
	{"controller freezer", freezer, "pause is refused", ""},
	{"IPv4 forwarding", func(*Engine) (string, error) { return sysctlIs("net/ipv4/ip_forward", "1") }, "containers reach no other host", "sysctl -w net.ipv4.ip_forward=1"},
	{"resolver at the gateway", resolver, "containers resolve no names unless --dns is given", ""},
	{"limit of user namespaces", atLeast("/proc/sys/user/max_user_namespaces", 1024), "that many containers can run at once", "sysctl -w user.max_user_namespaces=65536"},
	{"limit of process numbers", atLeast("/proc/sys/kernel/pid_max", 32768), "containers and host share that many processes", "sysctl -w kernel.pid_max=4194304"},
	{"limit of threads", atLeast("/proc/sys/kernel/threads-max", 16384), "containers and host share that many threads", "sysctl -w kernel.threads-max=131072"},
	{"limit of open files", atLeast("/proc/sys/fs/file-max", 65536), "containers and host share that many", "sysctl -w fs.file-max=1048576"},
	{"limit of neighbours", atLeast("/proc/sys/net/ipv4/neigh/default/gc_thresh3", 1024), "containers beyond that many lose packets", "sysctl -w net.ipv4.neigh.default.gc_thresh3=8192"},
	{"space in the data root", freeSpace, "images and disks may not fit", ""},
	{"mkfs.ext4", program("mkfs.ext4"), "no disk of a size that was not used before can be made: on a new data root no container starts", "apt-get install e2fsprogs"},
	{"ps", program("ps"), "silo top is refused", "apt-get install procps"},
}

// doctor looks at everything that Silo uses of the host.
func (e *Engine) doctor() []api.Check {
	h, err := linux.HostInfo()
	kernel := api.Check{Name: "kernel", Answer: "yes", Detail: strings.TrimSpace(h.Release + " " + h.Machine)}
	if err != nil {
		kernel.Answer, kernel.Detail = "unknown", err.Error()
	}
	list := []api.Check{kernel}
	for _, x := range examinations {
		detail, err := x.probe(e)
		c := api.Check{Name: x.name, Answer: "yes", Detail: detail}
		if err != nil {
			c.Answer, c.Effect, c.Suggestion = "unknown", x.effect, x.suggestion
			if errors.Is(err, linux.ErrAbsent) {
				c.Answer = "no"
			}
			c.Detail = strings.TrimSpace(detail + " " + strings.TrimPrefix(err.Error(), linux.ErrAbsent.Error()+": "))
		}
		list = append(list, c)
	}
	for _, w := range e.net.Inspect().Warnings {
		list = append(list, api.Check{Name: "network", Answer: "no", Detail: w})
	}
	return list
}

// anyBase gives the file of an image's base: real content to try things on.
func (e *Engine) anyBase() (layer.Base, error) {
	entries, err := os.ReadDir(filepath.Join(e.o.Data, "bases"))
	if err != nil {
		return layer.Base{}, err
	}
	for _, entry := range entries {
		if b, err := e.layers.Base("sha256:" + entry.Name()); err == nil {
			return b, nil
		}
	}
	return layer.Base{}, errors.New("no image is here to try it with")
}

func erofsFromFile(e *Engine) (string, error) {
	b, err := e.anyBase()
	if err != nil {
		return "", err
	}
	direct, err := layer.MountsFiles(b.Path)
	if err == nil && !direct {
		err = fmt.Errorf("%w: this kernel wants a block device", linux.ErrAbsent)
	}
	return "", err
}

func mappedBase(e *Engine) (string, error) {
	b, err := e.anyBase()
	if err != nil {
		return "", err
	}
	m, err := layer.MountBase(b.Path)
	if err != nil {
		return "", err
	}
	defer m.Close()
	return "", linux.ProbeIDMap(m)
}

func cgroupMode(e *Engine) (string, error) { return e.cgroups.Mode.String(), nil }

// cgroupKill looks at a group of version 2 that is not the root: the root has
// no such file.
func cgroupKill(e *Engine) (string, error) {
	if e.cgroups.Unified == "" {
		return "", fmt.Errorf("%w: there is no hierarchy of version 2", linux.ErrAbsent)
	}
	g := cgroup.New(e.cgroups, e.cgroupParent(), "doctor")
	if err := g.Create(); err != nil {
		return "", err
	}
	defer func() { _ = g.Destroy() }() // an empty group; the sweep finds what stays
	if _, err := os.Stat(filepath.Join(g.UnifiedDir(), "cgroup.kill")); err != nil {
		return "", fmt.Errorf("%w: %v", linux.ErrAbsent, err)
	}
	return "", nil
}

func controller(name string) func(*Engine) (string, error) { return either(name) }

func either(names ...string) func(*Engine) (string, error) {
	return func(e *Engine) (string, error) {
		for _, n := range names {
			if h, ok := e.cgroups.Controllers[n]; ok {
				return h.Dir, nil
			}
		}
		return "", fmt.Errorf("%w: no hierarchy has it", linux.ErrAbsent)
	}
}

// freezer is a controller of its own only in version 1.
func freezer(e *Engine) (string, error) {
	if e.cgroups.Mode == cgroup.V2 {
		return "part of version 2", nil
	}
	return either("freezer")(e)
}

func sysctlIs(key, want string) (string, error) {
	now, err := linux.ReadSysctl(key)
	if err == nil && now != want {
		err = fmt.Errorf("%w: it is %s", linux.ErrAbsent, now)
	}
	return "", err
}

func resolver(e *Engine) (string, error) {
	r := e.net.Inspect().Resolver
	if !strings.Contains(r, ":53") {
		return "", fmt.Errorf("%w: %s", linux.ErrAbsent, r)
	}
	return r, nil
}

// atLeast compares a limit of the kernel with what many containers take.
func atLeast(path string, least int64) func(*Engine) (string, error) {
	return func(*Engine) (string, error) {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		text := strings.TrimSpace(string(data))
		n, err := strconv.ParseInt(text, 10, 64)
		if errors.Is(err, strconv.ErrRange) { // more than any host has
			return text, nil
		}
		if err == nil && n < least {
			err = fmt.Errorf("%w: less than %d", linux.ErrAbsent, least)
		}
		return text, err
	}
}

func freeSpace(e *Engine) (string, error) {
	const least = 1 << 30
	s, err := linux.StatFS(e.o.Data)
	if err != nil {
		return "", err
	}
	detail := fmt.Sprintf("%d MiB free", s.Free>>20)
	if s.Free < least {
		return detail, fmt.Errorf("%w: less than %d MiB", linux.ErrAbsent, least>>20)
	}
	return detail, nil
}

// program looks for one also where root's programs are.
func program(name string) func(*Engine) (string, error) {
	return func(*Engine) (string, error) {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
		for _, dir := range []string{"/usr/sbin", "/sbin"} {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.Mode()&0o111 != 0 {
				return filepath.Join(dir, name), nil
			}
		}
		return "", fmt.Errorf("%w: not found along PATH", linux.ErrAbsent)
	}
}
