package property

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"silo/api"
	"silo/internal/facts"
)

// both makes a pair of readers of the same field of the two views; problem
// names what may have failed.
func both(problem string, get func(*facts.Facts) string) (in, out func(*view) value) {
	read := func(f *facts.Facts) value {
		if why := f.Problems[problem]; why != "" {
			return unknown(why)
		}
		return say("%s", get(f))
	}
	return func(v *view) value { return read(v.in) }, func(v *view) value {
		if !v.out.Live() && (problem == "network" || problem == "disk" || problem == "hostname") {
			return unknown("the container is not running")
		}
		return read(&v.out.Facts)
	}
}

// field is an entry whose two sides are the same field of the two views.
func field(e entry, problem string, get func(*facts.Facts) string) entry {
	e.in, e.out = both(problem, get)
	return e
}

func bytesText(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10) + " bytes"
}

// table declares every property, by group.
var table = joinTables(systemTable, networkTable, processTable, serviceTable, portTable, userTable, diskTable, limitTable, securityTable)

func joinTables(parts ...[]entry) (out []entry) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

var systemTable = []entry{
	field(entry{
		name: "hostname", group: "system", title: "Host name", belongs: ofContainer, want: api.Same, seed: []string{"S2", "S3"},
		inside: "uname(2)", outside: "uname(2) in its UTS namespace", note: hostnameNote,
		record: func(o *Outside) string { return o.Hostname },
	}, "hostname", func(f *facts.Facts) string { return f.System.Hostname }),
	{
		name: "hostname-file", group: "system", title: "Host name in /etc/hostname", belongs: ofContainer, want: api.Same, seed: []string{"S3"},
		inside: "/etc/hostname", outside: "uname(2) in its UTS namespace",
		in: func(v *view) value { return say("%s", v.in.System.HostnameFile) },
		out: func(v *view) value {
			if !v.out.Live() {
				return unknown("the container is not running")
			}
			return say("%s", v.out.System.Hostname)
		},
	},
	field(entry{
		name: "os", group: "system", title: "System and version", belongs: ofContainer, want: api.Same, seed: []string{"S2"},
		inside: "/etc/os-release", outside: "the same file in its root folder",
	}, "os", func(f *facts.Facts) string { return strings.TrimSpace(f.System.OS + " " + f.System.Release) }),
	field(entry{
		name: "language", group: "system", title: "Language", belongs: ofContainer, want: api.Same, seed: []string{"S2"},
		inside: "LC_ALL, LC_CTYPE, LANG of the environment", outside: "the environment in its record",
	}, "", func(f *facts.Facts) string { return f.System.Language }),
	field(entry{
		name: "timezone", group: "system", title: "Time zone", belongs: ofContainer, want: api.Same, seed: []string{"S2"},
		inside: "TZ, else /etc/localtime", outside: "TZ in its record, else /etc/localtime in its root folder",
	}, "timezone", func(f *facts.Facts) string { return f.System.TimeZone }),
	field(entry{
		name: "kernel", group: "system", title: "Kernel", belongs: ofHost, want: api.Same, seed: []string{"S2"},
		inside: "uname(2)", outside: "uname(2)",
	}, "kernel", func(f *facts.Facts) string { return f.System.Kernel + " " + f.System.Machine }),
	field(entry{
		name: "boot", group: "system", title: "Started", belongs: ofHost, want: api.Same, seed: []string{"S2"},
		inside: "btime in /proc/stat", outside: "btime in the host's /proc/stat",
	}, "", func(f *facts.Facts) string {
		if f.System.Boot == 0 {
			return ""
		}
		return time.Unix(f.System.Boot, 0).UTC().Format(time.RFC3339)
	}),
	field(entry{
		name: "processors", group: "system", title: "Processors", belongs: ofHost, want: api.Same, seed: []string{"S2"},
		inside: "/proc/cpuinfo", outside: "the host's /proc/cpuinfo",
	}, "", func(f *facts.Facts) string {
		return strings.TrimSpace(fmt.Sprintf("%d %s", f.System.Processors, f.System.Model))
	}),
	field(entry{
		name: "memory", group: "system", title: "Physical memory", belongs: ofHost, want: api.Same, seed: []string{"S2"},
		inside: "MemTotal in /proc/meminfo", outside: "MemTotal in the host's /proc/meminfo",
	}, "", func(f *facts.Facts) string { return bytesText(f.System.Memory) }),
	field(entry{
		name: "firmware", group: "system", title: "Firmware", belongs: ofHost, want: api.Same, seed: []string{"S2"},
		inside: "/sys/class/dmi/id", outside: "the host's /sys/class/dmi/id",
	}, "", func(f *facts.Facts) string { return f.System.Firmware }),
}

func hostnameNote(v *view) string {
	if v.out.Live() && v.out.Hostname != v.out.System.Hostname {
		return fmt.Sprintf("it was started as %q", v.out.Hostname)
	}
	return ""
}

// adapter is the interface that the switch gave, or what there is but lo.
func adapter(f *facts.Facts) (facts.Link, bool) {
	for _, l := range f.Network.Links {
		if l.Name != "lo" {
			return l, true
		}
	}
	return facts.Link{}, false
}

func linkField(e entry, get func(facts.Link) string) entry {
	return field(e, "network", func(f *facts.Facts) string {
		l, ok := adapter(f)
		if !ok {
			return "none"
		}
		return get(l)
	})
}

var networkTable = []entry{
	linkField(entry{
		name: "adapter", group: "network", title: "Network adapter", belongs: ofContainer, want: api.Same, seed: []string{"S4"},
		inside: "netlink", outside: "netlink in its network namespace",
	}, func(l facts.Link) string {
		state := "down"
		if l.Up {
			state = "up"
		}
		return fmt.Sprintf("%s %s mtu %d", l.Name, state, l.MTU)
	}),
	linkField(entry{
		name: "mac", group: "network", title: "MAC address", belongs: ofContainer, want: api.Same, seed: []string{"S4"},
		inside: "netlink", outside: "netlink in its network namespace", note: func(v *view) string { return recordNote(v, v.out.MAC, func(l facts.Link) string { return l.MAC }) },
		record: func(o *Outside) string { return o.MAC },
	}, func(l facts.Link) string { return l.MAC }),
	linkField(entry{
		name: "address", group: "network", title: "IPv4 address", belongs: ofContainer, want: api.Same, seed: []string{"S5"},
		inside: "netlink", outside: "netlink in its network namespace", note: func(v *view) string { return recordNote(v, v.out.IP, ipv4) },
		record: func(o *Outside) string { return o.IP },
	}, ipv4),
	field(entry{
		name: "gateway", group: "network", title: "Gateway", belongs: ofBoth, want: api.Same, seed: []string{"S6", "S8"},
		inside: "the default route, by netlink", outside: "the default route in its network namespace", note: gatewayNote,
	}, "network", func(f *facts.Facts) string { return f.Network.Gateway }),
	field(entry{
		name: "dns", group: "network", title: "Name servers", belongs: ofContainer, want: api.Same, seed: []string{"S7"},
		inside: "/etc/resolv.conf", outside: "the same file in its root folder",
	}, "dns", func(f *facts.Facts) string { return strings.Join(f.Network.Nameservers, " ") }),
	{
		name: "network", group: "network", title: "Network", belongs: ofHost, want: api.NotSupported, seed: []string{"S5", "S15", "S19"},
		outside: "its record and the switch's", out: func(v *view) value { return say("%s", strings.TrimSpace(v.out.Network+" "+v.out.Subnet)) },
		note: func(v *view) string {
			return "the host and containers on the same network reach it: " + yesNo(v.out.Network == "nat")
		},
	},
	{
		name: "published", group: "network", title: "Open to the outside", belongs: ofHost, want: api.NotSupported, seed: []string{"S17", "S18"},
		outside: "its record and the firewall's", out: func(v *view) value { return say("%s", publishedText(v.out)) },
	},
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func ipv4(l facts.Link) string {
	for _, a := range l.Addresses {
		if !strings.Contains(a, ":") {
			return a
		}
	}
	return ""
}

// recordNote tells that the namespace does not have what it was given.
func recordNote(v *view, record string, get func(facts.Link) string) string {
	if !v.out.Live() || record == "" {
		return ""
	}
	l, _ := adapter(&v.out.Facts)
	if now := get(l); !strings.HasPrefix(now, record) {
		return fmt.Sprintf("Silo gave it %s", record)
	}
	return ""
}

func gatewayNote(v *view) string {
	if v.out.Live() && v.out.Gateway != "" && v.out.Gateway != v.out.Facts.Network.Gateway {
		return "the host's address on the switch is " + v.out.Gateway
	}
	return ""
}

func publishedText(o *Outside) string {
	if o.Network == "host" {
		return "all: it shares the host's network"
	}
	if len(o.Published) == 0 {
		return "nothing"
	}
	var out []string
	for _, p := range o.Published {
		out = append(out, fmt.Sprintf("%s:%d->%d/%s", p.HostIP, p.HostPort, p.ContainerPort, p.Protocol))
	}
	return strings.Join(out, " ")
}

var serviceTable = []entry{
	{
		name: "services", group: "services", title: "Services", belongs: ofContainer, want: api.Same, seed: []string{"S11"},
		inside: "the agent's socket /dev/silo/agent", outside: "the agent, through its keeper",
		in: func(v *view) value {
			if why := v.in.Problems["services"]; why != "" {
				return unknown(why)
			}
			return say("%s", serviceText(v.in.Services))
		},
		out: func(v *view) value {
			if v.out.ServicesWhy != "" {
				return unknown(v.out.ServicesWhy)
			}
			return say("%s", serviceText(v.out.Services))
		},
	},
}

// serviceText counts them and names those that run; "" is none at all.
func serviceText(list []facts.Service) string {
	if len(list) == 0 {
		return ""
	}
	var running []string
	for _, s := range list {
		if s.Status == "running" {
			running = append(running, s.Name)
		}
	}
	slices.Sort(running)
	return strings.TrimSpace(fmt.Sprintf("%d, %d running: %s", len(list), len(running), strings.Join(running, " ")))
}

var portTable = []entry{
	field(entry{
		name: "listening", group: "ports", title: "Listening ports", belongs: ofContainer, want: api.Same, seed: []string{"S12", "S16"},
		inside: "/proc/net", outside: "/proc/PID/net of its command",
	}, "ports", func(f *facts.Facts) string { return portList(f.Ports) }),
	field(entry{
		name: "connections", group: "ports", title: "Established connections", belongs: ofContainer, want: api.Same, seed: []string{"S12"},
		inside: "/proc/net/tcp", outside: "/proc/PID/net/tcp of its command",
	}, "ports", func(f *facts.Facts) string { return strconv.Itoa(f.Network.Connections) }),
}

// portList names ports once each, in order.
func portList(list []facts.Port) string {
	seen := map[string]bool{}
	var out []string
	for _, p := range sortedPorts(list) {
		text := fmt.Sprintf("%d/%s", p.Port, strings.TrimSuffix(p.Protocol, "6"))
		if !seen[text] {
			seen[text] = true
			out = append(out, text)
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, " ")
}
