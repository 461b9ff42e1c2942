package linux

import (
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Signal is a signal number.
type Signal = unix.Signal

// SIGKILL and SIGTERM by name, for callers that may not import x/sys.
const (
	SIGKILL = unix.SIGKILL
	SIGTERM = unix.SIGTERM
)

// WaitStatus tells how a process ended.
type WaitStatus = unix.WaitStatus

// WaitAny waits for any child to end. ok is false if there is none; with
// noHang also if none has ended yet (then pid is 0 and ok true).
func WaitAny(noHang bool) (pid int, ws WaitStatus, ok bool) {
	flags := unix.WALL
	if noHang {
		flags |= unix.WNOHANG
	}
	var err error
	_ = retry(func() error { pid, err = unix.Wait4(-1, &ws, flags, nil); return err })
	if err != nil {
		return 0, ws, false
	}
	return pid, ws, true
}

// AwaitAny waits until any child has ended and leaves it for WaitAny; false if
// there is no child.
func AwaitAny() bool {
	return retry(func() error { return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT|unix.WALL, nil) }) == nil
}

// HasChild tells whether there is a child, one that has ended among them.
func HasChild() bool {
	return retry(func() error {
		return unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG|unix.WALL, nil)
	}) == nil
}

// ExitCode gives the code that a shell would report: 128+n after signal n.
func ExitCode(ws WaitStatus) (code, signal int) {
	if ws.Signaled() {
		return 128 + int(ws.Signal()), int(ws.Signal())
	}
	return ws.ExitStatus(), 0
}

// Kill sends a signal to a process by number. Use a pidfd where the process
// may be gone and its number taken again.
func Kill(pid int, sig Signal) error {
	return os.NewSyscallError("kill", unix.Kill(pid, sig))
}

// Gone tells whether no process, nor its zombie, has the number.
func Gone(pid int) bool { return unix.Kill(pid, 0) == unix.ESRCH }

// PidfdOpen opens a process.
func PidfdOpen(pid int) (*FD, error) {
	n, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, os.NewSyscallError("pidfd_open", err)
	}
	return NewFD(n, "process "+strconv.Itoa(pid)), nil
}

// PidfdSignal sends a signal to an open process. A process that has ended is
// os.ErrProcessDone.
func PidfdSignal(p *FD, sig Signal) error {
	err := unix.PidfdSendSignal(p.Int(), sig, nil, 0)
	if err == unix.ESRCH {
		return os.ErrProcessDone
	}
	return os.NewSyscallError("pidfd_send_signal", err)
}

// SetSubreaper makes orphaned descendants children of this process.
func SetSubreaper() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// SetUndumpable keeps processes of the same user from tracing this one.
func SetUndumpable() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0))
}

// SetHostname and SetDomainname name the UTS namespace of this process.
func SetHostname(name string) error {
	return os.NewSyscallError("sethostname", unix.Sethostname([]byte(name)))
}

// SetDomainname sets the NIS domain name.
func SetDomainname(name string) error {
	return os.NewSyscallError("setdomainname", unix.Setdomainname([]byte(name)))
}

// JoinPIDNamespace makes children of the calling thread, which must be locked
// for good, be born in the PID namespace of a process.
func JoinPIDNamespace(process *FD) error {
	return os.NewSyscallError("setns", unix.Setns(process.Int(), unix.CLONE_NEWPID))
}

// Join puts the calling thread, which must be locked, into a namespace.
func Join(ns *FD) error { return os.NewSyscallError("setns", unix.Setns(ns.Int(), 0)) }

// RaiseHardLimit lets a process set resource up to hard: it raises the hard
// limit if it is lower. It needs CAP_SYS_RESOURCE to raise.
func RaiseHardLimit(pid, resource int, hard uint64) error {
	var now unix.Rlimit
	if err := unix.Prlimit(pid, resource, nil, &now); err != nil {
		return os.NewSyscallError("prlimit", err)
	}
	if now.Max >= hard {
		return nil
	}
	now.Max = hard
	return os.NewSyscallError("prlimit", unix.Prlimit(pid, resource, &now, nil))
}

// IsErrno tells whether err is, or wraps, one of the error numbers.
func IsErrno(err error, numbers ...syscall.Errno) bool {
	for err != nil {
		if e, ok := err.(syscall.Errno); ok {
			for _, n := range numbers {
				if e == n {
					return true
				}
			}
			return false
		}
		u, ok := err.(interface{ Unwrap() error })
		if !ok {
			return false
		}
		err = u.Unwrap()
	}
	return false
}
