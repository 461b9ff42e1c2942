package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"silo/api"
	"silo/internal/listing"
)

// propertyFlags are the flags of properties.
type propertyFlags struct {
	groups            []string
	json, diff, watch bool
}

func cmdProperties(a *app) *cobra.Command {
	var o propertyFlags
	c := &cobra.Command{
		Use:   "properties [OPTIONS] CONTAINER",
		Short: "Show a container from inside and from the host, side by side",
		Long: `Each property is read twice: by a small program among the container's processes,
and by the daemon from the host. It answers "same", "differs", "not supported" (only
one side can know it, or this host does not have it) or "could not tell".

What comes from inside is the word of the container. Where the two differ, the
host's view is what is so.

Groups: ` + strings.Join(listing.PropertyGroups, ", ") + `.`,
		Example: `silo properties core
silo properties --group processes --group ports core
silo properties --diff --watch core`,
		Args:              exactArgs(1),
		ValidArgsFunction: a.completeContainers(1),
	}
	f := c.Flags()
	f.StringArrayVarP(&o.groups, "group", "g", nil, "Show only this group; may be repeated")
	f.BoolVar(&o.json, "json", false, "Print JSON")
	f.BoolVar(&o.diff, "diff", false, "Show only what is not as expected; exit code 1 if there is something")
	f.BoolVarP(&o.watch, "watch", "w", false, "Look again every second, print when something has changed")
	flagValues(c, "group", listing.PropertyGroups...)
	c.RunE = func(c *cobra.Command, args []string) error {
		for _, g := range o.groups {
			if !slices.Contains(listing.PropertyGroups, g) {
				return exit(125, fmt.Errorf("--group %q: there are %s", g, strings.Join(listing.PropertyGroups, ", ")))
			}
		}
		return a.properties(c.Context(), &o, args[0])
	}
	return c
}

func (a *app) properties(ctx context.Context, o *propertyFlags, ref string) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	for last := ""; ; {
		p, err := cl.Properties(ctx, ref)
		if err != nil {
			if o.watch && ctx.Err() != nil {
				return nil
			}
			return err
		}
		unexpected := o.narrow(&p)
		var out strings.Builder
		if o.json {
			out.WriteString(toJSON(p) + "\n")
		} else if err := listing.Properties(&out, &p); err != nil {
			return err
		}
		if s := settled(&p); s != last {
			last = s
			if _, err := io.WriteString(a.out, out.String()); err != nil {
				return err
			}
		}
		if !o.watch {
			if o.diff && unexpected {
				return exit(1, nil)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// settled is what must change for a watch to print again: not how much
// processor time has been used meanwhile.
func settled(p *api.Properties) string {
	q := *p
	q.At = time.Time{}
	q.Properties = slices.DeleteFunc(slices.Clone(p.Properties), func(x api.Property) bool { return x.Name == "usage" })
	q.Processes = slices.Clone(p.Processes)
	for i := range q.Processes {
		q.Processes[i].CPU, q.Processes[i].Memory, q.Processes[i].State = 0, 0, ""
	}
	if p.Disk != nil {
		d := *p.Disk
		d.Allocated = 0
		q.Disk = &d
		for i, x := range q.Properties {
			if x.Name == "disk" {
				q.Properties[i].Outside = ""
			}
		}
	}
	return toJSON(q)
}

// narrow leaves what was asked for, and tells whether something of it is not
// as expected. Of a property that includes what could not be told; a process
// may begin or end just then.
func (o *propertyFlags) narrow(p *api.Properties) (unexpected bool) {
	drop := func(group string, answer, want api.Answer) bool {
		if len(o.groups) > 0 && !slices.Contains(o.groups, group) {
			return true
		}
		unexpected = unexpected || answer == api.Differs && answer != want
		return o.diff && answer == want
	}
	p.Properties = slices.DeleteFunc(p.Properties, func(x api.Property) bool {
		odd := x.Answer != x.Want && x.Answer != api.NotSupported
		if (len(o.groups) == 0 || slices.Contains(o.groups, x.Group)) && odd {
			unexpected = true
		}
		return drop(x.Group, x.Answer, x.Want) || o.diff && x.Answer == api.NotSupported
	})
	p.Processes = slices.DeleteFunc(p.Processes, func(x api.ProcessView) bool { return drop("processes", x.Answer, api.Same) })
	p.Ports = slices.DeleteFunc(p.Ports, func(x api.PortView) bool { return drop("ports", x.Answer, api.Same) })
	p.Users = slices.DeleteFunc(p.Users, func(x api.UserView) bool { return drop("users", x.Answer, api.Same) })
	if o.diff || len(o.groups) > 0 && !slices.Contains(o.groups, "disk") {
		p.Layers = nil
	}
	return unexpected
}
