package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Memfd makes a file in memory that holds data and can never be changed
// again (all seals), positioned at its start.
func Memfd(name string, data []byte) (*FD, error) {
	n, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	fd := NewFD(n, "memfd "+name)
	for off := 0; off < len(data); {
		w, err := unix.Pwrite(n, data[off:], int64(off))
		if err != nil {
			fd.Close()
			return nil, fmt.Errorf("fill memfd %s: %w", name, os.NewSyscallError("pwrite", err))
		}
		off += w
	}
	const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(n), unix.F_ADD_SEALS, seals); err != nil {
		fd.Close()
		return nil, os.NewSyscallError("fcntl F_ADD_SEALS", err)
	}
	return fd, nil
}
