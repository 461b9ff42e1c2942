package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// CloneRootOf makes a detached copy of the root mount of a process in another
// mount namespace. The kernel copies only mounts of the caller's own
// namespace, so a thread goes there for it. It ends there too: a thread whose
// namespace was changed must run nothing else.
func CloneRootOf(pid int) (tree *FD, err error) {
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
	OwnThread(func() {
		if err = os.NewSyscallError("unshare", unix.Unshare(unix.CLONE_FS)); err != nil {
			return
		}
		if err = os.NewSyscallError("setns", unix.Setns(ns.Int(), unix.CLONE_NEWNS)); err == nil {
			tree, err = CloneTree(root, "", false)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("copy the root mount of process %d: %w", pid, err)
	}
	return tree, nil
}
