package cli

import (
	"fmt"
	"net"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"silo/client"
	"silo/client/container"
)

func cmdPs(a *app) *cobra.Command {
	var o client.ListOptions
	var quiet, noTrunc, latest bool
	var format string
	var filters map[string][]string
	c := &cobra.Command{
		Use:     "ps [OPTIONS]",
		Aliases: []string{"list"},
		Short:   "List containers",
		Long: `Without options, those that run.

Filters: id, name, label, status, exited, health, ancestor, before, since,
network, volume, publish, expose, is-task.`,
		Example: `silo ps -a
silo ps -q --filter status=exited
silo ps --format 'table {{.Names}}\t{{.Status}}'`,
		Args: maxArgs(0),
	}
	f := c.Flags()
	f.BoolVarP(&o.All, "all", "a", false, "Show those that do not run, too")
	f.IntVarP(&o.Limit, "last", "n", -1, "Show the newest n, of any state")
	f.BoolVarP(&latest, "latest", "l", false, "Show the newest one, of any state")
	f.BoolVarP(&o.Size, "size", "s", false, "Show sizes")
	f.BoolVarP(&quiet, "quiet", "q", false, "Print ids only")
	f.BoolVar(&noTrunc, "no-trunc", false, "Do not cut long texts")
	f.VarP(filterValue(&filters), "filter", "f", "Show those that match key=value")
	f.StringVar(&format, "format", "", formatHelp)
	c.RunE = func(c *cobra.Command, _ []string) error {
		if latest {
			o.Limit = 1
		}
		if o.Limit > 0 {
			o.All = true
		}
		o.Filters = filters
		o.Size = o.Size || strings.Contains(format, ".Size")
		cl, err := a.client()
		if err != nil {
			return err
		}
		var rows []*psRow
		if format == "" || format == "table" {
			err = cl.ContainerTable(c.Context(), o, func(s *container.Summary) { rows = append(rows, &psRow{c: s, trunc: !noTrunc}) })
		} else {
			var list []container.Summary
			list, err = cl.Containers(c.Context(), o)
			for i := range list {
				rows = append(rows, &psRow{c: &list[i], trunc: !noTrunc})
			}
		}
		if err != nil {
			return err
		}
		return printRows(a.out, psListing(format, quiet, o.Size), rows)
	}
	return c
}

// formatHelp describes --format of listings.
const formatHelp = `Print "table", "json", "table TEMPLATE" or a Go template`

func psListing(format string, quiet, size bool) listing {
	l := listing{
		columns: []string{"ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"},
		headers: map[string]string{
			"ID": "CONTAINER ID", "Names": "NAMES", "Image": "IMAGE", "Command": "COMMAND", "CreatedAt": "CREATED AT",
			"RunningFor": "CREATED", "Ports": "PORTS", "State": "STATE", "Status": "STATUS", "Size": "SIZE", "Labels": "LABELS",
			"Mounts": "MOUNTS", "LocalVolumes": "LOCAL VOLUMES", "Networks": "NETWORKS", "HealthStatus": "HEALTH STATUS",
		},
		format: format,
	}
	if size {
		l.columns = append(l.columns, "Size")
	}
	if quiet {
		l.quiet = "ID"
	}
	return l
}

// psRow is one line of ps.
type psRow struct {
	c     *container.Summary
	trunc bool
}

func (*psRow) isRow() {}

// ID is the container's id.
func (r *psRow) ID() string {
	if r.trunc {
		return shortID(r.c.ID)
	}
	return r.c.ID
}

// Names are the container's names.
func (r *psRow) Names() string {
	names := make([]string, len(r.c.Names))
	for i, n := range r.c.Names {
		names[i] = strings.TrimPrefix(n, "/")
	}
	return strings.Join(names, ",")
}

// Image is the image as it was named at creation.
func (r *psRow) Image() string {
	switch {
	case r.c.Image == "":
		return "<no image>"
	case !r.trunc:
		return r.c.Image
	case shortID(r.c.ImageID) == shortID(r.c.Image):
		return shortID(r.c.Image)
	}
	return familiarName(r.c.Image)
}

// Command is the command, quoted.
func (r *psRow) Command() string {
	if r.trunc {
		return strconv.Quote(ellipsis(r.c.Command, 20))
	}
	return strconv.Quote(r.c.Command)
}

// CreatedAt is when the container was made.
func (r *psRow) CreatedAt() string { return time.Unix(r.c.Created, 0).String() }

// RunningFor is how long ago the container was made.
func (r *psRow) RunningFor() string { return ago(time.Unix(r.c.Created, 0)) }

// Ports are its published and exposed ports.
func (r *psRow) Ports() string { return portsText(r.c.Ports) }

// State is one word: running, exited …
func (r *psRow) State() string { return string(r.c.State) }

// Status is the state in words.
func (r *psRow) Status() string { return r.c.Status }

// Size is what the container wrote, and with its image.
func (r *psRow) Size() string {
	if r.c.SizeRootFs > 0 {
		return fmt.Sprintf("%s (virtual %s)", size3(r.c.SizeRw), size3(r.c.SizeRootFs))
	}
	return size3(r.c.SizeRw)
}

// Labels are all labels.
func (r *psRow) Labels() string { return labelText(r.c.Labels) }

// Label is one label.
func (r *psRow) Label(name string) string { return r.c.Labels[name] }

// Mounts are the names or sources of what is mounted.
func (r *psRow) Mounts() string {
	var out []string
	for _, m := range r.c.Mounts {
		name := m.Name
		if name == "" {
			name = m.Source
		}
		if r.trunc {
			name = ellipsis(name, 15)
		}
		out = append(out, name)
	}
	return strings.Join(out, ",")
}

// LocalVolumes is the number of volumes.
func (r *psRow) LocalVolumes() string {
	n := 0
	for _, m := range r.c.Mounts {
		if m.Driver == "local" {
			n++
		}
	}
	return strconv.Itoa(n)
}

// Networks are the names of its networks.
func (r *psRow) Networks() string {
	if r.c.NetworkSettings == nil {
		return ""
	}
	var out []string
	for k := range r.c.NetworkSettings.Networks {
		out = append(out, k)
	}
	sort.Strings(out)
	return strings.Join(out, ",")
}

// HealthStatus is starting, healthy or unhealthy, or nothing.
func (r *psRow) HealthStatus() string {
	if r.c.Health == nil || r.c.Health.Status == container.NoHealthcheck {
		return ""
	}
	return string(r.c.Health.Status)
}

// portsText shows ports as Docker does: runs of the same number on both sides
// are joined.
func portsText(ports []container.PortSummary) string {
	ports = append([]container.PortSummary(nil), ports...)
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
