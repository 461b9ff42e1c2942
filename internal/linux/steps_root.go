package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// This file holds steps by which a child makes a root for itself, and the wait
// for one child.

// StepMkdir makes a folder.
func StepMkdir(path string, mode uint32) Step {
	return NewStep("mkdir "+path, unix.SYS_MKDIRAT, atCWD, 0, uintptr(mode)).str(1, path)
}

// StepsPivot make the mount at path the root of the child's mount namespace
// and detach the old root with all that is mounted there.
func StepsPivot(path string) []Step {
	return []Step{
		StepChdir(path),
		NewStep("pivot_root to "+path, unix.SYS_PIVOT_ROOT).str(0, ".").str(1, "."),
		// The old root now lies over the new one at ".".
		NewStep("detach the old root", unix.SYS_UMOUNT2, 0, unix.MNT_DETACH).str(0, "."),
		StepChdir("/"),
	}
}

// WaitPID waits for one child to end, and reaps it.
func WaitPID(pid int) (ws WaitStatus, err error) {
	err = retry(func() error { _, err := unix.Wait4(pid, &ws, unix.WALL, nil); return err })
	return ws, os.NewSyscallError("wait4", err)
}
