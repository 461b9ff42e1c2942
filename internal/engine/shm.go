package engine

import (
	"slices"
	"strings"
	"syscall"

	"silo/internal/errs"
	"silo/internal/linux"
)

// sharedShm clones the /dev/shm of the host, or of another container with its
// owners as this one's: each has a range of user ids of its own.
func sharedShm(b *sandbox, ipc string, join []joinNS) (shm *linux.FD, err error) {
	if ipc == "host" {
		return linux.CloneTree(nil, "/dev/shm", false)
	}
	i := slices.IndexFunc(join, func(j joinNS) bool { return j.kind == "ipc" })
	if i < 0 {
		return nil, errs.Invalidf("ipc %q: no container to share with", ipc)
	}
	if shm, err = linux.CloneOf(join[i].pid, "dev/shm"); err != nil {
		return nil, err
	}
	err = linux.SetMountAttr(shm, linux.AttrNoSuid|linux.AttrNoDev|linux.AttrNoExec, 0, false)
	if err == nil {
		err = linux.IDMap(shm, b.userns, false)
	}
	if linux.IsErrno(err, syscall.EINVAL) {
		err = errs.New(errs.NotSupported, "share /dev/shm with %s: this kernel cannot map the owners of a tmpfs: it needs Linux 6.3", strings.TrimPrefix(ipc, "container:"))
	}
	if err != nil {
		shm.Close()
		return nil, err
	}
	return shm, nil
}
