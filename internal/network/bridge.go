package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/network/ipam"
)

// handle opens a netlink socket in the host's network namespace.
func (n *Network) handle() (*netlink.Handle, error) {
	ns := netns.None()
	if n.cfg.Netns != nil {
		ns = netns.NsHandle(n.cfg.Netns.Int())
	}
	h, err := netlink.NewHandleAt(ns, syscall.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return h, nil
}

// link is what we ask of an interface.
type link struct {
	index, master, mtu int
	name, kind, alias  string
}

// links lists the host's interfaces.
func (n *Network) links() ([]link, error) {
	h, err := n.handle()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	// A dump that the kernel changed under us is asked for again.
	var list []netlink.Link
	for range 5 {
		if list, err = h.LinkList(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	links := make([]link, len(list))
	for i, l := range list {
		a := l.Attrs()
		links[i] = link{index: a.Index, master: a.MasterIndex, mtu: a.MTU, name: a.Name, kind: l.Type(), alias: a.Alias}
	}
	return links, nil
}

// alias marks a bridge as this network's, for `ip link` and for other daemons.
func (n *Network) alias() string { return "silo network " + n.rec.ID }

// findBridge gives our bridge, nil if it is not there. A bridge of the name
// without our mark is only ours if it is as empty as a daemon that was killed
// while making it would have left it.
func (n *Network) findBridge() (*link, error) {
	links, err := n.links()
	if err != nil {
		return nil, err
	}
	var found *link
	ports := 0
	for i, l := range links {
		if l.name == n.cfg.Bridge {
			found = &links[i]
		}
	}
	if found == nil {
		return nil, nil
	}
	for _, l := range links {
		if l.master == found.index {
			ports++
		}
	}
	switch {
	case found.kind != "bridge":
		return nil, errs.Conflictf("%s is already the name of a %s link: give another --bridge", found.name, found.kind)
	case found.alias == n.alias():
		return found, nil
	case found.alias != "":
		return nil, errs.Conflictf("bridge %s belongs to another daemon (%s): give another --bridge, or if that daemon is gone: ip link delete %s", found.name, found.alias, found.name)
	case ports > 0:
		return nil, errs.Conflictf("bridge %s exists and is not Silo's: give another --bridge", found.name)
	}
	return found, nil
}

// makeBridge makes the bridge, or completes the one that is there. Each step
// does nothing where its effect is there already.
func (n *Network) makeBridge(have *link) error {
	h, err := n.handle()
	if err != nil {
		return err
	}
	defer h.Close()
	mtu, err := n.uplinkMTU(h)
	if err != nil {
		return err
	}
	n.mtu.Store(int64(mtu))
	off := false
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.MTU = n.cfg.Bridge, ipam.MAC(n.Gateway()), mtu
	bridge := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &off}
	if have == nil {
		if err := h.LinkAdd(bridge); err != nil {
			return fmt.Errorf("make bridge %s: %w", n.cfg.Bridge, err)
		}
	}
	l, err := h.LinkByName(n.cfg.Bridge)
	if err != nil {
		return fmt.Errorf("make bridge %s: %w", n.cfg.Bridge, err)
	}
	n.bridge.Store(int64(l.Attrs().Index))
	// No IPv6 on the bridge, so no waiting for duplicate addresses either.
	err = linux.InNetNS(n.cfg.Netns, func() error {
		err := linux.WriteSysctl("net/ipv6/conf/"+escape(n.cfg.Bridge)+"/disable_ipv6", "1")
		if errors.Is(err, syscall.ENOENT) {
			return nil // a host without IPv6
		}
		return err
	})
	if err == nil && l.Attrs().Alias != n.alias() {
		err = h.LinkSetAlias(l, n.alias())
	}
	if err == nil && l.Attrs().HardwareAddr.String() != attrs.HardwareAddr.String() {
		err = h.LinkSetHardwareAddr(l, attrs.HardwareAddr)
	}
	if err == nil && l.Attrs().MTU != mtu {
		err = h.LinkSetMTU(l, mtu)
	}
	if err == nil {
		err = h.AddrReplace(l, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(n.Gateway(), n.Subnet().Bits()))})
	}
	if err == nil {
		err = h.LinkSetUp(l)
	}
	if err != nil {
		return fmt.Errorf("set up bridge %s: %w", n.cfg.Bridge, err)
	}
	return nil
}

// younger tells whether our bridge was made after another interface.
func (n *Network) younger(other string) bool {
	links, err := n.links()
	if err != nil {
		return false
	}
	for _, l := range links {
		if l.name == other {
			return int(n.bridge.Load()) > l.index
		}
	}
	return false
}

// removeBridge deletes the bridge, if it is there.
func (n *Network) removeBridge() error {
	h, err := n.handle()
	if err != nil {
		return err
	}
	defer h.Close()
	return deleteLink(h, n.cfg.Bridge)
}

// deleteLink deletes an interface; one that is gone is no error.
func deleteLink(h *netlink.Handle, name string) error {
	l, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkDel(l)
	}
	var missing netlink.LinkNotFoundError
	if err == nil || errors.As(err, &missing) || errors.Is(err, syscall.ENODEV) {
		return nil
	}
	return fmt.Errorf("delete link %s: %w", name, err)
}

// uplinkMTU gives the MTU of the interface that the best default route leaves
// by, 1500 if there is none.
func (n *Network) uplinkMTU(h *netlink.Handle) (int, error) {
	routes, err := h.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: syscall.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return 0, fmt.Errorf("list routes: %w", err)
	}
	var best *netlink.Route
	for i, r := range routes {
		if p, ok := prefixOf(r.Dst); r.Dst != nil && (!ok || p.Bits() != 0) {
			continue
		}
		if uplinkOf(&r) != 0 && (best == nil || r.Priority < best.Priority) {
			best = &routes[i]
		}
	}
	const usual = 1500
	if best == nil {
		return usual, nil
	}
	l, err := h.LinkByIndex(uplinkOf(best))
	// Below 68 the kernel does not speak IPv4; above 65535 (loopback and some
	// tunnels) a bridge cannot follow.
	if err != nil || l.Attrs().MTU < 68 || l.Attrs().MTU > 65535 {
		return usual, nil
	}
	return l.Attrs().MTU, nil
}

// uplinkOf gives the interface of a route, of its first path if it has many.
func uplinkOf(r *netlink.Route) int {
	if r.LinkIndex == 0 && len(r.MultiPath) > 0 {
		return r.MultiPath[0].LinkIndex
	}
	return r.LinkIndex
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// prefixOf turns an address range of netlink into ours, if it is IPv4.
func prefixOf(n *net.IPNet) (netip.Prefix, bool) {
	if n == nil {
		return netip.Prefix{}, false
	}
	a, ok := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	if !ok || !a.Unmap().Is4() {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a.Unmap(), ones), true
}
