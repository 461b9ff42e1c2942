package network

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"

	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/network/ipam"
)

// PlugConfig says what to plug in.
type PlugConfig struct {
	ID    string           // the container's id
	Netns *linux.FD        // its network namespace
	IP    netip.Addr       // zero: the next free one
	MAC   net.HardwareAddr // nil: derived from the address
}

// Endpoint is a container's place on the network. Its JSON form is meant to be
// kept in the container's record and given to Adopt.
type Endpoint struct {
	ID      string        `json:"id"`              // the container's
	HostIf  string        `json:"hostIf"`          // the host's end of the veth pair
	IP      netip.Addr    `json:"ip"`              //
	Bits    int           `json:"bits"`            // length of the subnet's prefix
	Gateway netip.Addr    `json:"gateway"`         // also the name server
	MAC     string        `json:"mac"`             // of eth0 inside
	MTU     int           `json:"mtu"`             // bytes, when it was plugged in
	Ports   []PortMapping `json:"ports,omitempty"` // as Publish returned them
}

// inside is what the adapter is called in the container.
const inside = "eth0"

var lower32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

func hash(s string, digits int) string {
	sum := sha256.Sum256([]byte(s))
	return lower32.EncodeToString(sum[:])[:digits]
}

// hostPrefix begins the names of all host ends of this network: "sl" and
// three digits for the bridge, so that two daemons tell theirs apart.
func (n *Network) hostPrefix() string { return "sl" + hash(n.cfg.Bridge, 3) }

// hostName names the host end of a container's veth pair; 15 bytes.
func (n *Network) hostName(id string) string { return n.hostPrefix() + hash(id, 10) }

// Plug connects a network namespace to the switch: a veth pair whose inner end
// is named eth0, with address, default route and MAC, up, as is lo. Invalid or
// Conflict for an IP or MAC that cannot be had, Unavailable if no address is
// free. On an error nothing is left.
func (n *Network) Plug(ctx context.Context, c PlugConfig) (Endpoint, error) {
	ep, err := n.plug(ctx, c)
	if err != nil {
		return Endpoint{}, fmt.Errorf("plug into network %s: %w", Name, err)
	}
	return ep, nil
}

func (n *Network) plug(ctx context.Context, c PlugConfig) (ep Endpoint, err error) {
	if c.ID == "" || c.Netns == nil {
		return ep, errs.Invalidf("no container id or network namespace given")
	}
	ep = Endpoint{ID: c.ID, HostIf: n.hostName(c.ID), IP: c.IP.Unmap(), Bits: n.Subnet().Bits(), Gateway: n.Gateway(), MTU: n.MTU()}
	if have, ok := n.Endpoint(c.ID); ok {
		return ep, errs.Conflictf("container is plugged in already with address %s", have.IP)
	}
	if c.IP.IsValid() {
		err = n.pool.Take(ep.IP, c.ID)
	} else {
		ep.IP, err = n.pool.Alloc(c.ID)
	}
	if err != nil {
		return ep, err
	}
	defer func() {
		if err != nil {
			n.pool.Free(ep.IP, c.ID)
		}
	}()
	mac := c.MAC
	if mac == nil {
		mac = ipam.MAC(ep.IP)
	}
	if err := n.pool.TakeMAC(mac, c.ID); err != nil {
		return ep, err
	}
	ep.MAC = mac.String()
	if err = n.connect(ctx, c.Netns, ep, mac); err != nil {
		n.pool.FreeMAC(mac, c.ID)
		return ep, err
	}
	n.mu.Lock()
	n.eps[c.ID] = ep
	n.mu.Unlock()
	return ep, nil
}

// connect makes the veth pair and sets up its inner end, from a thread in the
// container's namespace.
func (n *Network) connect(ctx context.Context, ns *linux.FD, ep Endpoint, mac net.HardwareAddr) error {
	host, err := n.handle()
	if err != nil {
		return err
	}
	defer host.Close()
	at := netns.None()
	if n.cfg.Netns != nil {
		at = netns.NsHandle(n.cfg.Netns.Int())
	}
	socket, err := nl.GetNetlinkSocketAt(at, netns.None(), syscall.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer socket.Close()
	made := false
	err = linux.InNetNS(ns, func() error {
		prepare(n)
		if err := n.makePair(ctx, host, socket, ns, ep, mac); err != nil {
			return err
		}
		made = true
		return address(ep, n.Subnet())
	})
	if err == nil {
		err = n.hairpin(host, ep.HostIf)
	}
	if err != nil && made {
		err = errors.Join(err, deleteLink(host, ep.HostIf))
	}
	return err
}

// Alone sets up a namespace that gets no adapter: its loopback is up, as in any
// other, and its ports are the container's own.
func (n *Network) Alone(ns *linux.FD) error {
	return linux.InNetNS(ns, func() error {
		prepare(n)
		h, err := netlink.NewHandle(syscall.NETLINK_ROUTE)
		if err != nil {
			return fmt.Errorf("open netlink: %w", err)
		}
		defer h.Close()
		return loopbackUp(h)
	})
}

// makePair makes the veth pair in one message: both ends are in place, the
// outer one up and on the bridge, or there is none.
func (n *Network) makePair(ctx context.Context, host *netlink.Handle, socket *nl.NetlinkSocket, ns *linux.FD, ep Endpoint, mac net.HardwareAddr) error {
	for try := 0; ; try++ {
		_, err := n.pairRequest(socket, ns, ep, mac).Execute(syscall.NETLINK_ROUTE, 0)
		switch {
		case err == nil:
			return nil
		case (errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENODEV)) && try == 0:
			// Somebody may have deleted the bridge just now. This thread may be in
			// the container's namespace, so another looks.
			mended := make(chan error, 1)
			go func() { mended <- n.keepBridge() }()
			if err := <-mended; err != nil {
				return fmt.Errorf("make veth %s: %w", ep.HostIf, err)
			}
			continue
		case !errors.Is(err, syscall.EEXIST) || try == 10:
			return fmt.Errorf("make veth %s: %w", ep.HostIf, err)
		}
		// The name is that of the container's former run, whose namespace the
		// kernel has not taken down yet, or of a daemon that was killed here.
		if _, missing := host.LinkByName(ep.HostIf); missing != nil {
			if _, own := netlink.LinkByName(inside); own == nil {
				return errs.Conflictf("the container has an adapter %s already", inside)
			}
			continue
		}
		if err := deleteLink(host, ep.HostIf); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * 10 * time.Millisecond):
		}
	}
}

// pairRequest is that message. The netlink library would set the master in a
// second one, and leave a stray link if killed between the two.
func (n *Network) pairRequest(socket *nl.NetlinkSocket, ns *linux.FD, ep Endpoint, mac net.HardwareAddr) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(syscall.RTM_NEWLINK, syscall.NLM_F_CREATE|syscall.NLM_F_EXCL|syscall.NLM_F_ACK)
	req.Sockets = map[int]*nl.SocketHandle{syscall.NETLINK_ROUTE: {Socket: socket}}
	head := nl.NewIfInfomsg(syscall.AF_UNSPEC)
	head.Flags, head.Change = syscall.IFF_UP, syscall.IFF_UP
	req.AddData(head)
	req.AddData(nl.NewRtAttr(syscall.IFLA_IFNAME, nl.ZeroTerminated(ep.HostIf)))
	req.AddData(nl.NewRtAttr(syscall.IFLA_MTU, nl.Uint32Attr(uint32(ep.MTU))))
	req.AddData(nl.NewRtAttr(syscall.IFLA_MASTER, nl.Uint32Attr(uint32(n.bridge.Load()))))
	info := nl.NewRtAttr(syscall.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	// The kernel cannot bring the inner end up before it has its other end.
	nl.NewIfInfomsgChild(peer, syscall.AF_UNSPEC)
	peer.AddRtAttr(syscall.IFLA_IFNAME, nl.ZeroTerminated(inside))
	peer.AddRtAttr(syscall.IFLA_MTU, nl.Uint32Attr(uint32(ep.MTU)))
	peer.AddRtAttr(syscall.IFLA_ADDRESS, mac)
	peer.AddRtAttr(netNSFD, nl.Uint32Attr(uint32(ns.Int())))
	req.AddData(info)
	return req
}

// hairpin lets the bridge send a packet back where it came from. A container
// that uses its own published port needs it where br_netfilter is loaded: the
// bridge then forwards what was redirected itself, without the IP stack.
func (n *Network) hairpin(h *netlink.Handle, name string) error {
	l, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkSetHairpin(l, true)
	}
	if err != nil {
		return fmt.Errorf("set hairpin mode of %s: %w", name, err)
	}
	return nil
}

// netNSFD is IFLA_NET_NS_FD, which package syscall lacks.
const netNSFD = 28

// prepare sets up the namespace that the calling thread is in, before it has
// an adapter. What a kernel or a nested user namespace refuses only costs a
// convenience, so it is logged.
func prepare(n *Network) {
	for _, s := range [][2]string{
		{"net/ipv6/conf/default/disable_ipv6", "1"},
		// The host's answers to a container that uses a published port of
		// another could tell it a wrong way, and a neighbour's do so on purpose.
		{"net/ipv4/conf/all/accept_redirects", "0"},
		{"net/ipv4/conf/default/accept_redirects", "0"},
		// Any user may listen on any port, and send ICMP echo: the namespace is
		// the container's own.
		{"net/ipv4/ip_unprivileged_port_start", "0"},
		{"net/ipv4/ping_group_range", "0 2147483647"},
	} {
		if err := linux.WriteSysctl(s[0], s[1]); err != nil && !errors.Is(err, syscall.ENOENT) {
			n.log.Info("container goes without a network setting", "sysctl", s[0], "err", err)
		}
	}
}

func loopbackUp(h *netlink.Handle) error {
	lo, err := h.LinkByName("lo")
	if err == nil {
		err = h.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	return nil
}

// address gives eth0 of the calling thread's namespace its address and the
// default route, and brings lo up.
func address(ep Endpoint, subnet netip.Prefix) error {
	h, err := netlink.NewHandle(syscall.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer h.Close()
	if err := loopbackUp(h); err != nil {
		return err
	}
	eth, err := h.LinkByName(inside)
	if err == nil {
		err = h.AddrReplace(eth, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(ep.IP, subnet.Bits()))})
	}
	if err == nil {
		err = h.LinkSetUp(eth)
	}
	if err == nil {
		err = h.RouteReplace(&netlink.Route{LinkIndex: eth.Attrs().Index, Gw: ep.Gateway.AsSlice()})
	}
	if err != nil {
		return fmt.Errorf("set up %s with %s: %w", inside, ep.IP, err)
	}
	return nil
}

// Unplug undoes Plug, Publish and SetNames for one endpoint. Doing it again,
// or after the container's namespace has gone, is no error.
func (n *Network) Unplug(ctx context.Context, ep Endpoint) error {
	n.ClearNames(ep.ID)
	err := n.Unpublish(ctx, ep.ID)
	h, e := n.handle()
	if e == nil {
		// By the name we derive, not the one we are told.
		e = deleteLink(h, n.hostName(ep.ID))
		h.Close()
	}
	if err = errors.Join(err, e); err != nil {
		return fmt.Errorf("unplug from network %s: %w", Name, err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.eps, ep.ID)
	n.release(ep)
	return nil
}

// Holders tells the ids of those who hold an address or a MAC address, or if
// neither is given, any; also of who is just being plugged in or out.
func (n *Network) Holders(ip netip.Addr, mac net.HardwareAddr) []string {
	return n.pool.Owners(ip.Unmap(), mac)
}

func (n *Network) release(ep Endpoint) {
	n.pool.Free(ep.IP, ep.ID)
	if mac, err := net.ParseMAC(ep.MAC); err == nil {
		n.pool.FreeMAC(mac, ep.ID)
	}
}

// Adopt takes over the endpoints that records claim, after a restart of the
// daemon and before Sweep. It changes nothing on the host.
func (n *Network) Adopt(eps []Endpoint) {
	for _, ep := range eps {
		if err := n.pool.Take(ep.IP, ep.ID); err != nil {
			n.log.Warn("a record claims an address that it cannot have", "container", ep.ID, "err", err)
			continue
		}
		if mac, err := net.ParseMAC(ep.MAC); err == nil {
			if err := n.pool.TakeMAC(mac, ep.ID); err != nil {
				n.log.Warn("a record claims a MAC address that it cannot have", "container", ep.ID, "err", err)
			}
		}
		n.mu.Lock()
		n.eps[ep.ID] = ep
		n.mu.Unlock()
	}
}

// Endpoint gives a container's endpoint.
func (n *Network) Endpoint(containerID string) (Endpoint, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ep, ok := n.eps[containerID]
	return ep, ok
}

// Stats counts what went through an endpoint since it was plugged in, as the
// container sees it: received is what it got.
type Stats struct {
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// Stats reads the counters of an endpoint's host end; NotFound if it is gone.
func (n *Network) Stats(hostIf string) (Stats, error) {
	if !strings.HasPrefix(hostIf, n.hostPrefix()) {
		return Stats{}, errs.NotFoundf("statistics of %s: no endpoint of network %s", hostIf, Name)
	}
	h, err := n.handle()
	if err != nil {
		return Stats{}, err
	}
	defer h.Close()
	l, err := h.LinkByName(hostIf)
	if err != nil {
		return Stats{}, errs.NotFoundf("statistics of %s: %v", hostIf, err)
	}
	s := l.Attrs().Statistics
	if s == nil {
		return Stats{}, nil
	}
	return Stats{
		RxBytes: s.TxBytes, RxPackets: s.TxPackets, RxErrors: s.TxErrors, RxDropped: s.TxDropped,
		TxBytes: s.RxBytes, TxPackets: s.RxPackets, TxErrors: s.RxErrors, TxDropped: s.RxDropped,
	}, nil
}
