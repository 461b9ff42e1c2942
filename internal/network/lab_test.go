package network

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"silo/internal/linux"
	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// lab is a host with an outside, each a network namespace: nothing of these
// tests touches the machine they run on.
//
//	outside 203.0.113.9 ── veth ── 203.0.113.1 host ── silo0 ── containers
type lab struct {
	t       *testing.T
	host    *linux.FD
	outside *linux.FD
	dir     string
}

const (
	outsideIP = "203.0.113.9"
	hostIP    = "203.0.113.1"
)

func newLab(t *testing.T) *lab {
	testenv.NeedRoot(t)
	l := &lab{t: t, dir: t.TempDir()}
	l.host, l.outside = l.ns(), l.ns()
	l.do(l.host, func(h *netlink.Handle) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = "eth0"
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(l.outside.Int())}
		l.ok(h.LinkAdd(veth))
		l.up(h, "lo", "")
		l.up(h, "eth0", hostIP+"/24")
		l.ok(h.RouteAdd(&netlink.Route{Gw: net.ParseIP(outsideIP)}))
	})
	l.do(l.outside, func(h *netlink.Handle) {
		l.up(h, "lo", "")
		l.up(h, "eth0", outsideIP+"/24")
	})
	l.write("resolv.conf", "")
	return l
}

func (l *lab) ok(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// ns makes a network namespace for the length of the test.
func (l *lab) ns() *linux.FD {
	ns, err := linux.NewNetNS()
	l.ok(err)
	l.t.Cleanup(func() { ns.Close() })
	return ns
}

func (l *lab) do(ns *linux.FD, f func(h *netlink.Handle)) {
	l.t.Helper()
	h, err := netlink.NewHandleAt(netns.NsHandle(ns.Int()), syscall.NETLINK_ROUTE)
	l.ok(err)
	defer h.Close()
	f(h)
}

func (l *lab) up(h *netlink.Handle, name, addr string) {
	l.t.Helper()
	link, err := h.LinkByName(name)
	l.ok(err)
	if addr != "" {
		a, err := netlink.ParseAddr(addr)
		l.ok(err)
		l.ok(h.AddrAdd(link, a))
	}
	l.ok(h.LinkSetUp(link))
}

func (l *lab) write(name, content string) string {
	path := filepath.Join(l.dir, name)
	l.ok(os.WriteFile(path, []byte(content), 0o600))
	return path
}

func (l *lab) config(bridge string) Config {
	return Config{
		Bridge: bridge, Dir: filepath.Join(l.dir, bridge), Netns: l.host, ResolvConf: filepath.Join(l.dir, "resolv.conf"),
		Log: slog.New(slog.NewTextHandler(l.t.Output(), nil)),
	}
}

func (l *lab) open(cfg Config) *Network {
	l.t.Helper()
	n, err := Open(context.Background(), cfg)
	l.ok(err)
	l.t.Cleanup(func() { n.Close() })
	return n
}

// container is a namespace plugged into a network.
type container struct {
	id string
	ns *linux.FD
	ep Endpoint
}

func id(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

func (l *lab) container(n *Network, name string) container {
	l.t.Helper()
	c := container{id: id(name), ns: l.ns()}
	var err error
	c.ep, err = n.Plug(context.Background(), PlugConfig{ID: c.id, Netns: c.ns})
	l.ok(err)
	return c
}

// run runs a command in a namespace and gives its output.
func (l *lab) run(ns *linux.FD, args ...string) (string, error) {
	var out []byte
	err := linux.InNetNS(ns, func() error {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
		var err error
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func (l *lab) must(ns *linux.FD, args ...string) string {
	l.t.Helper()
	out, err := l.run(ns, args...)
	l.ok(err)
	return out
}

// serve answers TCP connections and UDP packets in a namespace with the
// client's address and the server's name.
func (l *lab) serve(ns *linux.FD, name string, port uint16) {
	l.t.Helper()
	l.ok(linux.InNetNS(ns, func() error {
		tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: int(port)})
		if err != nil {
			return err
		}
		udp, err := net.ListenUDP("udp4", &net.UDPAddr{Port: int(port)})
		if err != nil {
			tcp.Close()
			return err
		}
		l.t.Cleanup(func() { tcp.Close(); udp.Close() })
		go func() {
			for {
				c, err := tcp.Accept()
				if err != nil {
					return
				}
				host, _, _ := net.SplitHostPort(c.RemoteAddr().String())
				fmt.Fprintf(c, "%s saw %s", name, host)
				c.Close()
			}
		}()
		go func() {
			var b [64]byte
			for {
				_, from, err := udp.ReadFromUDPAddrPort(b[:])
				if err != nil {
					return
				}
				udp.WriteToUDPAddrPort(fmt.Appendf(nil, "%s saw %s", name, from.Addr()), from)
			}
		}()
		return nil
	}))
}

// wait is how long a connection that must not come about is given; one that
// must has longer.
const wait = 300 * time.Millisecond

var errNoReply = errors.New("no reply")

// call asks a server of serve.
func (l *lab) call(ns *linux.FD, proto string, to netip.AddrPort, patience time.Duration) (string, error) {
	var reply []byte
	err := linux.InNetNS(ns, func() error {
		d := net.Dialer{Timeout: patience}
		c, err := d.Dial(proto, to.String())
		if err != nil {
			return errors.Join(errNoReply, err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		if proto == "udp" {
			if _, err := c.Write([]byte("hello")); err != nil {
				return errors.Join(errNoReply, err)
			}
			b := make([]byte, 100)
			n, err := c.Read(b)
			reply = b[:n]
			return errors.Join(noReply(err), err)
		}
		reply, err = io.ReadAll(c)
		return err
	})
	return string(bytes.TrimSpace(reply)), err
}

func noReply(err error) error {
	if err != nil {
		return errNoReply
	}
	return nil
}

// reaches checks that a call gets the wanted answer, by TCP and UDP.
func (l *lab) reaches(what string, ns *linux.FD, ip netip.Addr, port uint16, want string) {
	l.t.Helper()
	for _, proto := range []string{"tcp", "udp"} {
		got, err := l.call(ns, proto, netip.AddrPortFrom(ip, port), 5*time.Second)
		if err != nil || got != want {
			l.t.Errorf("%s, %s to %s:%d: got %q (%v), want %q", what, proto, ip, port, got, err, want)
		}
	}
}

// blocked checks that a call gets no answer.
func (l *lab) blocked(what string, ns *linux.FD, ip netip.Addr, port uint16) {
	l.t.Helper()
	for _, proto := range []string{"tcp", "udp"} {
		if got, err := l.call(ns, proto, netip.AddrPortFrom(ip, port), wait); err == nil {
			l.t.Errorf("%s, %s to %s:%d: got %q, want no answer", what, proto, ip, port, got)
		}
	}
}

func (l *lab) pings(what string, ns *linux.FD, ip netip.Addr, want bool) {
	l.t.Helper()
	args := []string{"ping", "-n", "-c", "1", "-W", "5", ip.String()}
	if !want {
		args[5] = "0.3"
	}
	if _, err := l.run(ns, args...); (err == nil) != want {
		l.t.Errorf("%s: ping %s: %v, want reply %v", what, ip, err, want)
	}
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
