package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// NotifySocket is a unix datagram socket that tells who sent.
type NotifySocket struct{ f *os.File }

// Datagram is one message with its sender's process, as the kernel knows it.
// FDs are the receiver's to close.
type Datagram struct {
	PID  int
	UID  uint32
	Text string
	FDs  []int
}

// ListenNotify makes a datagram socket at path, in place of a stale one.
func ListenNotify(path string, mode uint32) (*NotifySocket, error) {
	raw, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	_ = unix.Unlink(path)
	if err = unix.SetsockoptInt(raw, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err == nil {
		err = unix.Bind(raw, &unix.SockaddrUnix{Name: path})
	}
	if err == nil {
		err = unix.Chmod(path, mode)
	}
	if err != nil {
		unix.Close(raw)
		return nil, &os.PathError{Op: "listen", Path: path, Err: err}
	}
	return &NotifySocket{f: os.NewFile(uintptr(raw), path)}, nil
}

// Receive waits for a message. What does not fit into buf is cut off. A
// message without a sender that this process can see has PID 0.
func (s *NotifySocket) Receive(buf []byte) (d Datagram, err error) {
	rc, err := s.f.SyscallConn()
	if err != nil {
		return d, err
	}
	oob := make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(MaxFDs*4))
	var n, oobn int
	rerr := rc.Read(func(fd uintptr) bool {
		err = retry(func() (err error) {
			n, oobn, _, _, err = unix.Recvmsg(int(fd), buf, oob, unix.MSG_CMSG_CLOEXEC)
			return err
		})
		return err != unix.EAGAIN
	})
	if rerr != nil {
		return d, rerr
	}
	if err != nil {
		return d, os.NewSyscallError("recvmsg", err)
	}
	d.Text = string(buf[:n])
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return d, nil // without a sender: it is for nobody
	}
	for i := range msgs {
		if cred, err := unix.ParseUnixCredentials(&msgs[i]); err == nil {
			d.PID, d.UID = int(cred.Pid), cred.Uid
		}
	}
	d.FDs, _ = rights(oob[:oobn])
	return d, nil
}
