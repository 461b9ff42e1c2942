package linux

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ListenSpec says where and how to listen. Kind is one of ListenStream,
// ListenDatagram, ListenSequentialPacket and ListenFIFO, as in socket units.
type ListenSpec struct {
	Kind     string
	Path     string // of a unix socket or FIFO; a leading @ is the abstract name space
	Host     string // IP address, "" is every address
	Port     int
	IPv6Only bool
	Mode     uint32 // of a path
	UID, GID int    // owner of a path
	Backlog  int

	KeepAlive, NoDelay, ReusePort, FreeBind, PassCred bool

	ReceiveBuffer, SendBuffer, PipeSize int // bytes, 0 is the kernel's
}

// ListenOn opens a socket or FIFO and listens. It does not block.
func ListenOn(s ListenSpec) (*FD, error) {
	if s.Kind == "ListenFIFO" {
		return openFIFO(s)
	}
	kinds := map[string]int{"ListenStream": unix.SOCK_STREAM, "ListenDatagram": unix.SOCK_DGRAM, "ListenSequentialPacket": unix.SOCK_SEQPACKET}
	kind, ok := kinds[s.Kind]
	if !ok {
		return nil, fmt.Errorf("%s is not known", s.Kind)
	}
	family, addr, err := s.address()
	if err != nil {
		return nil, err
	}
	raw, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err == unix.EAFNOSUPPORT && family == unix.AF_INET6 && s.Host == "" { // a kernel without IPv6
		family, addr = unix.AF_INET, &unix.SockaddrInet4{Port: s.Port}
		raw, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	}
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	fd := NewFD(raw, "socket")
	if err := s.bind(raw, family, kind, addr); err != nil {
		fd.Close()
		return nil, err
	}
	return fd, nil
}

func (s ListenSpec) address() (family int, addr unix.Sockaddr, err error) {
	if s.Path != "" {
		if len(s.Path) > 107 {
			return 0, nil, errors.New("a socket's path has at most 107 bytes")
		}
		return unix.AF_UNIX, &unix.SockaddrUnix{Name: s.Path}, nil
	}
	if s.Host == "" {
		return unix.AF_INET6, &unix.SockaddrInet6{Port: s.Port}, nil
	}
	ip, err := netip.ParseAddr(s.Host)
	switch {
	case err != nil:
		return 0, nil, err
	case ip.Zone() != "":
		return 0, nil, errors.New("an address with a zone")
	case ip.Is4():
		return unix.AF_INET, &unix.SockaddrInet4{Port: s.Port, Addr: ip.As4()}, nil
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: s.Port, Addr: ip.As16()}, nil
}

// option is one setsockopt.
type option struct {
	on                 bool
	level, name, value int
}

func (s ListenSpec) bind(raw, family, kind int, addr unix.Sockaddr) error {
	v6only := 0
	if s.IPv6Only {
		v6only = 1
	}
	path := family == unix.AF_UNIX && !strings.HasPrefix(s.Path, "@")
	inet := family != unix.AF_UNIX
	for _, o := range []option{
		{inet, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1},
		{family == unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v6only},
		{s.KeepAlive, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{s.NoDelay && inet && kind == unix.SOCK_STREAM, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{s.ReusePort, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
		{s.FreeBind && inet, unix.IPPROTO_IP, unix.IP_FREEBIND, 1},
		{s.PassCred && !inet, unix.SOL_SOCKET, unix.SO_PASSCRED, 1},
		{s.ReceiveBuffer > 0, unix.SOL_SOCKET, unix.SO_RCVBUF, s.ReceiveBuffer},
		{s.SendBuffer > 0, unix.SOL_SOCKET, unix.SO_SNDBUF, s.SendBuffer},
	} {
		if o.on {
			if err := unix.SetsockoptInt(raw, o.level, o.name, o.value); err != nil {
				return os.NewSyscallError("setsockopt", err)
			}
		}
	}
	if path { // a stale one of an earlier run; nothing else is taken away
		var st unix.Stat_t
		if unix.Lstat(s.Path, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK {
			_ = unix.Unlink(s.Path)
		}
		old := unix.Umask(0o777 &^ int(s.Mode))
		defer unix.Umask(old)
	}
	if err := unix.Bind(raw, addr); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if path {
		if err := unix.Lchown(s.Path, s.UID, s.GID); err != nil {
			return &os.PathError{Op: "chown", Path: s.Path, Err: err}
		}
	}
	if kind == unix.SOCK_DGRAM {
		return nil
	}
	return os.NewSyscallError("listen", unix.Listen(raw, max(s.Backlog, 1)))
}

func openFIFO(s ListenSpec) (*FD, error) {
	if err := unix.Mkfifo(s.Path, s.Mode); err != nil && err != unix.EEXIST {
		return nil, &os.PathError{Op: "mkfifo", Path: s.Path, Err: err}
	}
	// Open for writing too, so that a reader does not see the end when a
	// writer leaves.
	fd, err := Open(s.Path, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd.Int(), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFIFO {
		fd.Close()
		return nil, fmt.Errorf("%s is there and no FIFO", s.Path)
	}
	err = unix.Fchown(fd.Int(), s.UID, s.GID)
	if err == nil {
		err = unix.Fchmod(fd.Int(), s.Mode)
	}
	if err != nil {
		fd.Close()
		return nil, &os.PathError{Op: "chmod", Path: s.Path, Err: err}
	}
	if s.PipeSize > 0 {
		_, _ = unix.FcntlInt(uintptr(fd.Int()), unix.F_SETPIPE_SZ, s.PipeSize) // a wish
	}
	return fd, nil
}

// SetBlocking makes calls on the open object wait.
func SetBlocking(f *FD) error {
	return os.NewSyscallError("fcntl", unix.SetNonblock(f.Int(), false))
}

// Watch waits for an open object to become readable, without reading.
type Watch struct{ f *os.File }

// WatchReadable makes a watch, with a descriptor of its own.
func WatchReadable(fd *FD) (*Watch, error) {
	own, err := fd.Dup()
	if err != nil {
		return nil, err
	}
	return &Watch{f: own.PollFile()}, nil
}

// Wait returns true when there is something to read, false when the watch is
// closed.
func (w *Watch) Wait() bool {
	rc, err := w.f.SyscallConn()
	if err != nil {
		return false
	}
	err = rc.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
	return err == nil
}

// Close ends a wait.
func (w *Watch) Close() { w.f.Close() }

// AcceptConn takes a connection that waits; nil if none does. peer names who
// connected: addresses and ports, or process and user.
func AcceptConn(listener *FD) (conn *FD, peer string, err error) {
	if err := SetNonblock(listener); err != nil {
		return nil, "", err
	}
	raw, sa, err := unix.Accept4(listener.Int(), unix.SOCK_CLOEXEC)
	switch err {
	case nil:
	case unix.EAGAIN, unix.EINTR, unix.ECONNABORTED:
		return nil, "", nil
	default:
		return nil, "", os.NewSyscallError("accept4", err)
	}
	conn = NewFD(raw, "connection")
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		peer = netip.AddrFrom4(sa.Addr).String() + "-" + strconv.Itoa(sa.Port)
	case *unix.SockaddrInet6:
		peer = netip.AddrFrom16(sa.Addr).Unmap().String() + "-" + strconv.Itoa(sa.Port)
	default:
		if cred, err := unix.GetsockoptUcred(raw, unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			peer = strconv.Itoa(int(cred.Uid)) + "-" + strconv.Itoa(int(cred.Pid))
		}
	}
	return conn, peer, nil
}

// Drain throws away what waits on a socket or FIFO.
func Drain(fd *FD) {
	if SetNonblock(fd) != nil {
		return
	}
	buf := make([]byte, 4096)
	for range 1024 {
		if conn, _, err := AcceptConn(fd); err == nil && conn != nil {
			conn.Close()
			continue
		}
		if _, err := unix.Read(fd.Int(), buf); err != nil {
			return
		}
	}
}

// DupFile makes an FD of an *os.File, which stays open.
func DupFile(f *os.File) (fd *FD, err error) {
	rc, err := f.SyscallConn()
	if err != nil {
		return nil, err
	}
	var n int
	cerr := rc.Control(func(raw uintptr) { n, err = unix.FcntlInt(raw, unix.F_DUPFD_CLOEXEC, 3) })
	if cerr != nil {
		return nil, cerr
	}
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	return NewFD(n, f.Name()), nil
}
