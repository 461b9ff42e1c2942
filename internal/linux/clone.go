package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// noSession is the audit session of a process that has none.
const noSession = ^uint32(0)

// CloneFlags gives the namespaces of an agent: user and mount always.
func CloneFlags(net, uts, ipc bool) uintptr {
	flags := uintptr(unix.CLONE_NEWUSER | unix.CLONE_NEWNS)
	if net {
		flags |= unix.CLONE_NEWNET
	}
	if uts {
		flags |= unix.CLONE_NEWUTS
	}
	if ipc {
		flags |= unix.CLONE_NEWIPC
	}
	return flags
}

// StepUnshareCgroup makes the child's cgroups the roots of what it sees.
func StepUnshareCgroup() Step { return StepUnshare(unix.CLONE_NEWCGROUP) }

// NewAuditSession gives the calling thread, which must be locked, a fresh
// audit session with the given login user, and returns its number. All
// children inherit it and, without CAP_AUDIT_CONTROL over the host, none can
// change it. A kernel without audit gives 0 and no error; so does one whose
// login user has been made immutable.
func NewAuditSession(loginUID uint32) (uint32, error) {
	err := os.WriteFile("/proc/thread-self/loginuid", []byte(strconv.FormatUint(uint64(loginUID), 10)), 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || IsErrno(err, unix.EPERM, unix.EINVAL) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("new audit session: %w", err)
	}
	data, err := os.ReadFile("/proc/thread-self/sessionid")
	if err != nil {
		return 0, fmt.Errorf("new audit session: %w", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(data)), 10, 32)
	if err != nil || uint32(n) == noSession {
		return 0, nil
	}
	return uint32(n), nil
}
