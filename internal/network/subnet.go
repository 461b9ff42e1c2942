package network

import (
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"

	"silo/internal/errs"
	"silo/internal/network/dns"
	"silo/internal/network/ipam"
)

// subnetBits is the size of a network: 4096 addresses.
const subnetBits = 20

// use is an address range that the host uses, and for what.
type use struct {
	range_ netip.Prefix
	by     string
}

// settle finds the subnet, from the record or anew, and makes the bridge. A
// recorded subnet that somebody else took while our bridge was gone (a boot)
// is given up; one that is in use by containers is kept.
func (n *Network) settle() error {
	if err := n.load(); err != nil {
		return err
	}
	for range 8 {
		bridge, err := n.findBridge()
		if err != nil {
			return err
		}
		uses, err := n.uses()
		if err != nil {
			return err
		}
		if !n.rec.Subnet.IsValid() || (bridge == nil && collision(n.rec.Subnet, uses) != nil) {
			subnet, err := pick(n.cfg.Pool, uses)
			if err != nil {
				return err
			}
			n.rec.Subnet = subnet
			if err := n.save(); err != nil {
				return err
			}
		}
		if n.pool, err = ipam.New(n.rec.Subnet); err != nil {
			return err
		}
		if err := n.makeBridge(bridge); err != nil {
			return err
		}
		if bridge != nil {
			return nil
		}
		// Two daemons starting at once may have picked the same: the one with
		// the younger bridge gives way.
		if uses, err = n.uses(); err != nil {
			return err
		}
		c := collision(n.rec.Subnet, uses)
		if c == nil || !n.younger(c.by) {
			return nil
		}
		if err := n.removeBridge(); err != nil {
			return err
		}
	}
	return errs.New(errs.Unavailable, "no address range stayed free: another program keeps taking them; give another --address-pool")
}

// pick gives the first range of the pool that nothing on the host uses.
func pick(pool netip.Prefix, uses []use) (netip.Prefix, error) {
	pool = pool.Masked()
	bits := max(subnetBits, pool.Bits())
	var first *use
	for a := pool.Addr(); pool.Contains(a); {
		p := netip.PrefixFrom(a, bits)
		c := collision(p, uses)
		if c == nil {
			return p, nil
		}
		if first == nil {
			first = c
		}
		if a = ipam.Last(p).Next(); !a.IsValid() {
			break
		}
	}
	return netip.Prefix{}, errs.New(errs.Unavailable, "no /%d of the address pool %s is free (%s is used by %s): give a free range with --address-pool", bits, pool, first.range_, first.by)
}

func collision(p netip.Prefix, uses []use) *use {
	if i := slices.IndexFunc(uses, func(u use) bool { return p.Overlaps(u.range_) }); i >= 0 {
		return &uses[i]
	}
	return nil
}

// uses lists what of the IPv4 addresses the host uses: its addresses, the
// routes of all tables, its name servers. Not counted are our own bridge,
// default routes (also the halves and quarters that VPNs make of them), and
// routes that only refuse.
func (n *Network) uses() ([]use, error) {
	h, err := n.handle()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	links, err := n.links()
	if err != nil {
		return nil, err
	}
	name := map[int]string{}
	for _, l := range links {
		name[l.index] = l.name
	}
	addrs, err := h.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var all []use
	add := func(p netip.Prefix, index int) {
		if p.Bits() >= 8 && name[index] != n.cfg.Bridge {
			all = append(all, use{p.Masked(), name[index]})
		}
	}
	for _, a := range addrs {
		if p, ok := prefixOf(a.IPNet); ok {
			add(p, a.LinkIndex)
		}
	}
	routes, err := h.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	for _, r := range routes {
		p, ok := prefixOf(r.Dst)
		switch r.Type {
		case syscall.RTN_UNREACHABLE, syscall.RTN_BLACKHOLE, syscall.RTN_PROHIBIT, syscall.RTN_THROW:
			continue
		}
		if ok {
			add(p, r.LinkIndex)
		}
	}
	for _, s := range dns.Upstreams(n.cfg.ResolvConf) {
		if s.Addr().Is4() && !s.Addr().IsLoopback() {
			all = append(all, use{netip.PrefixFrom(s.Addr(), 32), "a name server in " + n.cfg.ResolvConf})
		}
	}
	return all, nil
}
