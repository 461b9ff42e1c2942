package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// CloneRootOf makes a detached copy of the root mount of a process in another
// mount namespace.
func CloneRootOf(pid int) (tree *FD, err error) { return CloneOf(pid, ".") }

// CloneOf makes a detached copy of what a process in another mount namespace
// has at a folder, a path below its root. The kernel copies only mounts of the caller's own
// namespace, so a thread goes there for it. It ends there too: a thread whose
// namespace was changed must run nothing else.
func CloneOf(pid int, folder string) (tree *FD, err error) {
	ns, err := Open(fmt.Sprintf("/proc/%d/ns/mnt", pid), unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	root, err := Open(fmt.Sprintf("/proc/%d/root", pid), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	dir, err := OpenIn(root, folder, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	OwnThread(func() {
		if err = os.NewSyscallError("unshare", unix.Unshare(unix.CLONE_FS)); err != nil {
			return
		}
		if err = os.NewSyscallError("setns", unix.Setns(ns.Int(), unix.CLONE_NEWNS)); err == nil {
			tree, err = CloneTree(dir, "", false)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("copy the mount at %s of process %d: %w", folder, pid, err)
	}
	return tree, nil
}
