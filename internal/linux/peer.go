package linux

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Peer is the process that connected a unix socket, as the kernel noted it
// then, in ids of our user namespace.
type Peer struct {
	PID      int32
	UID, GID uint32
	Groups   []uint32 // supplementary
}

// PeerOf asks for the peer of a connected unix socket (SO_PEERCRED,
// SO_PEERGROUPS).
func PeerOf(c syscall.Conn) (*Peer, error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	var p *Peer
	cerr := rc.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			p = &Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid, Groups: peerGroups(fd)}
		}
	})
	if cerr != nil {
		return nil, cerr
	}
	if err != nil {
		return nil, os.NewSyscallError("getsockopt SO_PEERCRED", err)
	}
	return p, nil
}

// peerGroups gives none where the kernel does not tell: groups only ever
// allow more.
func peerGroups(fd uintptr) []uint32 {
	groups := make([]uint32, 64)
	for range 2 { // once more if there are more than fit
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 {
			return groups[:size/4]
		}
		if errno != unix.ERANGE {
			return nil
		}
		groups = make([]uint32, size/4)
	}
	return nil
}
