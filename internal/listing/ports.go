package listing

import (
	"fmt"
	"net"
	"net/netip"
	"sort"
	"strconv"
	"strings"
)

// Port is a published or exposed port; its fields are those of Docker's
// PortSummary.
type Port struct {
	IP          netip.Addr
	PrivatePort uint16
	PublicPort  uint16
	Type        string
}

// portsText shows ports as Docker does: runs of the same number on both sides
// are joined.
func portsText(ports []Port) string {
	ports = append([]Port(nil), ports...)
	sort.Slice(ports, func(i, j int) bool {
		a, b := ports[i], ports[j]
		switch {
		case a.PrivatePort != b.PrivatePort:
			return a.PrivatePort < b.PrivatePort
		case a.IP != b.IP:
			return a.IP.String() < b.IP.String()
		case a.PublicPort != b.PublicPort:
			return a.PublicPort < b.PublicPort
		}
		return a.Type < b.Type
	})
	type run struct {
		host, proto string
		first, last uint16
	}
	var runs []*run
	open := map[string]*run{}
	var mapped []string
	for _, p := range ports {
		host := ""
		if p.IP.IsValid() {
			host = p.IP.String()
			if p.PublicPort != p.PrivatePort {
				mapped = append(mapped, fmt.Sprintf("%s->%d/%s", net.JoinHostPort(host, strconv.Itoa(int(p.PublicPort))), p.PrivatePort, p.Type))
				continue
			}
		}
		key := host + "/" + p.Type
		if r := open[key]; r != nil && r.last+1 == p.PrivatePort {
			r.last++
			continue
		}
		open[key] = &run{host: host, proto: p.Type, first: p.PrivatePort, last: p.PrivatePort}
		runs = append(runs, open[key])
	}
	var out []string
	for _, r := range runs {
		s := strconv.Itoa(int(r.first))
		if r.first != r.last {
			s += "-" + strconv.Itoa(int(r.last))
		}
		if r.host != "" {
			s = net.JoinHostPort(r.host, s) + "->" + s
		}
		out = append(out, s+"/"+r.proto)
	}
	return strings.Join(append(out, mapped...), ", ")
}
