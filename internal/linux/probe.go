package linux

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrAbsent is what a probe gives, wrapped, if this kernel does not have what
// was asked for. Nil means that it has; another error that it is not known.
var ErrAbsent = errors.New("not there")

// absent sorts an errno: some numbers mean that the kernel cannot do it.
func absent(err error, numbers ...syscall.Errno) error {
	if err != nil && IsErrno(err, numbers...) {
		return fmt.Errorf("%w: %v", ErrAbsent, err)
	}
	return err
}

// ProbeNamespace makes a child in a new namespace of a kind: user, mnt, net,
// uts, ipc, pid or cgroup. The child ends at once.
func ProbeNamespace(kind string) error {
	flags := map[string]uintptr{
		"user": unix.CLONE_NEWUSER, "mnt": unix.CLONE_NEWNS, "net": unix.CLONE_NEWNET, "uts": unix.CLONE_NEWUTS, "ipc": unix.CLONE_NEWIPC,
		"pid": unix.CLONE_NEWPID, "cgroup": unix.CLONE_NEWCGROUP,
	}
	const nowhere = "/proc/self/no-such-program"
	_, err := (&Fork{Flags: flags[kind], Steps: []Step{StepExec(nowhere, []string{nowhere}, nil)}}).Start()
	var step *StepError
	if errors.As(err, &step) && step.Err == unix.ENOENT {
		return nil // it was born, and did not find its program
	}
	return absent(err, unix.EINVAL, unix.ENOSYS, unix.ENOSPC, unix.EUSERS, unix.EPERM)
}

// ProbeFileSystem asks for a kind of file system; the kernel loads its module
// if there is one.
func ProbeFileSystem(kind string) error {
	fd, err := unix.Fsopen(kind, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return absent(os.NewSyscallError("fsopen "+kind, err), unix.ENODEV, unix.ENOSYS)
	}
	return unix.Close(fd)
}

// ProbeHidePID makes a proc that hides what may not be traced (5.8).
func ProbeHidePID() error {
	fd, err := MountFS("proc", []FSOption{{Key: "hidepid", Value: "ptraceable"}}, AttrNoSuid|AttrNoDev|AttrNoExec)
	fd.Close()
	return absent(err, unix.EINVAL)
}

// ProbeAudit asks for an audit session, on a thread that ends with it.
func ProbeAudit() error {
	var err error
	OwnThread(func() { // its session cannot be undone
		var n uint32
		n, err = NewAuditSession(0)
		if err == nil && n == 0 {
			err = fmt.Errorf("%w: no audit in this kernel, or its login user cannot be set", ErrAbsent)
		}
	})
	return err
}

// ProbePidfd opens this process by number, and asks for a signal.
func ProbePidfd() error {
	p, err := PidfdOpen(os.Getpid())
	if err != nil {
		return absent(err, unix.ENOSYS)
	}
	defer p.Close()
	return absent(os.NewSyscallError("pidfd_send_signal", unix.PidfdSendSignal(p.Int(), 0, nil, 0)), unix.ENOSYS)
}

// ProbeOpenat2 opens a folder without leaving it.
func ProbeOpenat2() error {
	root, err := Open("/", OPath|ODirectory, 0)
	if err != nil {
		return err
	}
	defer root.Close()
	fd, err := OpenIn(root, ".", OPath|ODirectory, 0)
	fd.Close()
	return absent(err, unix.ENOSYS)
}

// ProbeSeccomp asks for an action of seccomp filters, such as errno.
func ProbeSeccomp(action string) error {
	data, err := os.ReadFile("/proc/sys/kernel/seccomp/actions_avail")
	if err != nil {
		return absent(err, unix.ENOENT)
	}
	for _, a := range strings.Fields(string(data)) {
		if a == action {
			return nil
		}
	}
	return fmt.Errorf("%w: the actions are %s", ErrAbsent, strings.TrimSpace(string(data)))
}

// ProbeLoop asks for a free loop device.
func ProbeLoop() error {
	ctl, err := Open("/dev/loop-control", ORdwr, 0)
	if err != nil {
		return absent(err, unix.ENOENT, unix.ENODEV, unix.ENXIO)
	}
	defer ctl.Close()
	n, err := unix.IoctlRetInt(ctl.Int(), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return absent(os.NewSyscallError("LOOP_CTL_GET_FREE", err), unix.ENOSPC)
	}
	_, err = os.Stat("/dev/loop" + strconv.Itoa(n)) // a /dev without devtmpfs gets none
	return absent(err, unix.ENOENT)
}

// ProbePunchHole gives back a part of a file in a folder.
func ProbePunchHole(dir string) error {
	n, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	fd := NewFD(n, dir)
	defer fd.Close()
	if err := unix.Ftruncate(n, 1<<16); err != nil {
		return os.NewSyscallError("ftruncate", err)
	}
	err = unix.Fallocate(n, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 1<<15)
	return absent(os.NewSyscallError("fallocate", err), unix.EOPNOTSUPP, unix.ENOSYS)
}

// ProbeOverlay lays a folder in memory over another, as detached mounts and by
// descriptor, which needs 6.15.
func ProbeOverlay() error {
	m, err := MountFS("tmpfs", []FSOption{{Key: "mode", Value: "700"}}, AttrNoSuid|AttrNoDev)
	if err != nil {
		return err
	}
	defer m.Close()
	fds := map[string]*FD{}
	for _, name := range []string{"lower", "upper", "work"} {
		if err := MkdirAt(m, name, 0o700); err != nil {
			return err
		}
		fd, err := OpenBeneath(m, name, OPath|ODirectory, 0)
		if err != nil {
			return err
		}
		defer fd.Close()
		fds[name] = fd
	}
	o, err := MountFS("overlay", []FSOption{{Key: "lowerdir+", FD: fds["lower"]}, {Key: "upperdir", FD: fds["upper"]}, {Key: "workdir", FD: fds["work"]}}, AttrNoDev)
	o.Close()
	return absent(err, unix.EINVAL, unix.EBADF, unix.ENODEV, unix.EOPNOTSUPP)
}

// ProbeIDMap shows a detached mount with other owners, those of a user
// namespace made for it. The mount is changed.
func ProbeIDMap(mount *FD) error {
	const nowhere = "/proc/self/no-such-program"
	done := errors.New("probed")
	var result error
	f := Fork{Flags: unix.CLONE_NEWUSER, Steps: []Step{StepExec(nowhere, []string{nowhere}, nil)}, Prepare: func(pid int) error {
		dir := fmt.Sprintf("/proc/%d/", pid)
		for _, name := range []string{"uid_map", "gid_map"} {
			if result = os.WriteFile(dir+name, []byte("0 100000 65536\n"), 0); result != nil {
				return done
			}
		}
		var ns *FD
		if ns, result = Open(dir+"ns/user", ORdonly, 0); result == nil {
			result = absent(IDMap(mount, ns, false), unix.EINVAL, unix.ENOSYS)
			ns.Close()
		}
		return done
	}}
	if _, err := f.Start(); !errors.Is(err, done) {
		return err
	}
	return result
}
