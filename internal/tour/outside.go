package tour

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"silo/internal/linux"
)

// The host outside: a network namespace, joined to this host by a cable of two
// interfaces, in the range that is kept for tests between networks.
const (
	outsideName = "silo-tour"
	cableHere   = "silotour0"
	cableThere  = "silotour1"
	addressHere = "198.18.77.1"
	addressOut  = "198.18.77.2"
)

// outsideHost is that host.
type outsideHost struct {
	ns     *linux.FD
	subnet string // of the containers
}

// newOutside makes it; ip is an address of a container.
func newOutside(ip string) (*outsideHost, error) {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return nil, fmt.Errorf("tour: container %s has no address: %v", one, err)
	}
	h := &outsideHost{subnet: netip.PrefixFrom(addr, 20).Masked().String()}
	_ = h.remove() // of a tour that was cut off
	for _, line := range []string{
		"netns add " + outsideName,
		"link add " + cableHere + " type veth peer name " + cableThere + " netns " + outsideName,
		"addr add " + addressHere + "/24 dev " + cableHere,
		"link set " + cableHere + " up",
		"-n " + outsideName + " addr add " + addressOut + "/24 dev " + cableThere,
		"-n " + outsideName + " link set " + cableThere + " up",
		"-n " + outsideName + " link set lo up",
	} {
		if err := ipCommand(line); err != nil {
			return h, err
		}
	}
	h.ns, err = linux.Open("/run/netns/"+outsideName, linux.ORdonly, 0)
	return h, err
}

// ipCommand runs the command ip.
func ipCommand(line string) error {
	if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		return fmt.Errorf("tour: ip %s: %v: %s", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// route leads the outside host's way to the containers through this one.
func (h *outsideHost) route() error {
	return ipCommand("-n " + outsideName + " route replace " + h.subnet + " via " + addressHere)
}

// remove takes it away; the cable goes with it.
func (h *outsideHost) remove() error {
	if h == nil {
		return nil
	}
	h.ns.Close()
	h.ns = nil
	if _, err := os.Stat("/run/netns/" + outsideName); err != nil {
		return nil
	}
	_ = exec.Command("ip", "link", "del", cableHere).Run() // else it goes some time after the namespace
	return ipCommand("netns del " + outsideName)
}

// patience is how long an answer is awaited.
var patience = syscall.Timeval{Sec: 2}

var errNoReply = errors.New("no reply")

// ping sends an echo request, from the outside host or from this one (nil),
// and waits for its answer.
func (h *outsideHost) ping(to string) error {
	return h.within(func() error {
		addr, err := netip.ParseAddr(to)
		if err != nil {
			return err
		}
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.IPPROTO_ICMP)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		s := linux.NewFD(fd, "echo")
		defer s.Close()
		if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &patience); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		id := uint16(os.Getpid())
		if err := syscall.Sendto(fd, echo(id), 0, &syscall.SockaddrInet4{Addr: addr.As4()}); err != nil {
			return fmt.Errorf("%w: %w", errNoReply, err)
		}
		buf := make([]byte, 1500)
		for range 64 { // replies to others come here too
			n, from, err := syscall.Recvfrom(fd, buf, 0)
			if err != nil {
				return fmt.Errorf("%w: %w", errNoReply, err)
			}
			head := int(buf[0]&15) * 4
			sa, ok := from.(*syscall.SockaddrInet4)
			if ok && sa.Addr == addr.As4() && n >= head+8 && buf[head] == 0 && binary.BigEndian.Uint16(buf[head+4:]) == id {
				return nil
			}
		}
		return errNoReply
	})
}

// echo is an echo request.
func echo(id uint16) []byte {
	b := []byte{8, 0, 0, 0, 0, 0, 0, 1, 's', 'i', 'l', 'o'}
	binary.BigEndian.PutUint16(b[4:], id)
	var sum uint32
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum+sum>>16))
	return b
}

// connect opens a TCP connection and closes it.
func (h *outsideHost) connect(to string, port int) error {
	return h.within(func() error {
		addr, err := netip.ParseAddr(to)
		if err != nil {
			return err
		}
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		s := linux.NewFD(fd, "connection")
		defer s.Close()
		if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &patience); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: addr.As4()}); err != nil {
			return fmt.Errorf("%w: %w", errNoReply, err)
		}
		return nil
	})
}

// listen waits for one TCP connection on a port of the outside host, and gives
// what tells whether it came.
func (h *outsideHost) listen(port int) (came func() bool, err error) {
	var fd int
	err = h.within(func() error {
		if fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err != nil {
			return os.NewSyscallError("socket", err)
		}
		if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: port}); err != nil {
			return os.NewSyscallError("bind", err)
		}
		if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &patience); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		return os.NewSyscallError("listen", syscall.Listen(fd, 1))
	})
	s := linux.NewFD(fd, "listener")
	if err != nil {
		s.Close()
		return nil, err
	}
	return func() bool {
		defer s.Close()
		n, _, err := syscall.Accept4(s.Int(), syscall.SOCK_CLOEXEC)
		if err != nil {
			return false
		}
		linux.NewFD(n, "connection").Close()
		return true
	}, nil
}

func (h *outsideHost) within(f func() error) error {
	if h == nil {
		return f()
	}
	return linux.InNetNS(h.ns, f)
}
