package main

import (
	"fmt"
	"strings"

	"coretools.silo/procfs"
	"coretools.silo/table"
)

// route lists routes: as Linux does, or with print as other systems do.
func route(c *call, args []string) error {
	printed := false
	for _, a := range args {
		switch strings.ToLower(a) {
		case "print":
			printed = true
		case "-n", "-4", "-6": // always numbers, always both
		default:
			return badUsage("%q: takes print only; ip route changes routes", a)
		}
	}
	if !printed || c.asTable() {
		return c.write(c.routes())
	}
	return c.printRoutes()
}

func (c *call) routes() *table.Table {
	t := &table.Table{Columns: []table.Column{
		{Name: "destination"}, {Name: "gateway"}, {Name: "genmask"}, {Name: "metric"}, {Name: "iface"}, {Name: "prefix", Detail: true},
	}}
	for _, r := range c.root.Routes() {
		gateway := "0.0.0.0"
		genmask := ""
		if r.To.Addr().Is4() {
			genmask = mask(r.To)
		} else {
			gateway = "::"
			genmask = fmt.Sprintf("/%d", r.To.Bits())
		}
		if r.Gateway.IsValid() {
			gateway = r.Gateway.String()
		}
		t.Add(r.To.Addr().String(), gateway, genmask, r.Metric, r.Link, r.To.String())
	}
	return t
}

// printRoutes writes the list of links and a table for each family.
func (c *call) printRoutes() error {
	adapters := readAdapters(c.root)
	var b strings.Builder
	b.WriteString("Interface list\n")
	for i, a := range adapters {
		fmt.Fprintf(&b, "%4d  %-17s  %s (%s)\n", i+1, a.MAC, table.Clean(a.Name), a.Kind)
	}
	for _, family := range []struct {
		name string
		six  bool
	}{{"IPv4", false}, {"IPv6", true}} {
		t := &table.Table{Columns: []table.Column{
			{Name: "destination", Title: "Network destination"},
			{Name: "mask", Title: "Netmask"},
			{Name: "gateway", Title: "Gateway"},
			{Name: "interface", Title: "Interface"},
			{Name: "metric", Title: "Metric"},
		}}
		for _, r := range c.root.Routes() {
			if r.To.Addr().Is6() != family.six {
				continue
			}
			length := fmt.Sprintf("/%d", r.To.Bits())
			if !family.six {
				length = mask(r.To)
			}
			gateway := "On-link"
			if r.Gateway.IsValid() {
				gateway = r.Gateway.String()
			}
			t.Add(r.To.Addr().String(), length, gateway, through(adapters, r), r.Metric)
		}
		fmt.Fprintf(&b, "\n%s route table\n%s", family.name, t.Render(c.places))
	}
	_, err := fmt.Fprint(c.out, b.String())
	return err
}

// through is the address of the link that a route takes, or its name.
func through(adapters []adapter, r procfs.Route) string {
	for _, a := range adapters {
		if a.Name != r.Link {
			continue
		}
		list := a.IPv4
		if r.To.Addr().Is6() {
			list = a.IPv6
		}
		for _, p := range list {
			if !r.Gateway.IsValid() || p.Masked().Contains(r.Gateway) || r.Gateway.Is6() && r.Gateway.IsLinkLocalUnicast() {
				return p.Addr().String()
			}
		}
	}
	return r.Link
}
