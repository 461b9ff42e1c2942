package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// guest is the first process of the machine: it mounts what a system has,
// runs the job, says how it ended, and stops the machine.
func guest() {
	code, err := guestRun()
	if err != nil {
		fmt.Fprintf(os.Stderr, "vm: guest: %v\n", err)
		code = 125
	}
	fmt.Printf("%s%d\n", exitMark, code)
	syscall.Sync()
	// The machine has no power to switch off: with reboot=t and qemu's
	// -no-reboot, a restart ends it.
	_ = syscall.Reboot(syscall.LINUX_REBOOT_CMD_RESTART)
	select {}
}

func guestRun() (int, error) {
	text, err := os.ReadFile("/job.json")
	if err != nil {
		return 0, err
	}
	var j job
	if err := json.Unmarshal(text, &j); err != nil {
		return 0, err
	}
	if err := leaveRootfs(); err != nil {
		return 0, err
	}
	for _, m := range [][3]string{{"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}, {"devtmpfs", "/dev", "devtmpfs"}, {"tmpfs", "/tmp", "tmpfs"}, {"tmpfs", "/run", "tmpfs"}} {
		if err := syscall.Mount(m[0], m[1], m[2], 0, ""); err != nil {
			return 0, fmt.Errorf("mount %s: %w", m[1], err)
		}
	}
	for dir, fstype := range map[string]string{"/dev/pts": "devpts", "/dev/shm": "tmpfs"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return 0, err
		}
		if err := syscall.Mount(fstype, dir, fstype, 0, ""); err != nil {
			return 0, fmt.Errorf("mount %s: %w", dir, err)
		}
	}
	for from, to := range map[string]string{"/proc/self/fd": "/dev/fd", "/proc/self/fd/0": "/dev/stdin", "/proc/self/fd/1": "/dev/stdout", "/proc/self/fd/2": "/dev/stderr"} {
		_ = os.Symlink(from, to)
	}
	if out, err := exec.Command("/bin/busybox", "--install", "-s", "/bin").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("busybox --install: %w: %s", err, out)
	}
	for _, m := range j.Modules {
		if out, err := exec.Command("/bin/busybox", "insmod", filepath.Join("/modules", m)).CombinedOutput(); err != nil {
			return 0, fmt.Errorf("insmod %s: %w: %s", m, err, out)
		}
	}
	if err := mountCgroups(j.Cgroup); err != nil {
		return 0, err
	}
	if out, err := exec.Command("/bin/busybox", "ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return 0, fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	if j.Disk {
		if err := mount("/dev/vda", "/disk", "ext4", ""); err != nil {
			return 0, err
		}
	}
	return runJob(j)
}

// leaveRootfs puts the same files on a mount of their own above the kernel's
// rootfs: from that one pivot_root(2) is refused, as no real system lives there.
func leaveRootfs() error {
	if err := syscall.Mount("/", "/root", "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind /: %w", err)
	}
	if err := os.Chdir("/root"); err != nil {
		return err
	}
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move mount to /: %w", err)
	}
	if err := syscall.Chroot("."); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	return os.Chdir("/")
}

// mountCgroups arranges the hierarchies as a host of that kind has them.
func mountCgroups(mode string) error {
	const top = "/sys/fs/cgroup"
	if mode == "v2" {
		return mount("cgroup2", top, "cgroup2", "nsdelegate")
	}
	if mode != "v1" && mode != "hybrid" {
		return fmt.Errorf("cgroup arrangement %q: known are v1, hybrid and v2", mode)
	}
	if err := mount("tmpfs", top, "tmpfs", "mode=755"); err != nil {
		return err
	}
	for _, c := range []string{"cpu,cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "name=systemd"} {
		options := c
		if strings.HasPrefix(c, "name=") {
			options = "none," + c
		}
		if err := mount("cgroup", filepath.Join(top, strings.TrimPrefix(c, "name=")), "cgroup", options); err != nil {
			return err
		}
	}
	if mode == "hybrid" {
		return mount("cgroup2", top+"/unified", "cgroup2", "")
	}
	return nil
}

func mount(source, dir, fstype, options string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount(source, dir, fstype, 0, options); err != nil {
		return fmt.Errorf("mount %s %s: %w", dir, options, err)
	}
	return nil
}

// runJob runs the command and reaps orphans until it ends.
func runJob(j job) (int, error) {
	cmd := exec.Command(j.Command[0], j.Command[1:]...)
	temp := "/tmp"
	if j.Disk { // a file system that loop devices and overlays can use
		temp = "/disk"
	}
	cmd.Dir = "/package"
	cmd.Env = []string{"PATH=/tools:/bin", "HOME=/root", "TMPDIR=" + temp, "SILO_BIN=/silo", "SILO_TEST_MUST=" + j.Must, "TERM=dumb"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, os.Stdout, os.Stderr
	if path, err := findIn("/bin", j.Command[0]); err == nil {
		cmd.Path, cmd.Err = path, nil
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if pid != cmd.Process.Pid {
			continue
		}
		if ws.Signaled() {
			return 128 + int(ws.Signal()), nil
		}
		return ws.ExitStatus(), nil
	}
}

// findIn resolves a command without a slash; the first process has no PATH.
func findIn(dir, name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	path := filepath.Join(dir, name)
	_, err := os.Stat(path)
	return path, err
}
