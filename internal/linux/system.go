package linux

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// userHZ is the unit of /proc/stat, always 100 on the architectures Silo
// knows (time(7)).
const userHZ = 100

// SystemCPU gives the time that all processors have spent, in nanoseconds:
// the first line of /proc/stat, without what guests are counted twice.
func SystemCPU() (uint64, error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(data), "\n")
	f := strings.Fields(line)
	if len(f) < 8 || f[0] != "cpu" {
		return 0, errors.New("/proc/stat: no line of all processors")
	}
	var sum uint64
	for _, s := range f[1:8] {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum * (1e9 / userHZ), nil
}

// Host is what the kernel says of itself and the machine.
type Host struct {
	Name, Release, Machine string
	Memory                 int64 // bytes
}

// HostInfo asks the kernel.
func HostInfo() (Host, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Host{}, os.NewSyscallError("uname", err)
	}
	var s unix.Sysinfo_t
	if err := unix.Sysinfo(&s); err != nil {
		return Host{}, os.NewSyscallError("sysinfo", err)
	}
	return Host{
		Name: unix.ByteSliceToString(u.Nodename[:]), Release: unix.ByteSliceToString(u.Release[:]), Machine: unix.ByteSliceToString(u.Machine[:]),
		Memory: int64(s.Totalram) * int64(s.Unit),
	}, nil
}

// CheckKernel refuses a kernel older than major.minor.
func CheckKernel(major, minor int) error {
	h, err := HostInfo()
	if err != nil {
		return err
	}
	var a, b int
	if _, err := fmt.Sscanf(h.Release, "%d.%d", &a, &b); err != nil {
		return fmt.Errorf("kernel release %q is not understood", h.Release)
	}
	if a < major || a == major && b < minor {
		return fmt.Errorf("kernel %s is too old: silo needs %d.%d or newer", h.Release, major, minor)
	}
	return nil
}

// FileSystem is the size of one.
type FileSystem struct {
	Size, Free int64 // bytes; Free is what anybody may take
	Unused     int64 // bytes; Free, and what is held back for root or by the file system
	ReadOnly   bool
}

// StatFS asks the file system of a path.
func StatFS(path string) (FileSystem, error) {
	var s unix.Statfs_t
	if err := retry(func() error { return unix.Statfs(path, &s) }); err != nil {
		return FileSystem{}, &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	return FileSystem{
		Size: int64(s.Blocks) * s.Frsize, Free: int64(s.Bavail) * s.Frsize, Unused: int64(s.Bfree) * s.Frsize,
		ReadOnly: s.Flags&unix.ST_RDONLY != 0,
	}, nil
}
