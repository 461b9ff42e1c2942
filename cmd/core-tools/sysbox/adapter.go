package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"

	"coretools.silo/procfs"
	"coretools.silo/table"
)

// adapter is one network link with what is set on it.
type adapter struct {
	Name, Kind, MAC string
	Up, Loopback    bool
	MTU             int
	IPv4, IPv6      []netip.Prefix
	Gateways        []netip.Addr
}

// links asks the kernel for the network links; tests have their own.
var links = kernelLinks

func kernelLinks() []adapter {
	all, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var out []adapter
	for _, i := range all {
		a := adapter{
			Name: i.Name, MAC: i.HardwareAddr.String(), MTU: i.MTU,
			Up: i.Flags&net.FlagUp != 0, Loopback: i.Flags&net.FlagLoopback != 0,
		}
		addrs, err := i.Addrs()
		if err != nil {
			addrs = nil
		}
		for _, addr := range addrs {
			p, err := netip.ParsePrefix(addr.String())
			switch {
			case err != nil:
			case p.Addr().Is4():
				a.IPv4 = append(a.IPv4, p)
			default:
				a.IPv6 = append(a.IPv6, p)
			}
		}
		out = append(out, a)
	}
	return out
}

// readAdapters joins links with their default gateways.
func readAdapters(root procfs.Root) []adapter {
	all := links()
	routes := root.Routes()
	for i := range all {
		a := &all[i]
		a.Kind = kindOf(root, a)
		for _, r := range routes {
			if r.Link == a.Name && r.To.Bits() == 0 && r.Gateway.IsValid() {
				a.Gateways = append(a.Gateways, r.Gateway)
			}
		}
	}
	return all
}

// kindOf describes a link by what the kernel shows of it: a device behind it,
// or the lack of one, which makes it virtual.
func kindOf(root procfs.Root, a *adapter) string {
	dir := string(root) + "/sys/class/net/" + a.Name
	target, err := os.Readlink(dir)
	switch {
	case a.Loopback:
		return "Loopback"
	case err == nil && strings.Contains(target, "/virtual/"):
		return "Virtual Ethernet adapter"
	case a.MAC != "":
		return "Ethernet adapter"
	}
	return "Network link"
}

func ipConfig(c *call, args []string) error {
	every := false
	for _, a := range args {
		switch strings.ToLower(a) {
		case "/all", "--all", "-all", "-a":
			every = true
		default:
			return badUsage("%q: takes /all only", a)
		}
	}
	adapters := readAdapters(c.root)
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	resolver := c.root.Resolver()
	if !c.asTable() {
		return writeConfig(c.out, host, resolver, adapters, every)
	}
	t := &table.Table{Columns: []table.Column{
		{Name: "name"},
		{Name: "description", Detail: true},
		{Name: "mac"},
		{Name: "ipv4"},
		{Name: "ipv6", Detail: true},
		{Name: "gateways"},
		{Name: "dnsServers", Title: "DNS SERVERS"},
		{Name: "dnsSearch", Detail: true},
		{Name: "mtu", Detail: true},
		{Name: "up", Detail: true},
		{Name: "hostName", Detail: true},
	}}
	for _, a := range adapters {
		if a.Loopback && !every {
			continue
		}
		t.Add(a.Name, a.Kind, textOf(a.MAC), texts(a.IPv4), texts(a.IPv6), texts(a.Gateways), resolver.Servers, resolver.Search, a.MTU, a.Up, textOf(host))
	}
	return c.write(t)
}

func texts[T fmt.Stringer](list []T) []string {
	all := []string{}
	for _, v := range list {
		all = append(all, v.String())
	}
	return all
}

// writeConfig writes blocks of names and values: of the system with every,
// then of each adapter.
func writeConfig(w io.Writer, host string, resolver procfs.Resolver, adapters []adapter, every bool) error {
	var b strings.Builder
	line := func(name string, values ...string) {
		const wide = 24
		label := name + strings.Repeat(" .", max(0, (wide-len(name))/2))
		if len(values) == 0 {
			values = []string{""}
		}
		for i, v := range values {
			text := fmt.Sprintf("   %-*s : %s", wide, label, table.Clean(v))
			if i > 0 {
				text = fmt.Sprintf("   %*s   %s", wide, "", table.Clean(v))
			}
			b.WriteString(strings.TrimRight(text, " ") + "\n")
		}
	}
	b.WriteString("IP configuration\n")
	if every {
		b.WriteByte('\n')
		line("Host name", host)
		line("DNS suffix search list", resolver.Search...)
	}
	for _, a := range adapters {
		if a.Loopback && !every {
			continue
		}
		fmt.Fprintf(&b, "\n%s %s:\n\n", a.Kind, table.Clean(a.Name))
		if every && !a.Loopback {
			line("Physical address", a.MAC)
		}
		if every {
			line("MTU", fmt.Sprint(a.MTU))
		}
		if !a.Up {
			line("State", "down")
		}
		for _, p := range a.IPv4 {
			line("IPv4 address", p.Addr().String())
			line("Subnet mask", mask(p))
		}
		for _, p := range a.IPv6 {
			line("IPv6 address", p.String())
		}
		if !a.Loopback {
			line("Default gateway", texts(a.Gateways)...)
		}
		if every && !a.Loopback {
			line("DNS servers", resolver.Servers...)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// mask is the length of an IPv4 prefix as four numbers.
func mask(p netip.Prefix) string {
	m := net.CIDRMask(p.Bits(), 32)
	return net.IP(m).String()
}
