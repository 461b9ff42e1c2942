package linux

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Socket is a connected unix stream socket that can carry descriptors. It
// waits in the Go runtime's poller, not in a thread, and does without package
// net, which would double the size of the small programs.
type Socket struct {
	f   *os.File
	rc  syscall.RawConn
	oob []byte // of Recv
}

// MaxFDs is how many descriptors one message may carry (SCM_MAX_FD).
const MaxFDs = 253

// NewSocket takes ownership of a connected unix stream socket.
func NewSocket(raw int, name string) (*Socket, error) {
	if err := unix.SetNonblock(raw, true); err != nil {
		unix.Close(raw)
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(raw), name)
	rc, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Socket{f: f, rc: rc}, nil
}

// Socketpair makes two connected unix stream sockets, close-on-exec.
func Socketpair() (a, b int, err error) {
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	return p[0], p[1], os.NewSyscallError("socketpair", err)
}

// File gives the underlying file, for deadlines; it stays owned by s.
func (s *Socket) File() *os.File { return s.f }

// Close closes the socket.
func (s *Socket) Close() error { return s.f.Close() }

// Send writes b whole, with descriptors attached to its first byte.
func (s *Socket) Send(b []byte, fds ...int) error {
	if len(fds) > MaxFDs {
		return fmt.Errorf("send on %s: %d descriptors, at most %d fit in one message", s.f.Name(), len(fds), MaxFDs)
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for len(b) > 0 {
		var n int
		var err error
		werr := s.rc.Write(func(fd uintptr) bool {
			err = retry(func() (err error) {
				n, err = unix.SendmsgN(int(fd), b, oob, nil, unix.MSG_NOSIGNAL)
				return err
			})
			return err != unix.EAGAIN
		})
		if werr != nil {
			return werr
		}
		if err != nil {
			return os.NewSyscallError("sendmsg", err)
		}
		b, oob = b[n:], nil
	}
	return nil
}

// Recv reads up to len(b) bytes and the descriptors that came with them,
// which the caller then owns. The end of the stream is io.EOF. It is for one
// goroutine at a time.
func (s *Socket) Recv(b []byte) (n int, fds []int, err error) {
	if s.oob == nil {
		s.oob = make([]byte, unix.CmsgSpace(MaxFDs*4))
	}
	oob := s.oob
	var oobn, flags int
	rerr := s.rc.Read(func(fd uintptr) bool {
		err = retry(func() (err error) {
			n, oobn, flags, _, err = unix.Recvmsg(int(fd), b, oob, unix.MSG_CMSG_CLOEXEC)
			return err
		})
		return err != unix.EAGAIN
	})
	if rerr != nil {
		return 0, nil, rerr
	}
	if err != nil {
		return 0, nil, os.NewSyscallError("recvmsg", err)
	}
	if oobn > 0 {
		if fds, err = rights(oob[:oobn]); err != nil {
			return n, nil, err
		}
	}
	if flags&unix.MSG_CTRUNC != 0 {
		CloseAll(fds)
		return n, nil, errors.New("recvmsg: descriptors were cut off: too many open files")
	}
	if n == 0 && len(b) > 0 {
		return 0, fds, io.EOF
	}
	return n, fds, nil
}

func rights(oob []byte) (fds []int, err error) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, os.NewSyscallError("parse control message", err)
	}
	for i := range msgs {
		got, err := unix.ParseUnixRights(&msgs[i])
		if err != nil {
			continue // credentials or another kind: not ours
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

// CloseAll closes raw descriptors.
func CloseAll(fds []int) {
	for _, fd := range fds {
		_ = unix.Close(fd)
	}
}

// ListenUnix makes a listening unix stream socket at path with the given
// mode, in place of a stale one.
func ListenUnix(path string, mode uint32) (*FD, error) {
	raw, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	fd := NewFD(raw, path)
	_ = unix.Unlink(path)
	old := unix.Umask(0o177)
	err = unix.Bind(raw, &unix.SockaddrUnix{Name: path})
	unix.Umask(old)
	if err == nil {
		err = unix.Chmod(path, mode)
	}
	if err == nil {
		err = unix.Listen(raw, 128)
	}
	if err != nil {
		fd.Close()
		return nil, &os.PathError{Op: "listen", Path: path, Err: err}
	}
	return fd, nil
}

// Accept waits in the poller for one connection on a listening socket.
func Accept(listener *os.File) (*Socket, error) {
	rc, err := listener.SyscallConn()
	if err != nil {
		return nil, err
	}
	var raw int
	rerr := rc.Read(func(fd uintptr) bool {
		err = retry(func() (err error) {
			raw, _, err = unix.Accept4(int(fd), unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
			return err
		})
		return err != unix.EAGAIN
	})
	if rerr != nil {
		return nil, rerr
	}
	if err != nil {
		return nil, os.NewSyscallError("accept4", err)
	}
	return NewSocket(raw, "connection to "+listener.Name())
}

// DialUnix connects to the unix stream socket at path.
func DialUnix(path string) (*Socket, error) {
	raw, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := retry(func() error { return unix.Connect(raw, &unix.SockaddrUnix{Name: path}) }); err != nil {
		unix.Close(raw)
		return nil, &os.PathError{Op: "connect", Path: path, Err: err}
	}
	return NewSocket(raw, path)
}

// PeerUID gives the user id of the process at the other end.
func (s *Socket) PeerUID() (uint32, error) {
	var cred *unix.Ucred
	var err error
	cerr := s.rc.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if cerr != nil {
		return 0, cerr
	}
	if err != nil {
		return 0, os.NewSyscallError("getsockopt SO_PEERCRED", err)
	}
	return cred.Uid, nil
}

// Unread tells how much memory what was written to a Unix socket takes that
// its other side has not read yet.
func Unread(f *FD) (int, error) {
	n, err := unix.IoctlGetInt(f.Int(), unix.SIOCOUTQ)
	return n, os.NewSyscallError("ioctl SIOCOUTQ", err)
}
