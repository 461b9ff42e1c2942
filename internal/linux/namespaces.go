package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// InHostAndNetworkOf runs fn on a thread in the UTS and network namespaces of
// an open process. The thread cannot be trusted with other work after that:
// it ends. fn must not hand work to other goroutines.
func InHostAndNetworkOf(process *FD, fn func()) error {
	var err error
	OwnThread(func() {
		// The UTS namespace of a thread is its own only once file system
		// attributes are not shared any more.
		err = os.NewSyscallError("unshare", unix.Unshare(unix.CLONE_FS))
		if err == nil {
			err = os.NewSyscallError("setns", unix.Setns(process.Int(), unix.CLONE_NEWUTS|unix.CLONE_NEWNET))
		}
		if err == nil {
			fn()
		}
	})
	return err
}
