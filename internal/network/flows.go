package network

import (
	"encoding/hex"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"silo/internal/linux"
	"silo/internal/network/nat"
)

// forgetFlows makes connection tracking forget what it decided about ports: a
// packet of a known flow is not looked up in the maps again, and a busy UDP
// client keeps its flow known for ever. With published set it forgets the
// flows to the host's own UDP ports, from before they were published; without,
// the flows that still go through mappings that were withdrawn. It takes as
// long as the table of the host is long.
func (n *Network) forgetFlows(ports []nat.Port, published bool) {
	if published && !slices.ContainsFunc(ports, func(p nat.Port) bool { return p.Proto == nat.UDP }) {
		return
	}
	ns := netns.None()
	if n.cfg.Netns != nil {
		ns = netns.NsHandle(n.cfg.Netns.Int())
	}
	h, err := netlink.NewHandleAt(ns, syscall.NETLINK_NETFILTER, syscall.NETLINK_ROUTE)
	if err != nil {
		n.log.Warn("old flows to published ports go on", "err", err)
		return
	}
	defer h.Close()
	match := flowMatch{ports: ports, published: published, local: map[netip.Addr]bool{}}
	addrs, err := h.AddrList(nil, netlink.FAMILY_V4)
	for _, a := range addrs {
		if p, ok := prefixOf(a.IPNet); ok {
			match.local[p.Addr()] = true
		}
	}
	if err == nil {
		_, err = h.ConntrackDeleteFilters(netlink.ConntrackTable, netlink.FAMILY_V4, match)
	}
	if err != nil {
		n.log.Warn("some old flows to published ports go on", "err", err)
	}
}

type flowMatch struct {
	ports     []nat.Port
	published bool
	local     map[netip.Addr]bool // the host's addresses
}

// MatchConntrackFlow tells whether a flow is to be forgotten.
func (m flowMatch) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	to, answers := addrOf(f.Forward.DstIP), addrOf(f.Reverse.SrcIP)
	for _, p := range m.ports {
		if f.Forward.Protocol != p.Proto || f.Forward.DstPort != p.HostPort {
			continue
		}
		if !m.published {
			if answers == p.To && f.Reverse.SrcPort == p.ToPort && to != p.To {
				return true
			}
			continue
		}
		if p.Proto == nat.UDP && answers == to && (m.local[to] || to.IsLoopback()) && (p.HostIP.IsUnspecified() || p.HostIP == to) {
			return true
		}
	}
	return false
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// listener names the process that listens on a port of the host, as well as
// it can be found: "dnsmasq (process 612)".
func (n *Network) listener(p PortMapping) string {
	const nobody = "a socket of the host"
	var inodes []string
	_ = linux.InNetNS(n.cfg.Netns, func() error {
		for _, family := range []string{"", "6"} {
			data, err := os.ReadFile("/proc/thread-self/net/" + p.Proto + family)
			if err == nil {
				inodes = append(inodes, socketsOn(string(data), p)...)
			}
		}
		return nil
	})
	for _, inode := range inodes {
		fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
		for _, fd := range fds {
			if to, err := os.Readlink(fd); err == nil && to == "socket:["+inode+"]" {
				pid := strings.Split(fd, "/")[2]
				comm, _ := os.ReadFile("/proc/" + pid + "/comm")
				return strings.TrimSpace(string(comm)) + " (process " + pid + ")"
			}
		}
	}
	return nobody
}

// socketsOn gives the inodes of the sockets in /proc/net/{tcp,udp}{,6} that
// hold a port: TCP listening, UDP bound.
func socketsOn(table string, p PortMapping) []string {
	var inodes []string
	for _, line := range strings.Split(table, "\n") {
		f := strings.Fields(line)
		if len(f) < 10 {
			continue
		}
		addr, port, ok := strings.Cut(f[1], ":")
		num, err := strconv.ParseUint(port, 16, 16)
		if !ok || err != nil || uint16(num) != p.HostPort || (p.Proto == "tcp" && f[3] != "0A") {
			continue
		}
		if bound := procAddr(addr); bound.IsUnspecified() || p.HostIP.IsUnspecified() || bound == p.HostIP {
			inodes = append(inodes, f[9])
		}
	}
	return inodes
}

// procAddr reads an address as /proc/net has it: words in host order.
func procAddr(s string) netip.Addr {
	b, err := hex.DecodeString(s)
	if err != nil || len(b)%4 != 0 {
		return netip.Addr{}
	}
	for i := 0; i < len(b); i += 4 { // all our platforms are little-endian
		b[i], b[i+1], b[i+2], b[i+3] = b[i+3], b[i+2], b[i+1], b[i]
	}
	a, _ := netip.AddrFromSlice(b)
	return a.Unmap()
}
