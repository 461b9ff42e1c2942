package early

import (
	"syscall"
	"time"
	"unsafe"
)

// Ways to call rt_sigprocmask(2), and the bytes of a set of signals.
const (
	sigBlock   = 0
	sigSetMask = 2
	sigSetSize = 8
)

// noNews are signals that a container is not told of, as in package cli.
const noNews = 1<<(syscall.SIGCHLD-1) | 1<<(syscall.SIGPIPE-1) | 1<<(syscall.SIGURG-1) | 1<<(syscall.SIGWINCH-1)

// proxy sends the signals that this program gets to a container. They are
// blocked, so that none is lost, and read from a descriptor.
type proxy struct {
	fd       int // -1: signals do what they always do
	asked    int // a connection on which the daemon was asked to send one, -1: none
	set, old uint64
	info     [128]byte // struct signalfd_siginfo
	held     int       // a signal from before the container was known
	pause    [2]int64  // struct timespec
	socket   string    // of the daemon
	request  *buffer
}

// catch begins; without it the proxy does nothing.
func (p *proxy) catch(socket string) bool {
	p.socket = socket
	p.set = ^uint64(noNews)
	call(syscall.SYS_RT_SIGPROCMASK, sigBlock, uintptr(unsafe.Pointer(&p.set)), uintptr(unsafe.Pointer(&p.old)), sigSetSize, 0)
	p.fd = call(syscall.SYS_SIGNALFD4, ^uintptr(0), uintptr(unsafe.Pointer(&p.set)), sigSetSize, syscall.O_CLOEXEC|syscall.O_NONBLOCK, 0)
	if p.fd < 0 {
		p.release()
	}
	return p.fd >= 0
}

// release lets signals do again what they did before catch.
func (p *proxy) release() {
	if p.set == 0 {
		return
	}
	p.set = 0
	call(syscall.SYS_RT_SIGPROCMASK, sigSetMask, uintptr(unsafe.Pointer(&p.old)), 0, sigSetSize, 0)
	if p.fd >= 0 {
		closeFD(p.fd)
		p.fd = -1
	}
	if p.held != 0 { // there is no container: it was for this program
		call(syscall.SYS_KILL, uintptr(call(syscall.SYS_GETPID, 0, 0, 0, 0, 0)), uintptr(p.held), 0, 0, 0)
	}
}

// ready gives the descriptor that becomes readable when next has something to
// do. While the daemon is asked to send a signal that is its answer: the next
// signal is not to overtake this one, and output goes on meanwhile.
func (p *proxy) ready() int {
	if p.asked >= 0 {
		return p.asked
	}
	return p.fd
}

// next takes one signal and sends it to the container; while there is none the
// first is held, and a second ends this program: the user does not want to
// wait.
func (p *proxy) next(container string) {
	if p.asked >= 0 {
		closeFD(p.asked)
		p.asked = -1
		return
	}
	if read(p.fd, p.info[:]) != len(p.info) {
		return
	}
	n := int(p.info[0]) // ssi_signo, in the order of bytes of amd64
	switch {
	case container != "":
		p.kill(container, n)
	case p.held == 0:
		p.held = n
	default:
		p.release()
	}
}

// known tells the container; what was held for it is sent.
func (p *proxy) known(container string) {
	if p.held != 0 {
		p.kill(container, p.held)
		p.held = 0
	}
}

// pass sends a known container what has come already, before the Go program
// goes on. The daemon has until the end of this program to answer.
func (p *proxy) pass(container string) {
	for p.fd >= 0 && container != "" && read(p.fd, p.info[:]) == len(p.info) {
		p.kill(container, int(p.info[0]))
	}
}

// A daemon that is away is waited for as long as package cli does, 2 s.
const (
	signalTries = 20
	signalPause = 100 * time.Millisecond
)

// unpassed ends this program by a signal that no daemon passes on, if it is one
// that would.
func (p *proxy) unpassed(container string, n int) {
	switch syscall.Signal(n) {
	case syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM:
	default:
		return
	}
	w := p.request
	w.n = 0
	w.add("silo: no daemon is there to pass signal ")
	w.number(n)
	w.add(" on to container ")
	w.add(container[:min(12, len(container))])
	w.add(": it goes on without this client\n")
	write(2, w.bytes())
	p.held = n
	p.release()
}

// kill asks the daemon to send a signal. A container that has ended already
// cannot take it.
func (p *proxy) kill(container string, n int) {
	fd := connect(p.socket)
	for try := 0; fd < 0 && try < signalTries; try++ {
		p.pause = [2]int64{0, int64(signalPause)}
		call(syscall.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&p.pause)), 0, 0, 0, 0)
		fd = connect(p.socket)
	}
	if fd < 0 {
		p.unpassed(container, n)
		return
	}
	w := p.request
	w.n = 0
	w.add("POST /containers/")
	w.add(container)
	w.add("/kill?signal=")
	w.number(n)
	w.add(" HTTP/1.1\r\nHost: silo\r\nUser-Agent: silo\r\nContent-Length: 0\r\n\r\n")
	if w.full || !send(fd, w.bytes()) {
		closeFD(fd)
		return
	}
	p.asked = fd
}
