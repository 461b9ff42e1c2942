package cli

import (
	"context"
	"io"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"silo/client"
	"silo/client/container"
	"silo/internal/listing"
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
		if format == "" || format == "table" {
			return printContainers(c.Context(), a.out, cl, o, listing.ContainersOptions{Quiet: quiet, NoTrunc: noTrunc, Size: o.Size})
		}
		list, err := cl.Containers(c.Context(), o)
		if err != nil {
			return err
		}
		rows := make([]*psRow, len(list))
		for i := range list {
			rows[i] = &psRow{listing.ContainerRow{C: listed(&list[i]), NoTrunc: noTrunc}, &list[i]}
		}
		return printRows(a.out, rowFormat{headers: psHeaders, format: format}, rows)
	}
	return c
}

// printContainers prints a table, or ids.
func printContainers(ctx context.Context, w io.Writer, cl *client.Client, o client.ListOptions, look listing.ContainersOptions) error {
	var list []listing.Container
	if err := cl.ContainerTable(ctx, o, func(s *container.Summary) { list = append(list, *listed(s)) }); err != nil {
		return err
	}
	return listing.Containers(w, list, look)
}

// listed is what a table shows of a container.
func listed(s *container.Summary) *listing.Container {
	c := &listing.Container{
		ID: s.ID, Image: s.Image, ImageID: s.ImageID, Command: s.Command, Status: s.Status, Names: s.Names,
		Created: s.Created, SizeRw: s.SizeRw, SizeRootFs: s.SizeRootFs,
	}
	for _, p := range s.Ports {
		c.Ports = append(c.Ports, listing.Port(p))
	}
	return c
}

// formatHelp describes --format of listings.
const formatHelp = `Print "table", "json", "table TEMPLATE" or a Go template`

// psHeaders are the headings of the fields of psRow.
var psHeaders = map[string]string{
	"ID": "CONTAINER ID", "Names": "NAMES", "Image": "IMAGE", "Command": "COMMAND", "CreatedAt": "CREATED AT",
	"RunningFor": "CREATED", "Ports": "PORTS", "State": "STATE", "Status": "STATUS", "Size": "SIZE", "Labels": "LABELS",
	"Mounts": "MOUNTS", "LocalVolumes": "LOCAL VOLUMES", "Networks": "NETWORKS", "HealthStatus": "HEALTH STATUS",
}

// psRow is one line of ps: the columns of its table, and more.
type psRow struct {
	listing.ContainerRow
	c *container.Summary
}

func (*psRow) isRow() {}

// CreatedAt is when the container was made.
func (r *psRow) CreatedAt() string { return time.Unix(r.c.Created, 0).String() }

// State is one word: running, exited …
func (r *psRow) State() string { return string(r.c.State) }

// Labels are all labels.
func (r *psRow) Labels() string { return listing.Labels(r.c.Labels) }

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
		if !r.NoTrunc {
			name = listing.Ellipsis(name, 15)
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
