package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// Pipe makes a pipe: what is written to w is read from r.
func Pipe() (r, w *FD, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil, nil, os.NewSyscallError("pipe2", err)
	}
	return NewFD(p[0], "pipe"), NewFD(p[1], "pipe"), nil
}

// HungUp tells whether the other side of a connection is closed both ways.
func HungUp(f *FD) bool { return polled(f.Int())&unix.POLLHUP != 0 }

// NobodyReads tells whether what is written to a raw descriptor is lost: its pipe,
// connection or terminal has no other side any more.
func NobodyReads(fd int) bool { return polled(fd)&(unix.POLLERR|unix.POLLHUP) != 0 }

// polled gives what poll(2) tells of a descriptor unasked, at once.
func polled(fd int) int16 {
	p := []unix.PollFd{{Fd: int32(fd)}}
	if _, err := unix.Poll(p, 0); err != nil {
		return 0
	}
	return p[0].Revents
}

// SetNonblock makes calls on the open object return at once.
func SetNonblock(f *FD) error {
	return os.NewSyscallError("fcntl", unix.SetNonblock(f.Int(), true))
}

// PollFile turns the FD into an *os.File that waits in the runtime's poller
// and takes deadlines.
func (f *FD) PollFile() *os.File {
	_ = unix.SetNonblock(f.Int(), true)
	return f.File()
}

// ReadFD reads from a raw descriptor once.
func ReadFD(fd int, b []byte) (n int, err error) {
	err = retry(func() (err error) { n, err = unix.Read(fd, b); return })
	return max(n, 0), err
}

// ShutdownFile ends the output of a connected socket; input goes on until it
// is closed. Other files are left alone.
func ShutdownFile(f *os.File) {
	if rc, err := f.SyscallConn(); err == nil {
		_ = rc.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_WR) })
	}
}

// EndFile ends a connected socket both ways before it is closed, and takes in
// what has come: closed with that unread, the other side would get "connection
// reset" after the output in place of its end. Other files are left alone.
func EndFile(f *os.File) {
	rc, err := f.SyscallConn()
	if err != nil {
		return
	}
	_ = rc.Control(func(fd uintptr) {
		if unix.Shutdown(int(fd), unix.SHUT_RDWR) != nil {
			return
		}
		buf := make([]byte, 64<<10)
		for { // nothing more can come, so this ends
			n, err := ReadFD(int(fd), buf)
			if n <= 0 || err != nil {
				return
			}
		}
	})
}

// WriteFull writes all of data, waiting where the descriptor does not block
// of itself.
func WriteFull(f *FD, data []byte) error {
	for len(data) > 0 {
		n, err := unix.Write(f.Int(), data)
		switch err {
		case nil:
			data = data[n:]
		case unix.EINTR:
		case unix.EAGAIN:
			p := []unix.PollFd{{Fd: int32(f.Int()), Events: unix.POLLOUT}}
			if _, err := unix.Poll(p, -1); err != nil && err != unix.EINTR {
				return os.NewSyscallError("poll", err)
			}
		default:
			return os.NewSyscallError("write", err)
		}
	}
	return nil
}
