package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"silo/internal/linux"
)

// outside is another host: a network namespace on a wire of its own to this
// machine. Its addresses are of a range that is never used for real.
type outside struct {
	t  *testing.T
	ns *linux.FD
	h  *netlink.Handle
}

const (
	outsideIP = "198.51.100.9"
	hostIP    = "198.51.100.1"
)

func newOutside(t *testing.T) *outside {
	t.Helper()
	ns, err := linux.NewNetNS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	h, err := netlink.NewHandleAt(netns.NsHandle(ns.Int()), syscall.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	o := &outside{t: t, ns: ns, h: h}
	host, err := netlink.NewHandle(syscall.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = fmt.Sprintf("seo%x", os.Getpid()&0xfffff)
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(ns.Int())}
	if err := host.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := tool("ip", "link", "del", attrs.Name); err != nil {
			t.Error(err)
		}
	})
	o.up(h, "lo", "")
	o.up(h, "eth0", outsideIP+"/24")
	o.up(host, attrs.Name, hostIP+"/24")
	return o
}

func (o *outside) up(h *netlink.Handle, name, addr string) {
	o.t.Helper()
	link, err := h.LinkByName(name)
	if err == nil && addr != "" {
		var a *netlink.Addr
		if a, err = netlink.ParseAddr(addr); err == nil {
			err = h.AddrAdd(link, a)
		}
	}
	if err = errors.Join(err, h.LinkSetUp(link)); err != nil {
		o.t.Fatalf("%s: %v", name, err)
	}
}

// route sends all that the other host does not know through this one.
func (o *outside) route() {
	o.t.Helper()
	if err := o.h.RouteAdd(&netlink.Route{Gw: net.ParseIP(hostIP)}); err != nil {
		o.t.Fatal(err)
	}
}

// tool runs a program on the other host.
func (o *outside) tool(args ...string) (out string, err error) {
	enter := linux.InNetNS(o.ns, func() error {
		out, err = tool(args...)
		return nil
	})
	return out, errors.Join(enter, err)
}

// answers tells whether a web server answers the other host.
func (o *outside) answers(addr string) bool {
	out, err := o.tool("curl", "-sS", "--noproxy", "*", "--max-time", "3", "http://"+addr+"/")
	o.t.Logf("from outside, %s: %q %v", addr, out, err)
	return err == nil
}

// listen opens a TCP port on the other host that accepts everything.
func (o *outside) listen(port int) {
	o.t.Helper()
	var l net.Listener
	err := linux.InNetNS(o.ns, func() (err error) {
		l, err = net.Listen("tcp4", fmt.Sprintf("%s:%d", outsideIP, port))
		return err
	})
	if err != nil {
		o.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, "hello from outside, you are", c.RemoteAddr())
			c.Close()
		}
	}()
	o.t.Cleanup(func() { l.Close(); <-done })
}
