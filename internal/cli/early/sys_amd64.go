package early

import (
	"syscall"
	"unsafe"
)

// syscall6 calls the kernel; the result is an error from -4095 to -1.
//
//go:noescape
func syscall6(number, a, b, c, d, e, f uintptr) (result uintptr)

// call makes a system call, again if a signal broke it off. Below 0 the result
// is an error.
func call(number, a, b, c, d, e uintptr) int {
	for {
		if n := int(syscall6(number, a, b, c, d, e, 0)); n != -int(syscall.EINTR) {
			return n
		}
	}
}

func addr(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

func read(fd int, b []byte) int {
	return call(syscall.SYS_READ, uintptr(fd), addr(b), uintptr(len(b)), 0, 0)
}

func write(fd int, b []byte) int {
	return call(syscall.SYS_WRITE, uintptr(fd), addr(b), uintptr(len(b)), 0, 0)
}

func closeFD(fd int) { call(syscall.SYS_CLOSE, uintptr(fd), 0, 0, 0, 0) }

// send writes all of b to a socket, without a signal if nobody reads any more.
func send(fd int, b []byte) bool {
	for len(b) > 0 {
		n := call(syscall.SYS_SENDTO, uintptr(fd), addr(b), uintptr(len(b)), syscall.MSG_NOSIGNAL, 0)
		if n <= 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

// address is the kernel's struct sockaddr_un.
type address struct {
	family uint16
	path   [108]byte
}

// connect gives a connection to the socket at a path, or a number below 0.
func connect(path string) int {
	a := &space.address
	if len(path) >= len(a.path) {
		return -1
	}
	a.family = syscall.AF_UNIX
	a.path[put(a.path[:], path)] = 0
	fd := call(syscall.SYS_SOCKET, syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0, 0, 0)
	if fd < 0 {
		return fd
	}
	n := call(syscall.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(a)), uintptr(3+len(path)), 0, 0)
	if n < 0 || fd <= 2 { // a number of a closed standard stream: the Go runtime opens those first
		closeFD(fd)
		return -1
	}
	return fd
}

// window is the kernel's struct winsize: rows, columns and both in pixels.
type window [4]uint16

// terminalSize asks standard output for its size, if it is a terminal.
func terminalSize() size {
	w := &space.window
	if call(syscall.SYS_IOCTL, 1, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(w)), 0, 0) < 0 {
		return size{}
	}
	return size{int(w[0]), int(w[1])}
}

// pollFD is the kernel's struct pollfd.
type pollFD struct {
	fd              int32
	events, revents int16
}

// Events of poll(2).
const (
	pollIn  = 0x1
	pollOut = 0x4
)

// await waits until fd is ready for events or there is a signal to be read from
// the descriptor signals, which may be -1.
func await(fd int, events int16, signals int) (signal bool) {
	p := &space.polled
	p[0] = pollFD{fd: int32(fd), events: events}
	p[1] = pollFD{fd: int32(signals), events: pollIn}
	call(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(p)), uintptr(len(p)), 0, 0, 0)
	return p[1].revents != 0
}
