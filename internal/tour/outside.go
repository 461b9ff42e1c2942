package tour

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

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
const patience = 2 * time.Second

var errNoReply = errors.New("no reply")

// noReply is why none came, without the addresses, which the caller shows: what
// the kernel said, or that the time is over.
func noReply(err error) error {
	var said syscall.Errno
	var wait net.Error
	switch {
	case errors.As(err, &said):
		err = said
	case errors.As(err, &wait) && wait.Timeout():
		return fmt.Errorf("%w within %d seconds", errNoReply, int(patience.Seconds()))
	}
	return fmt.Errorf("%w: %w", errNoReply, err)
}

// ping sends an echo request, from the outside host or from this one (nil),
// and waits for its answer.
func (h *outsideHost) ping(to string) error {
	return h.within(func() error {
		addr, err := net.ResolveIPAddr("ip4", to)
		if err != nil {
			return err
		}
		s, err := net.ListenIP("ip4:icmp", nil)
		if err != nil {
			return err
		}
		defer s.Close()
		if err := s.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		id := uint16(os.Getpid())
		if _, err := s.WriteTo(echo(id), addr); err != nil {
			return noReply(err)
		}
		buf := make([]byte, 1500)
		for { // replies to others come here too
			n, from, err := s.ReadFromIP(buf) // without the IP header
			if err != nil {
				return noReply(err)
			}
			if from.IP.Equal(addr.IP) && n >= 8 && buf[0] == 0 && binary.BigEndian.Uint16(buf[4:]) == id {
				return nil
			}
		}
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

// connect opens a TCP connection and closes it. The address is one literal, for
// which Dial works on the calling thread, and so in its network namespace.
func (h *outsideHost) connect(to string, port int) error {
	return h.within(func() error {
		c, err := net.DialTimeout("tcp4", net.JoinHostPort(to, strconv.Itoa(port)), patience)
		if err != nil {
			return noReply(err)
		}
		return c.Close()
	})
}

// listen waits for one TCP connection on a port of the outside host, and gives
// what tells whether it came.
func (h *outsideHost) listen(port int) (came func() bool, err error) {
	var l *net.TCPListener
	err = h.within(func() (err error) {
		l, err = net.ListenTCP("tcp4", &net.TCPAddr{Port: port})
		return err
	})
	if err != nil {
		return nil, err
	}
	return func() bool {
		defer l.Close()
		if err := l.SetDeadline(time.Now().Add(patience)); err != nil {
			return false
		}
		c, err := l.Accept()
		if err != nil {
			return false
		}
		c.Close()
		return true
	}, nil
}

func (h *outsideHost) within(f func() error) error {
	if h == nil {
		return f()
	}
	return linux.InNetNS(h.ns, f)
}
