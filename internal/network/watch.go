package network

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"

	"silo/internal/linux"
)

// Multicast groups of netlink that tell of changes we follow.
const (
	groupLink    = 1 // RTNLGRP_LINK
	groupAddr4   = 5 // RTNLGRP_IPV4_IFADDR
	groupRoute4  = 7 // RTNLGRP_IPV4_ROUTE
	groupRuleset = 7 // NFNLGRP_NFTABLES
)

// quiet is how long the host must have been quiet before its changes are
// looked at, so that a firewall that is loaded rule by rule is looked at once;
// at most patience after the first change. legacyEvery is how often iptables
// rules of the legacy kind are looked at, and whether the host forwards: the
// kernel tells nobody of those.
const (
	quiet       = 200 * time.Millisecond
	patience    = 2 * time.Second
	legacyEvery = time.Minute
)

// subscribe opens the two streams of changes.
func (n *Network) subscribe() ([]*nl.NetlinkSocket, error) {
	at := netns.None()
	if n.cfg.Netns != nil {
		at = netns.NsHandle(n.cfg.Netns.Int())
	}
	host, err := nl.SubscribeAt(at, netns.None(), syscall.NETLINK_ROUTE, groupLink, groupAddr4, groupRoute4)
	if err != nil {
		return nil, fmt.Errorf("follow links and routes: %w", err)
	}
	rules, err := nl.SubscribeAt(at, netns.None(), syscall.NETLINK_NETFILTER, groupRuleset)
	if err != nil {
		host.Close()
		return nil, fmt.Errorf("follow packet filter rules: %w", err)
	}
	return []*nl.NetlinkSocket{host, rules}, nil
}

// watch reconciles after changes until ctx is done.
func (n *Network) watch(ctx context.Context, sockets []*nl.NetlinkSocket) {
	changed := make(chan struct{}, 1)
	noise := []func([]syscall.NetlinkMessage) bool{n.ownLinks, elements}
	for i, s := range sockets {
		n.wg.Go(func() {
			for ctx.Err() == nil {
				// An overrun is a change too; closing ends the loop.
				messages, _, err := s.Receive()
				if err == nil && noise[i](messages) {
					continue
				}
				if err != nil {
					time.Sleep(10 * time.Millisecond) // never spin on an error that stays
				}
				select {
				case changed <- struct{}{}:
				default:
				}
			}
		})
	}
	n.wg.Go(func() {
		<-ctx.Done()
		for _, s := range sockets {
			s.Close()
		}
	})
	n.wg.Go(func() {
		legacy := time.NewTicker(legacyEvery)
		defer legacy.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-legacy.C:
				n.step(ctx, stepLegacy, n.table.PassLegacy)
				n.step(ctx, stepForwarding, func(context.Context) error { return n.checkForwarding() })
			case <-changed:
				waitQuiet(ctx, changed)
				n.reconcile(ctx)
			}
		}
	})
}

// waitQuiet waits until no change has come for quiet, or patience is over.
func waitQuiet(ctx context.Context, changed <-chan struct{}) {
	end := time.After(patience)
	for {
		select {
		case <-ctx.Done():
			return
		case <-end:
			return
		case <-time.After(quiet):
			return
		case <-changed:
		}
	}
}

// ownLinks tells whether messages are only about our own veths, and about the
// bridge as these come and go: nothing that changes anything for the network.
func (n *Network) ownLinks(messages []syscall.NetlinkMessage) bool {
	for _, m := range messages {
		if m.Header.Type != syscall.RTM_NEWLINK && m.Header.Type != syscall.RTM_DELLINK {
			return false
		}
		l, err := netlink.LinkDeserialize(nil, m.Data)
		if err != nil {
			return false
		}
		name := l.Attrs().Name
		if name == n.cfg.Bridge && l.Attrs().Flags&net.FlagUp == 0 {
			return false // somebody has set it down
		}
		if !strings.HasPrefix(name, n.hostPrefix()) && (name != n.cfg.Bridge || m.Header.Type == syscall.RTM_DELLINK) {
			return false
		}
	}
	return len(messages) > 0
}

// elements tells whether messages are only about elements of sets and maps, as
// publishing a port gives them.
func elements(messages []syscall.NetlinkMessage) bool {
	const (
		subsystem = 10 << 8 // NFNL_SUBSYS_NFTABLES
		newElem   = subsystem | 12
		delElem   = subsystem | 14
		newGen    = subsystem | 15 // ends each transaction
	)
	for _, m := range messages {
		if t := m.Header.Type; t != newElem && t != delElem && t != newGen {
			return false
		}
	}
	return len(messages) > 0
}

// Steps that are also taken every legacyEvery: nothing tells of changes of theirs.
const (
	stepLegacy     = "legacy packet filter"
	stepForwarding = "forwarding"
)

// reconcile brings the network in line with the host around it: MTU of the
// uplink, the bridge, other networks' bridges, colliding routes, foreign packet filters.
// What cannot be done becomes a warning.
func (n *Network) reconcile(ctx context.Context) {
	n.step(ctx, "bridge", func(context.Context) error { return n.keepBridge() })
	n.step(ctx, "mtu", func(context.Context) error { return n.followMTU() })
	n.step(ctx, stepForwarding, func(context.Context) error { return n.checkForwarding() })
	n.step(ctx, "other networks", func(context.Context) error { return n.followOthers() })
	n.step(ctx, "address range", func(context.Context) error { return n.checkCollision() })
	n.step(ctx, "packet filter", func(context.Context) error { return n.checkTable() })
	n.step(ctx, "foreign packet filter", func(context.Context) error { return n.table.Pass() })
}

// step does one of the things that may become a warning, or withdraw it.
func (n *Network) step(ctx context.Context, kind string, do func(context.Context) error) {
	if ctx.Err() != nil {
		return
	}
	err := do(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		n.warn(kind, err.Error())
	default:
		n.warn(kind, "")
	}
}

// checkForwarding tells if somebody has turned forwarding off since Open. It
// is not turned on again: that may have been meant.
func (n *Network) checkForwarding() error {
	return linux.InNetNS(n.cfg.Netns, func() error {
		on, err := linux.ReadSysctl("net/ipv4/conf/" + escape(n.cfg.Bridge) + "/forwarding")
		if err == nil && on != "1" {
			err = fmt.Errorf("the host forwards nothing for containers any more: sysctl -w net.ipv4.ip_forward=1")
		}
		return err
	})
}

func (n *Network) followMTU() error {
	h, err := n.handle()
	if err != nil {
		return err
	}
	defer h.Close()
	mtu, err := n.uplinkMTU(h)
	if err != nil || mtu == n.MTU() {
		return err
	}
	// Running containers keep theirs: larger packets of theirs get the answer
	// of path MTU discovery from the bridge.
	bridge, err := h.LinkByName(n.cfg.Bridge)
	if err == nil {
		err = h.LinkSetMTU(bridge, mtu)
	}
	if err != nil {
		return fmt.Errorf("set MTU of %s to %d as the uplink has: %w", n.cfg.Bridge, mtu, err)
	}
	n.log.Info("MTU follows the uplink", "from", n.MTU(), "to", mtu)
	n.mtu.Store(int64(mtu))
	return nil
}

// followOthers tells the table which bridges have other networks behind them:
// all but ours, and but those that are the host's own way out, by a default
// route or a port that is not the end of some virtual machine or container.
func (n *Network) followOthers() error {
	links, err := n.links()
	if err != nil {
		return err
	}
	out := map[int]bool{}
	for _, l := range links {
		switch l.kind {
		case "veth", "tuntap", "tun", "dummy":
		default:
			out[l.master] = true
		}
	}
	h, err := n.handle()
	if err != nil {
		return err
	}
	defer h.Close()
	routes, err := h.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		if p, ok := prefixOf(r.Dst); r.Dst == nil || (ok && p.Bits() == 0) {
			out[uplinkOf(&r)] = true
		}
	}
	var others []string
	for _, l := range links {
		if l.kind == "bridge" && l.name != n.cfg.Bridge && !out[l.index] {
			others = append(others, l.name)
		}
	}
	slices.Sort(others)
	n.mu.Lock()
	same := n.others != nil && slices.Equal(others, n.others)
	n.mu.Unlock()
	if same {
		return nil
	}
	if err := n.table.SetOthers(others); err != nil {
		return err
	}
	n.mu.Lock()
	n.others = append([]string{}, others...)
	n.mu.Unlock()
	return nil
}

func (n *Network) checkCollision() error {
	uses, err := n.uses()
	if err != nil {
		return err
	}
	if c := collision(n.Subnet(), uses); c != nil {
		return fmt.Errorf("%s is also used by %s (%s): containers and that network cannot reach each other; stop silod, delete %s and %s to get another range", n.Subnet(), c.by, c.range_, n.cfg.Bridge, n.recordPath())
	}
	return nil
}

// checkTable puts our table back if somebody has deleted it, or flushed its
// rules.
func (n *Network) checkTable() error {
	there, err := n.table.Exists()
	if err == nil && there {
		there, err = n.table.Whole()
	}
	if err != nil || there {
		return err
	}
	n.log.Warn("the packet filter table or rules of it were deleted: putting them back", "table", n.table.Name())
	n.publish.Lock()
	defer n.publish.Unlock()
	if err := n.table.Apply(); err != nil {
		return err
	}
	n.mu.Lock()
	n.others = nil
	n.mu.Unlock()
	if err := n.followOthers(); err != nil {
		return err
	}
	_, err = n.sweepPorts()
	return err
}
