package cli

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/network"
)

// portRange is first to last; host ranges may be absent (0 to 0).
type portRange struct{ first, last uint16 }

func (r portRange) count() int { return int(r.last) - int(r.first) + 1 }

// publish reads -p, [[HOST-ADDRESS:]HOST-PORT:]PORT[/PROTOCOL] with ranges of
// ports, into a port map.
func publish(specs []string) (network.PortMap, error) {
	out := network.PortMap{}
	for _, s := range specs {
		if err := publishOne(out, s); err != nil {
			return nil, fmt.Errorf("-p %q: %w", s, err)
		}
	}
	return out, nil
}

func publishOne(out network.PortMap, s string) error {
	spec, proto, err := splitProtocol(s)
	if err != nil {
		return err
	}
	addr, host, inside, err := splitPublish(spec)
	if err != nil {
		return err
	}
	to, err := parseRange(inside)
	if err != nil {
		return err
	}
	var from portRange
	if host == "0" { // any free one, as without
		host = ""
	}
	if host != "" {
		if from, err = parseRange(host); err != nil {
			return err
		}
		// Several host ports for one port inside: any free one of them.
		if from.count() != to.count() && to.count() != 1 {
			return fmt.Errorf("%s has %d ports and %s has %d", host, from.count(), inside, to.count())
		}
	}
	var ip netip.Addr
	if addr != "" {
		if ip, err = netip.ParseAddr(addr); err != nil {
			return fmt.Errorf("%q is not an IP address", addr)
		}
	}
	for i := range to.count() {
		p, _ := network.PortFrom(to.first+uint16(i), network.IPProtocol(proto))
		b := network.PortBinding{HostIP: ip}
		switch {
		case host == "":
		case from.count() == to.count():
			b.HostPort = strconv.Itoa(int(from.first) + i)
		default:
			b.HostPort = fmt.Sprintf("%d-%d", from.first, from.last)
		}
		out[p] = append(out[p], b)
	}
	return nil
}

// splitProtocol cuts the protocol off, tcp if there is none.
func splitProtocol(s string) (rest, proto string, err error) {
	rest, proto, has := strings.Cut(s, "/")
	if !has {
		return rest, "tcp", nil
	}
	switch p := strings.ToLower(proto); p {
	case "tcp", "udp":
		return rest, p, nil
	}
	return "", "", fmt.Errorf("%q is not a protocol: use tcp or udp", proto)
}

// splitPublish cuts [[ADDRESS:]HOST:]PORT at its colons. An IPv6 address stands
// in brackets; without them the last two colons count.
func splitPublish(s string) (addr, host, inside string, err error) {
	if rest, ok := strings.CutPrefix(s, "["); ok {
		a, rest, ok := strings.Cut(rest, "]:")
		if !ok {
			return "", "", "", fmt.Errorf("%q: use [ADDRESS]:HOST-PORT:PORT", s)
		}
		addr, s = a, rest
		host, inside, ok = strings.Cut(s, ":")
		if !ok {
			return "", "", "", fmt.Errorf("no port in the container: use [%s]:%s:PORT", addr, s)
		}
		return addr, host, inside, nil
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return "", "", s, nil
	}
	inside, s = s[i+1:], s[:i]
	if i = strings.LastIndexByte(s, ':'); i < 0 {
		if s == "" {
			return "", "", "", fmt.Errorf("no host port before the colon")
		}
		return "", s, inside, nil
	}
	return s[:i], s[i+1:], inside, nil
}

// parseRange reads PORT or FIRST-LAST.
func parseRange(s string) (portRange, error) {
	a, b, has := strings.Cut(s, "-")
	first, err := port(a)
	if err != nil {
		return portRange{}, err
	}
	last := first
	if has {
		if last, err = port(b); err != nil {
			return portRange{}, err
		}
	}
	if last < first {
		return portRange{}, fmt.Errorf("the range %s ends before it begins", s)
	}
	return portRange{first, last}, nil
}

func port(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("%q is not a port: use 1 to 65535", s)
	}
	return uint16(n), nil
}

// expose reads --expose, PORT[-LAST][/PROTOCOL], into a set of ports.
func expose(out network.PortSet, specs []string) error {
	for _, s := range specs {
		spec, proto, err := splitProtocol(s)
		if err != nil {
			return fmt.Errorf("--expose %q: %w", s, err)
		}
		r, err := parseRange(spec)
		if err != nil {
			return fmt.Errorf("--expose %q: %w", s, err)
		}
		for i := range r.count() {
			p, _ := network.PortFrom(r.first+uint16(i), network.IPProtocol(proto))
			out[p] = struct{}{}
		}
	}
	return nil
}
