package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
)

// link is one network interface.
type link struct {
	index     int32
	name      string
	flags     uint32
	mtu       uint32
	qdisc     string
	state     string
	group     uint32
	queue     uint32
	kind      string // ether, loopback, none
	mac, brd  string
	peerIndex uint32
	addresses []message
}

// states are the operational states of RFC 2863, by number.
var states = []string{"UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"}

// Kinds of attributes and devices that package syscall has no names for.
const (
	iflaOperstate = 16
	iflaLink      = 5
	iflaGroup     = 27
	arphrdNone    = 0xfffe
)

func links() ([]*link, error) {
	found, err := list(syscall.RTM_GETLINK, syscall.AF_UNSPEC)
	if err != nil {
		return nil, err
	}
	var all []*link
	for _, m := range found {
		l := &link{
			index: int32(binary.NativeEndian.Uint32(m.fixed[4:])), flags: binary.NativeEndian.Uint32(m.fixed[8:]),
			name: m.text(syscall.IFLA_IFNAME), mtu: m.number(syscall.IFLA_MTU), qdisc: m.text(syscall.IFLA_QDISC),
			queue: m.number(syscall.IFLA_TXQLEN), group: m.number(iflaGroup), peerIndex: m.number(iflaLink),
			mac: net.HardwareAddr(m.attrs[syscall.IFLA_ADDRESS]).String(), brd: net.HardwareAddr(m.attrs[syscall.IFLA_BROADCAST]).String(),
		}
		switch kind := binary.NativeEndian.Uint16(m.fixed[2:]); kind {
		case syscall.ARPHRD_ETHER:
			l.kind = "ether"
		case syscall.ARPHRD_LOOPBACK:
			l.kind = "loopback"
		case arphrdNone:
			l.kind = "none"
		default:
			l.kind = fmt.Sprintf("type-%d", kind)
		}
		if s := m.attrs[iflaOperstate]; len(s) == 1 && int(s[0]) < len(states) {
			l.state = states[s[0]]
		}
		all = append(all, l)
	}
	return all, nil
}

func (l *link) flagText() string {
	names := []struct {
		bit  uint32
		text string
	}{
		{syscall.IFF_LOOPBACK, "LOOPBACK"},
		{syscall.IFF_BROADCAST, "BROADCAST"},
		{syscall.IFF_POINTOPOINT, "POINTOPOINT"},
		{syscall.IFF_MULTICAST, "MULTICAST"},
		{syscall.IFF_NOARP, "NOARP"},
		{syscall.IFF_PROMISC, "PROMISC"},
		{syscall.IFF_UP, "UP"},
		{1 << 16, "LOWER_UP"},
	}
	var list []string
	if l.flags&syscall.IFF_UP != 0 && l.flags&(1<<6) == 0 { // IFF_RUNNING
		list = append(list, "NO-CARRIER")
	}
	for _, n := range names {
		if l.flags&n.bit != 0 {
			list = append(list, n.text)
		}
	}
	return strings.Join(list, ",")
}

// showLinks prints links, and their addresses if asked to; words may name one.
func (r request) showLinks(words []string, withAddresses bool) error {
	only, up := "", false
	for _, w := range words {
		switch w {
		case "dev":
		case "up":
			up = true
		default:
			only = w
		}
	}
	all, err := links()
	if err != nil {
		return err
	}
	addresses, err := list(syscall.RTM_GETADDR, r.family)
	if err != nil {
		return err
	}
	for _, a := range addresses {
		for _, l := range all {
			if a.kind == syscall.RTM_NEWADDR && int32(binary.NativeEndian.Uint32(a.fixed[4:])) == l.index {
				l.addresses = append(l.addresses, a)
			}
		}
	}
	shown := 0
	for _, l := range all {
		if only != "" && l.name != only || up && l.flags&syscall.IFF_UP == 0 {
			continue
		}
		shown++
		if withAddresses && r.family != 0 && len(l.addresses) == 0 {
			continue
		}
		r.print(l, withAddresses)
	}
	if only != "" && shown == 0 {
		return fmt.Errorf("%s: no such link", only)
	}
	return nil
}

func (r request) print(l *link, withAddresses bool) {
	if r.brief {
		third := l.mac + " <" + l.flagText() + ">"
		if withAddresses {
			var words []string
			for _, a := range l.addresses {
				words = append(words, addressText(a))
			}
			third = strings.Join(words, " ")
		}
		fmt.Printf("%-16s %-14s %s\n", l.fullName(), l.state, third)
		return
	}
	if !r.lines || !withAddresses {
		fmt.Printf("%d: %s: <%s> mtu %d qdisc %s state %s group default qlen %d\n", l.index, l.fullName(), l.flagText(), l.mtu, l.qdisc, l.state, l.queue)
		if r.family == 0 || !withAddresses {
			fmt.Printf("    link/%s %s brd %s\n", l.kind, l.mac, l.brd)
		}
	}
	if !withAddresses {
		return
	}
	for _, a := range l.addresses {
		family := "inet"
		if a.fixed[0] == inet6 {
			family = "inet6"
		}
		brd := ""
		if b := a.ip(syscall.IFA_BROADCAST); b != "" {
			brd = " brd " + b
		}
		line := fmt.Sprintf("%s %s%s scope %s", family, addressText(a), brd, scope(a.fixed[3]))
		if family == "inet" {
			line += " " + a.text(syscall.IFA_LABEL)
		}
		if r.lines {
			fmt.Printf("%d: %s    %s\n", l.index, l.name, line)
			continue
		}
		fmt.Printf("    %s\n       valid_lft %s preferred_lft %s\n", line, lifetime(a, 4), lifetime(a, 0))
	}
}

// fullName adds the other end of a pair: eth0@if7.
func (l *link) fullName() string {
	if l.peerIndex != 0 && int32(l.peerIndex) != l.index {
		return fmt.Sprintf("%s@if%d", l.name, l.peerIndex)
	}
	return l.name
}

func addressText(a message) string {
	ip := a.ip(syscall.IFA_LOCAL)
	if ip == "" {
		ip = a.ip(syscall.IFA_ADDRESS)
	}
	return fmt.Sprintf("%s/%d", ip, a.fixed[1])
}

// lifetime reads a part of the cache information: seconds, or forever.
func lifetime(a message, at int) string {
	const ifaCacheinfo = 6
	info := a.attrs[ifaCacheinfo]
	if len(info) < 8 {
		return "forever"
	}
	if n := binary.NativeEndian.Uint32(info[at:]); n != ^uint32(0) {
		return fmt.Sprintf("%dsec", n)
	}
	return "forever"
}

func scope(s uint8) string {
	switch s {
	case syscall.RT_SCOPE_UNIVERSE:
		return "global"
	case syscall.RT_SCOPE_LINK:
		return "link"
	case syscall.RT_SCOPE_HOST:
		return "host"
	case syscall.RT_SCOPE_SITE:
		return "site"
	}
	return fmt.Sprint(s)
}

// showRoutes prints the main table: all of it, the default, or one link's.
func (r request) showRoutes(words []string) error {
	onlyDefault, dev := false, ""
	for i, w := range words {
		switch {
		case w == "default":
			onlyDefault = true
		case i > 0 && words[i-1] == "dev":
			dev = w
		case w != "dev":
			return fmt.Errorf("route show: %s: unknown", w)
		}
	}
	family := r.family
	if family == 0 {
		family = inet
	}
	routes, err := list(syscall.RTM_GETROUTE, family)
	if err != nil {
		return err
	}
	names := linkNames()
	for _, m := range routes {
		table := uint32(m.fixed[4])
		if t := m.number(syscall.RTA_TABLE); t != 0 {
			table = t
		}
		if m.kind != syscall.RTM_NEWROUTE || table != syscall.RT_TABLE_MAIN || int(m.fixed[0]) != family {
			continue
		}
		if onlyDefault && m.fixed[1] != 0 || dev != "" && names[m.number(syscall.RTA_OIF)] != dev {
			continue
		}
		fmt.Println(routeText(m, names))
	}
	return nil
}

func linkNames() map[uint32]string {
	names := map[uint32]string{}
	all, err := net.Interfaces()
	if err != nil {
		return names
	}
	for _, i := range all {
		names[uint32(i.Index)] = i.Name
	}
	return names
}

func routeText(m message, names map[uint32]string) string {
	to := "default"
	if dst := m.ip(syscall.RTA_DST); dst != "" {
		to = dst
		if a, err := netip.ParseAddr(dst); err == nil && int(m.fixed[1]) != a.BitLen() {
			to = fmt.Sprintf("%s/%d", dst, m.fixed[1])
		}
	}
	words := []string{to}
	add := func(name, value string) {
		if value != "" {
			words = append(words, name, value)
		}
	}
	add("via", m.ip(syscall.RTA_GATEWAY))
	add("dev", names[m.number(syscall.RTA_OIF)])
	add("proto", map[uint8]string{2: "kernel", 3: "boot", 4: "static", 9: "ra", 16: "dhcp"}[m.fixed[5]])
	if m.fixed[6] != syscall.RT_SCOPE_UNIVERSE && m.fixed[0] == inet {
		add("scope", scope(m.fixed[6]))
	}
	add("src", m.ip(syscall.RTA_PREFSRC))
	if p := m.number(syscall.RTA_PRIORITY); p != 0 {
		add("metric", fmt.Sprint(p))
	}
	return strings.Join(words, " ")
}

// getRoute asks the kernel which way it would take to an address.
func getRoute(word string) error {
	a, err := netip.ParseAddr(word)
	if err != nil {
		return fmt.Errorf("route get: %s: not an address", word)
	}
	fixed := syscall.RtMsg{Family: familyOf(a), Dst_len: uint8(a.BitLen())}
	m, err := ask(syscall.RTM_GETROUTE, 0, bytes(&fixed), attribute(syscall.RTA_DST, a.AsSlice()))
	if err != nil {
		return fmt.Errorf("route to %s: %w", word, err)
	}
	m.fixed[5], m.fixed[6] = 0, syscall.RT_SCOPE_UNIVERSE
	fmt.Println(routeText(m, linkNames()))
	return nil
}

// neighbourStates are the bits of a neighbour's state.
var neighbourStates = []struct {
	bit  uint16
	text string
}{{1, "INCOMPLETE"}, {2, "REACHABLE"}, {4, "STALE"}, {8, "DELAY"}, {16, "PROBE"}, {32, "FAILED"}, {64, "NOARP"}, {128, "PERMANENT"}}

func (r request) showNeighbours() error {
	found, err := list(syscall.RTM_GETNEIGH, r.family)
	if err != nil {
		return err
	}
	names := linkNames()
	for _, m := range found {
		state := binary.NativeEndian.Uint16(m.fixed[8:])
		if m.kind != syscall.RTM_NEWNEIGH || state == 64 || m.fixed[0] != inet && m.fixed[0] != inet6 {
			continue
		}
		const ndaDst, ndaLLAddr = 1, 2
		line := m.ip(ndaDst) + " dev " + names[binary.NativeEndian.Uint32(m.fixed[4:])]
		if mac := net.HardwareAddr(m.attrs[ndaLLAddr]); len(mac) > 0 {
			line += " lladdr " + mac.String()
		}
		for _, s := range neighbourStates {
			if state&s.bit != 0 {
				line += " " + s.text
			}
		}
		fmt.Println(line)
	}
	return nil
}
