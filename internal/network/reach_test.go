package network

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sync"
	"testing"

	"github.com/vishvananda/netlink"

	"silo/internal/linux"
	"silo/internal/testenv"
)

// reachability checks every line of the table in the package's comment.
func (l *lab) reachability(n *Network, a, b container) {
	l.t.Helper()
	// All at once: most of them wait for an answer that must not come.
	var wg sync.WaitGroup
	defer wg.Wait()
	check := wg.Go
	check(func() { l.reaches("host to container", l.host, a.ep.IP, 7000, "a saw "+n.Gateway().String()) })
	check(func() { l.reaches("container to outside", a.ns, addr(outsideIP), 7000, "outside saw "+hostIP) })
	check(func() { l.reaches("container to container", b.ns, a.ep.IP, 7000, "a saw "+b.ep.IP.String()) })
	check(func() { l.reaches("container to host", a.ns, n.Gateway(), 7001, "host saw "+a.ep.IP.String()) })
	check(func() { l.pings("container to container", b.ns, a.ep.IP, true) })
	check(func() { l.pings("host to container", l.host, a.ep.IP, true) })
	check(func() { l.pings("container to outside", a.ns, addr(outsideIP), true) })

	check(func() { l.blocked("outside with a route", l.outside, a.ep.IP, 7000) })
	check(func() { l.blocked("outside with a route, a published port's", l.outside, b.ep.IP, 7000) })
	check(func() { l.pings("outside with a route", l.outside, a.ep.IP, false) })
	check(func() { l.blocked("outside, a port that is not published", l.outside, addr(hostIP), 7000) })

	check(func() { l.reaches("published, from outside", l.outside, addr(hostIP), 8000, "b saw "+outsideIP) })
	check(func() {
		l.reaches("published, from the host by its address", l.host, addr(hostIP), 8000, "b saw "+hostIP)
	})
	check(func() {
		l.reaches("published, from the host by localhost", l.host, addr("127.0.0.1"), 8000, "b saw "+n.Gateway().String())
	})
	check(func() {
		l.reaches("published, from the host by the gateway's address", l.host, n.Gateway(), 8000, "b saw "+n.Gateway().String())
	})
	check(func() {
		l.reaches("published, from another container", a.ns, addr(hostIP), 8000, "b saw "+n.Gateway().String())
	})
	check(func() {
		l.reaches("published, from the container itself", b.ns, addr(hostIP), 8000, "b saw "+n.Gateway().String())
	})
	check(func() {
		l.reaches("published, by the gateway's address", a.ns, n.Gateway(), 8000, "b saw "+n.Gateway().String())
	})

	check(func() {
		l.reaches("on 127.0.0.1 only, from the host", l.host, addr("127.0.0.1"), 8001, "b saw "+n.Gateway().String())
	})
	check(func() { l.blocked("on 127.0.0.1 only, from outside", l.outside, addr(hostIP), 8001) })
	check(func() { l.blocked("on 127.0.0.1 only, from a container", a.ns, addr(hostIP), 8001) })
	check(func() { l.blocked("loopback over the wire, from outside", l.outside, addr("127.0.0.1"), 8001) })
	check(func() { l.blocked("loopback over the wire, from a container", a.ns, addr("127.0.0.1"), 7001) })
	check(func() { l.reaches("on one address, from outside", l.outside, addr(hostIP), 8002, "b saw "+outsideIP) })
	check(func() { l.blocked("on one address, by localhost", l.host, addr("127.0.0.1"), 8002) })
}

// world fills a lab with two containers, servers and routes.
func (l *lab) world(n *Network) (a, b container) {
	l.t.Helper()
	a, b = l.container(n, "a"), l.container(n, "b")
	l.serve(a.ns, "a", 7000)
	l.serve(b.ns, "b", 7000)
	l.serve(l.outside, "outside", 7000)
	l.serve(l.host, "host", 7001)
	var ports []PortMapping
	for _, proto := range []string{"tcp", "udp"} {
		ports = append(ports,
			PortMapping{Proto: proto, HostPort: 8000, ContainerPort: 7000},
			PortMapping{Proto: proto, HostIP: addr("127.0.0.1"), HostPort: 8001, ContainerPort: 7000},
			PortMapping{Proto: proto, HostIP: addr(hostIP), HostPort: 8002, ContainerPort: 7000})
	}
	_, err := n.Publish(context.Background(), b.ep, ports)
	l.ok(err)
	// The outside, and a container that tries, have routes to where they
	// should not get.
	l.do(l.outside, func(h *netlink.Handle) {
		l.ok(h.RouteReplace(&netlink.Route{Dst: ipNet(n.Subnet()), Gw: addr(hostIP).AsSlice()}))
	})
	for _, ns := range []*linux.FD{l.outside, a.ns} {
		l.toLoopback(ns)
	}
	return a, b
}

// toLoopback makes a namespace send 127.0.0.1 out of eth0, as an attacker on
// the same wire would.
func (l *lab) toLoopback(ns *linux.FD) {
	l.t.Helper()
	l.ok(linux.InNetNS(ns, func() error { return linux.WriteSysctl("net/ipv4/conf/all/route_localnet", "1") }))
	l.must(ns, "ip", "rule", "add", "pref", "1", "lookup", "local")
	l.must(ns, "ip", "rule", "del", "pref", "0")
	l.must(ns, "ip", "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local")
	l.must(ns, "ip", "route", "del", "local", "127.0.0.1", "dev", "lo", "table", "local")
	via := hostIP
	if ns != l.outside {
		via = "172.16.0.1"
	}
	l.must(ns, "ip", "route", "add", "127.0.0.1", "via", via, "dev", "eth0")
}

func TestReachability(t *testing.T) {
	for _, brNetfilter := range []string{"0", "1"} {
		t.Run("br_netfilter "+brNetfilter, func(t *testing.T) {
			l := newLab(t)
			// Without the module it is as if it were 0.
			err := linux.InNetNS(l.host, func() error { return linux.WriteSysctl("net/bridge/bridge-nf-call-iptables", brNetfilter) })
			if brNetfilter == "1" {
				testenv.NeedBuilt(t, !errors.Is(err, os.ErrNotExist), "CONFIG_BRIDGE_NETFILTER", "br_netfilter is not loaded: modprobe br_netfilter")
			}
			n := l.open(l.config("silo0"))
			if want := netip.MustParsePrefix("172.16.0.0/20"); n.Subnet() != want {
				t.Fatalf("subnet %s, want %s", n.Subnet(), want)
			}
			a, b := l.world(n)
			// A host-wide setting of others must not open localhost either.
			l.ok(linux.InNetNS(l.host, func() error { return linux.WriteSysctl("net/ipv4/conf/all/route_localnet", "1") }))
			l.reachability(n, a, b)
		})
	}
}

func TestReachabilityBesideOthers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		program string
		rules   [][]string
	}{
		{"policy drop of iptables-nft", "iptables-nft", [][]string{{"-P", "FORWARD", "DROP"}}},
		{"policy drop of iptables-legacy", "iptables-legacy", [][]string{{"-P", "FORWARD", "DROP"}}},
		{"like Docker", "iptables-nft", [][]string{
			{"-P", "FORWARD", "DROP"},
			{"-N", "DOCKER-USER"},
			{"-N", "DOCKER-ISOLATION"},
			{"-A", "FORWARD", "-j", "DOCKER-USER"},
			{"-A", "FORWARD", "-j", "DOCKER-ISOLATION"},
			{"-A", "FORWARD", "-o", "docker0", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"},
			{"-A", "FORWARD", "-i", "docker0", "!", "-o", "docker0", "-j", "ACCEPT"},
			{"-t", "nat", "-A", "POSTROUTING", "-s", "172.17.0.0/16", "!", "-o", "docker0", "-j", "MASQUERADE"},
		}},
		{"like ufw", "iptables-nft", [][]string{
			{"-P", "FORWARD", "DROP"},
			{"-P", "INPUT", "DROP"},
			{"-A", "INPUT", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"},
			{"-A", "INPUT", "-p", "tcp", "--dport", "7001", "-j", "ACCEPT"},
			{"-A", "INPUT", "-p", "udp", "--dport", "7001", "-j", "ACCEPT"},
			{"-A", "FORWARD", "-j", "REJECT"},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testenv.NeedCommand(t, tt.program, "iptables")
			l := newLab(t)
			for _, r := range tt.rules {
				l.must(l.host, append([]string{tt.program}, r...)...)
			}
			before := l.must(l.host, tt.program, "-S")
			n := l.open(l.config("silo0"))
			a, b := l.world(n)
			l.reachability(n, a, b)
			t.Log(l.must(l.host, tt.program, "-S"))
			l.ok(n.Remove(context.Background()))
			if after := l.must(l.host, tt.program, "-S"); after != before {
				t.Errorf("after Remove:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}
