package linux

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// RawFD gives the number of a file without taking it out of the poller, as
// File.Fd would.
func RawFD(f *os.File) int {
	n := -1
	if rc, err := f.SyscallConn(); err == nil {
		_ = rc.Control(func(fd uintptr) { n = int(fd) })
	}
	return n
}

// KeepOnExec sets whether descriptors survive an exec.
func KeepOnExec(fds []int, keep bool) error {
	flag := unix.FD_CLOEXEC
	if keep {
		flag = 0
	}
	for _, fd := range fds {
		if fd < 0 {
			continue
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag); err != nil {
			return os.NewSyscallError("fcntl F_SETFD", err)
		}
	}
	return nil
}

// ExecFD replaces the program of this process; it returns only on failure.
func ExecFD(program *FD, argv, envv []string) error {
	steps := []Step{StepExecFD(program, argv, envv)}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return Run(steps)
}
