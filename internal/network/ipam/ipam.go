// Package ipam hands out the addresses of one IPv4 subnet. It is pure: what is
// in use is told to it, and it keeps no file. The first address of the subnet
// names the network, the second is the gateway's and the last is the broadcast
// address; none of them is ever handed out.
package ipam

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"

	"silo/internal/errs"
)

// Pool is the addresses of one subnet. Its methods may be called from several
// goroutines.
type Pool struct {
	subnet netip.Prefix

	mu    sync.Mutex
	used  map[netip.Addr]string // address to owner
	macs  map[string]string     // MAC to owner
	fresh netip.Addr            // all from here on were never handed out
	freed []netip.Addr          // handed out before, oldest first
}

// New makes the pool of an IPv4 subnet with room for at least one container,
// so of at most 29 bits.
func New(subnet netip.Prefix) (*Pool, error) {
	if !subnet.Addr().Is4() || subnet.Bits() > 29 {
		return nil, errs.Invalidf("address pool %s: not an IPv4 subnet of /29 or wider", subnet)
	}
	p := &Pool{subnet: subnet.Masked(), used: map[netip.Addr]string{}, macs: map[string]string{}}
	p.fresh = p.Gateway().Next()
	return p, nil
}

// Subnet gives the subnet.
func (p *Pool) Subnet() netip.Prefix { return p.subnet }

// Gateway gives the first host address, which is the switch's own.
func (p *Pool) Gateway() netip.Addr { return p.subnet.Addr().Next() }

// Broadcast gives the last address.
func (p *Pool) Broadcast() netip.Addr { return Last(p.subnet) }

// Last gives the last address of an IPv4 prefix.
func Last(s netip.Prefix) netip.Addr {
	a := s.Masked().Addr().As4()
	n := binary.BigEndian.Uint32(a[:]) | uint32(1<<(32-s.Bits())-1)
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// Alloc gives owner an address nobody has: one never used before if there is
// one, else the one freed longest ago, so that late packets to a removed
// container do not reach a new one. Unavailable if all are in use.
func (p *Pool) Alloc(owner string) (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for last := p.Broadcast(); p.fresh.Less(last); {
		a := p.fresh
		p.fresh = a.Next()
		if _, taken := p.used[a]; !taken {
			p.used[a] = owner
			return a, nil
		}
	}
	for len(p.freed) > 0 {
		a := p.freed[0]
		p.freed = p.freed[1:]
		if _, taken := p.used[a]; !taken {
			p.used[a] = owner
			return a, nil
		}
	}
	return netip.Addr{}, errs.New(errs.Unavailable, "network: all %d addresses of %s are in use: remove containers, or give the daemon a wider --address-pool", len(p.used), p.subnet)
}

// Take gives owner the address a: Invalid if a cannot be handed out, Conflict
// if somebody else has it. Taking one's own address again is no error.
func (p *Pool) Take(a netip.Addr, owner string) error {
	a = a.Unmap()
	switch {
	case !p.subnet.Contains(a):
		return errs.Invalidf("address %s: not in the network's subnet %s", a, p.subnet)
	case a == p.subnet.Addr(), a == p.Broadcast():
		return errs.Invalidf("address %s: the network and broadcast addresses of %s are no container's", a, p.subnet)
	case a == p.Gateway():
		return errs.Conflictf("address %s: it is the gateway's", a)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if by, taken := p.used[a]; taken && by != owner {
		return errs.Conflictf("address %s: already in use by container %s", a, short(by))
	}
	p.used[a] = owner
	return nil
}

// Free gives an address of owner's back. Anything else is left alone.
func (p *Pool) Free(a netip.Addr, owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if by, taken := p.used[a]; !taken || by != owner {
		return
	}
	delete(p.used, a)
	// Above fresh it will come up by itself.
	if a.Less(p.fresh) {
		p.freed = append(p.freed, a)
	}
}

// Owners tells who has an address or a MAC address, and if neither is given who
// has any.
func (p *Pool) Owners(a netip.Addr, m net.HardwareAddr) (owners []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for have, by := range p.used {
		if have == a || !a.IsValid() && m == nil {
			owners = append(owners, by)
		}
	}
	if by, taken := p.macs[string(m)]; taken {
		owners = append(owners, by)
	}
	return owners
}

// Owner tells who has an address.
func (p *Pool) Owner(a netip.Addr) (owner string, used bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	owner, used = p.used[a]
	return owner, used
}

// TakeMAC reserves a MAC address: Invalid if it cannot be an adapter's own,
// Conflict if somebody else on the network has it.
func (p *Pool) TakeMAC(m net.HardwareAddr, owner string) error {
	if len(m) != 6 || m[0]&1 != 0 || m.String() == "00:00:00:00:00:00" {
		return errs.Invalidf("MAC address %s: must be six bytes, not zero and not a multicast address", m)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if by, taken := p.macs[string(m)]; taken && by != owner {
		return errs.Conflictf("MAC address %s: already in use by container %s", m, short(by))
	}
	if m.String() == MAC(p.Gateway()).String() {
		return errs.Conflictf("MAC address %s: it is the gateway's", m)
	}
	p.macs[string(m)] = owner
	return nil
}

// FreeMAC undoes TakeMAC.
func (p *Pool) FreeMAC(m net.HardwareAddr, owner string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.macs[string(m)] == owner {
		delete(p.macs, string(m))
	}
}

// MAC derives a locally administered MAC address from an IPv4 address. Within
// a subnet of at least 8 bits no two are the same.
func MAC(a netip.Addr) net.HardwareAddr {
	b := a.As4()
	return net.HardwareAddr{0x02, 0x15, 0x5d, b[1], b[2], b[3]}
}

func short(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	return id
}
