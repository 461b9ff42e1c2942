package network

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/network/nat"
)

// PortMapping publishes one port of a container on the host.
type PortMapping struct {
	Proto         string     `json:"proto"`    // "tcp" or "udp"
	HostIP        netip.Addr `json:"hostIp"`   // zero or 0.0.0.0: all addresses of the host
	HostPort      uint16     `json:"hostPort"` // 0: a free one is picked
	HostPortEnd   uint16     `json:"-"`        // if not 0: the first free one from HostPort to it is picked
	ContainerPort uint16     `json:"containerPort"`
}

func (p PortMapping) String() string {
	return fmt.Sprintf("%s/%s", netip.AddrPortFrom(p.HostIP, p.HostPort), p.Proto)
}

func (p PortMapping) rule(to netip.Addr) nat.Port {
	proto := nat.TCP
	if p.Proto == "udp" {
		proto = nat.UDP
	}
	return nat.Port{Proto: proto, HostIP: p.HostIP, HostPort: p.HostPort, To: to, ToPort: p.ContainerPort}
}

// overlaps tells whether two mappings cannot both be on one host.
func (p PortMapping) overlaps(o PortMapping) bool {
	return p.Proto == o.Proto && p.HostPort == o.HostPort &&
		(p.HostIP == o.HostIP || p.HostIP.IsUnspecified() || o.HostIP.IsUnspecified())
}

// Publish makes ports of a plugged container reachable through the host, all
// or none, and returns them with picked host ports filled in. What the same
// container has published before stays. Conflict if a container, another
// daemon or a socket of the host has the port.
func (n *Network) Publish(ctx context.Context, ep Endpoint, ports []PortMapping) ([]PortMapping, error) {
	n.publish.Lock()
	defer n.publish.Unlock()
	have, ok := n.Endpoint(ep.ID)
	if !ok {
		return nil, errs.NotFoundf("publish ports: container is not on network %s", Name)
	}
	check, err := n.newPortCheck(len(ports) > 0)
	if err != nil {
		return nil, err
	}
	var done []PortMapping
	var rules []nat.Port
	for _, p := range ports {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if p, err = valid(p); err != nil {
			return nil, err
		}
		if p.HostPort != 0 && slices.Contains(have.Ports, p) {
			done = append(done, p)
			continue
		}
		if p, err = check.settle(p); err != nil {
			return nil, fmt.Errorf("publish port %s: %w", p, err)
		}
		check.taken = append(check.taken, holder{p, ep.ID})
		done, rules = append(done, p), append(rules, p.rule(have.IP))
	}
	if len(rules) > 0 {
		if err := n.table.Add(rules...); err != nil {
			return nil, err
		}
		n.forgetFlows(rules, true)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	have = n.eps[ep.ID]
	for _, p := range done {
		if !slices.Contains(have.Ports, p) {
			have.Ports = append(slices.Clone(have.Ports), p)
		}
	}
	n.eps[ep.ID] = have
	return done, nil
}

// Unpublish withdraws all ports of a container, and ends the flows through
// them. None published is no error.
func (n *Network) Unpublish(_ context.Context, containerID string) error {
	n.publish.Lock()
	defer n.publish.Unlock()
	ep, ok := n.Endpoint(containerID)
	if !ok || len(ep.Ports) == 0 {
		return nil
	}
	var rules []nat.Port
	for _, p := range ep.Ports {
		rules = append(rules, p.rule(ep.IP))
	}
	if err := n.table.Delete(rules...); err != nil {
		return fmt.Errorf("withdraw ports: %w", err)
	}
	n.forgetFlows(rules, false)
	n.mu.Lock()
	defer n.mu.Unlock()
	if ep, ok := n.eps[containerID]; ok {
		ep.Ports = nil
		n.eps[containerID] = ep
	}
	return nil
}

func valid(p PortMapping) (PortMapping, error) {
	if p.Proto != "tcp" && p.Proto != "udp" {
		return p, errs.Invalidf("publish port %d/%s: only tcp and udp can be published", p.ContainerPort, p.Proto)
	}
	if p.HostPortEnd != 0 && (p.HostPort == 0 || p.HostPortEnd < p.HostPort) {
		return p, errs.Invalidf("publish port %d/%s: the host's ports %d-%d are no range", p.ContainerPort, p.Proto, p.HostPort, p.HostPortEnd)
	}
	if p.ContainerPort == 0 {
		return p, errs.Invalidf("publish port %s: the container's port must be 1 to 65535", p)
	}
	if !p.HostIP.IsValid() {
		p.HostIP = netip.IPv4Unspecified()
	}
	if p.HostIP = p.HostIP.Unmap(); !p.HostIP.Is4() {
		return p, errs.New(errs.NotSupported, "publish port on %s: network %s has no IPv6; give an IPv4 address or none", p.HostIP, Name)
	}
	return p, nil
}

// holder is who has a port.
type holder struct {
	port PortMapping
	who  string // a container's id, or words
}

// portCheck knows which host ports are taken, while n.publish is held.
type portCheck struct {
	n     *Network
	taken []holder
}

// newPortCheck gathers what this and other daemons publish.
func (n *Network) newPortCheck(any bool) (*portCheck, error) {
	c := &portCheck{n: n}
	if !any {
		return c, nil
	}
	n.mu.Lock()
	for id, ep := range n.eps {
		for _, p := range ep.Ports {
			c.taken = append(c.taken, holder{p, id})
		}
	}
	n.mu.Unlock()
	others, err := n.table.PortsOfOthers()
	if err != nil {
		return nil, err
	}
	for table, ports := range others {
		for _, p := range ports {
			proto := "tcp"
			if p.Proto == nat.UDP {
				proto = "udp"
			}
			c.taken = append(c.taken, holder{PortMapping{Proto: proto, HostIP: p.HostIP, HostPort: p.HostPort, ContainerPort: p.ToPort}, "another silo daemon (nftables table " + table + ")"})
		}
	}
	return c, nil
}

// settle gives the mapping a host port if it has none, and checks it.
func (c *portCheck) settle(p PortMapping) (PortMapping, error) {
	if p.HostPortEnd != 0 {
		return c.within(p)
	}
	if p.HostPort != 0 {
		return p, c.free(p)
	}
	lo, hi := 32768, 60999
	err := linux.InNetNS(c.n.cfg.Netns, func() error {
		text, err := linux.ReadSysctl("net/ipv4/ip_local_port_range")
		if f := strings.Fields(text); err == nil && len(f) == 2 {
			lo, _ = strconv.Atoi(f[0])
			hi, _ = strconv.Atoi(f[1])
		}
		return err
	})
	if err != nil {
		return p, err
	}
	count := max(hi-lo+1, 1)
	start := rand.IntN(count)
	for i := range count {
		q := p
		q.HostPort = uint16(lo + (start+i)%count)
		err = c.free(q)
		if !errs.Is(err, errs.Conflict) {
			return q, err
		}
	}
	return p, errs.New(errs.Unavailable, "no port from %d to %d is free (net.ipv4.ip_local_port_range): name one", lo, hi)
}

// within gives the mapping the first free host port of its range.
func (c *portCheck) within(p PortMapping) (PortMapping, error) {
	first, last := p.HostPort, p.HostPortEnd
	p.HostPortEnd = 0
	for port := int(first); port <= int(last); port++ {
		p.HostPort = uint16(port)
		if err := c.free(p); !errs.Is(err, errs.Conflict) {
			return p, err
		}
	}
	return p, errs.Conflictf("port is already allocated: none from %d to %d is free", first, last)
}

// free checks one host port: Conflict naming the holder if it is taken.
func (c *portCheck) free(p PortMapping) error {
	for _, h := range c.taken {
		if h.port.overlaps(p) {
			who := h.who
			if len(who) == 64 {
				who = "container " + who[:12]
			}
			return errs.Conflictf("port is already allocated: %s has %s", who, h.port)
		}
	}
	err := linux.InNetNS(c.n.cfg.Netns, func() error { return tryBind(p) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return errs.Conflictf("port is already allocated: %s listens on it", c.n.listener(p))
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return errs.Invalidf("%s is no address of this host", p.HostIP)
	}
	return err
}

// tryBind listens on the port and closes it at once: what the kernel refuses
// a program of the host has. Published ports need no socket of ours.
func tryBind(p PortMapping) error {
	addr := netip.AddrPortFrom(p.HostIP, p.HostPort)
	if p.Proto == "udp" {
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(addr))
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return err
	}
	return l.Close()
}
