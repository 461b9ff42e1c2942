package linux

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OpenPTY makes a pseudo terminal of the devpts instance whose multiplexer is
// at ptmx. The slave is opened through the master, not by name, so that
// nothing planted below /dev/pts is ever opened.
func OpenPTY(ptmx string) (master, slave *FD, err error) {
	master, err = Open(ptmx, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			master.Close()
		}
	}()
	if err = unix.IoctlSetPointerInt(master.Int(), unix.TIOCSPTLCK, 0); err != nil {
		return nil, nil, fmt.Errorf("unlock terminal: %w", os.NewSyscallError("ioctl TIOCSPTLCK", err))
	}
	n, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(master.Int()), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		err = errno
		return nil, nil, fmt.Errorf("open terminal: %w", os.NewSyscallError("ioctl TIOCGPTPEER", errno))
	}
	return master, NewFD(int(n), "terminal"), nil
}

// SetWinsize sets the size of a terminal in characters. A size of 0 is left
// alone.
func SetWinsize(fd int, rows, cols uint16) error {
	if rows == 0 || cols == 0 {
		return nil
	}
	ws := unix.Winsize{Row: rows, Col: cols}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCSWINSZ, uintptr(unsafe.Pointer(&ws)))
	if errno != 0 {
		return os.NewSyscallError("ioctl TIOCSWINSZ", errno)
	}
	return nil
}

// Chown sets the owner of an open file; -1 leaves an id as it is.
func (f *FD) Chown(uid, gid int) error {
	if err := unix.Fchown(f.Int(), uid, gid); err != nil {
		return &os.PathError{Op: "fchown", Path: f.name, Err: err}
	}
	return nil
}
