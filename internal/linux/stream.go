package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// Stream is a connected unix stream socket whose reads and writes block a
// thread each. It is for programs that start, ask one question and end: they
// save the poller and its goroutine switches.
type Stream struct{ f *os.File }

// DialStream connects to a socket by path. The error is an *os.SyscallError.
func DialStream(path string) (*Stream, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := retry(func() error { return unix.Connect(fd, &unix.SockaddrUnix{Name: path}) }); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	return NewStream(fd, path), nil
}

// NewStream makes a stream of a connected socket, which it owns.
func NewStream(fd int, path string) *Stream { return &Stream{os.NewFile(uintptr(fd), path)} }

func (s *Stream) Read(p []byte) (int, error)  { return s.f.Read(p) }
func (s *Stream) Write(p []byte) (int, error) { return s.f.Write(p) }

// CloseWrite ends what is sent; the other side can still be read.
func (s *Stream) CloseWrite() error { return s.shutdown(unix.SHUT_WR) }

// Close ends both directions, also under a Read that waits.
func (s *Stream) Close() error {
	_ = s.shutdown(unix.SHUT_RDWR) // the other side may be gone already
	return s.f.Close()
}

func (s *Stream) shutdown(how int) error {
	rc, err := s.f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := rc.Control(func(fd uintptr) { serr = unix.Shutdown(int(fd), how) }); err != nil {
		return err
	}
	return os.NewSyscallError("shutdown", serr)
}
