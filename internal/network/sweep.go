package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"

	"silo/internal/network/nat"
)

// Sweep removes what a killed daemon left and no adopted endpoint claims:
// veths with our name pattern on our bridge or on none, and published ports
// in our table. It puts back what an adopted endpoint claims and is missing.
// It returns what it removed.
func (n *Network) Sweep(_ context.Context) (removed []string, err error) {
	n.publish.Lock()
	defer n.publish.Unlock()
	removed, err = n.sweepLinks()
	ports, e := n.sweepPorts()
	if err = errors.Join(err, e); err != nil {
		err = fmt.Errorf("sweep network %s: %w", Name, err)
	}
	return append(removed, ports...), err
}

func (n *Network) sweepLinks() (removed []string, err error) {
	// Listed first: what is plugged in after that is none of ours to judge.
	links, err := n.links()
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	claimed := map[string]bool{}
	for id := range n.eps {
		claimed[n.hostName(id)] = true
	}
	n.mu.Unlock()
	h, err := n.handle()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	bridge := int(n.bridge.Load())
	for _, l := range links {
		if l.kind != "veth" || !strings.HasPrefix(l.name, n.hostPrefix()) || (l.master != bridge && l.master != 0) {
			continue
		}
		if !claimed[l.name] {
			if e := deleteLink(h, l.name); e != nil {
				err = errors.Join(err, e)
				continue
			}
			removed = append(removed, "veth "+l.name)
			continue
		}
		if l.master == 0 { // the bridge was deleted and made anew
			err = errors.Join(err, n.putBack(h, l.name))
		}
	}
	return removed, err
}

// putBack makes a container's link a port of the bridge again.
func (n *Network) putBack(h *netlink.Handle, name string) error {
	found, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkSetMasterByIndex(found, int(n.bridge.Load()))
	}
	if err != nil {
		return fmt.Errorf("put %s back on %s: %w", name, n.cfg.Bridge, err)
	}
	return nil
}

// keepBridge makes a bridge that somebody has deleted again, with the
// containers on it, and mends one that was set down or has lost its address.
func (n *Network) keepBridge() error {
	n.bridging.Lock()
	defer n.bridging.Unlock()
	have, err := n.findBridge()
	if err != nil {
		return err
	}
	h, err := n.handle()
	if err != nil {
		return err
	}
	defer h.Close()
	if have != nil {
		if n.bridgeWorks(h) {
			return nil
		}
		n.log.Warn("the bridge is down or without its address: it is set up again", "bridge", n.cfg.Bridge)
		return n.makeBridge(have)
	}
	if err := n.makeBridge(nil); err != nil {
		return err
	}
	n.log.Warn("the bridge was deleted: it is made again", "bridge", n.cfg.Bridge)
	links, err := n.links()
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.kind == "veth" && l.master == 0 && strings.HasPrefix(l.name, n.hostPrefix()) {
			err = errors.Join(err, n.putBack(h, l.name))
		}
	}
	return err
}

func (n *Network) sweepPorts() (removed []string, err error) {
	have, err := n.table.Ports()
	if err != nil {
		return nil, err
	}
	var want, stray []nat.Port
	n.mu.Lock()
	for _, ep := range n.eps {
		for _, p := range ep.Ports {
			want = append(want, p.rule(ep.IP))
		}
	}
	n.mu.Unlock()
	wanted, there := set(want), set(have)
	for _, p := range have {
		if !wanted[p] {
			stray = append(stray, p)
			removed = append(removed, "published port "+p.String())
		}
	}
	if len(stray) > 0 {
		if err := n.table.Delete(stray...); err != nil {
			return nil, err
		}
		n.forgetFlows(stray, false)
	}
	want = slices.DeleteFunc(want, func(p nat.Port) bool { return there[p] })
	if len(want) > 0 {
		err = n.table.Add(want...)
	}
	return removed, err
}

// bridgeWorks tells whether the bridge is up and has the gateway's address.
func (n *Network) bridgeWorks(h *netlink.Handle) bool {
	l, err := h.LinkByName(n.cfg.Bridge)
	if err != nil || l.Attrs().Flags&net.FlagUp == 0 {
		return false
	}
	addrs, err := h.AddrList(l, netlink.FAMILY_V4)
	return err == nil && slices.ContainsFunc(addrs, func(a netlink.Addr) bool { return a.IP.Equal(n.Gateway().AsSlice()) })
}

func set(ports []nat.Port) map[nat.Port]bool {
	out := map[nat.Port]bool{}
	for _, p := range ports {
		out[p] = true
	}
	return out
}
