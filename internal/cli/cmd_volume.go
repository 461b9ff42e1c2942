package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"silo/client"
	"silo/client/volume"
	"silo/internal/listing"
)

func cmdVolume(a *app) *cobra.Command {
	kind := "volume"
	inspect := inspectCommand(a, &kind)
	inspect.ValidArgsFunction = a.completeVolumes()
	inspect.Use, inspect.Short = "inspect [OPTIONS] VOLUME [VOLUME...]", "Show all about volumes"
	inspect.Example = "silo volume inspect data"
	return group("volume", "Volumes", volumeCreate(a), volumeList(a), inspect, volumeRemove(a), volumePrune(a))
}

func volumeCreate(a *app) *cobra.Command {
	var r volume.CreateRequest
	var labels []string
	c := &cobra.Command{
		Use: "create [OPTIONS] [VOLUME]", Short: "Make a volume", Example: "silo volume create --label app=web data", Args: maxArgs(1),
	}
	f := c.Flags()
	f.Var(list(&labels, labelFlag), "label", "Set a label: NAME=VALUE")
	f.StringVarP(&r.Driver, "driver", "d", "local", "Driver: local")
	f.VarP(keyValues(&r.DriverOpts, true), "opt", "o", "Set an option of the driver: NAME=VALUE")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			r.Name = args[0]
		}
		r.Labels = pairs(labels)
		cl, err := a.client()
		if err != nil {
			return err
		}
		v, err := cl.VolumeCreate(c.Context(), r)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(a.out, v.Name)
		return err
	}
	return c
}

func volumeList(a *app) *cobra.Command {
	var o listFlags
	c := &cobra.Command{
		Use: "ls [OPTIONS]", Aliases: []string{"list"}, Short: "List volumes", Long: "Filters: dangling, driver, label, name.",
		Example: "silo volume ls -q --filter dangling=true", Args: maxArgs(0),
	}
	o.add(c, true)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		list, err := cl.Volumes(c.Context(), o.filters)
		if err != nil {
			return err
		}
		rows := make([]*volumeRow, len(list.Volumes))
		for i := range list.Volumes {
			rows[i] = &volumeRow{list.Volumes[i]}
		}
		for _, w := range list.Warnings {
			fmt.Fprintf(a.err, "WARNING: %s\n", w)
		}
		l := rowFormat{
			columns: []string{"Driver", "Name"},
			headers: map[string]string{
				"Driver": "DRIVER", "Name": "VOLUME NAME", "Scope": "SCOPE", "Mountpoint": "MOUNTPOINT", "Labels": "LABELS",
				"Links": "LINKS", "Size": "SIZE",
			},
			format: o.format,
		}
		if o.quiet {
			l.quiet = "Name"
		}
		return printRows(a.out, l, rows)
	}
	return c
}

// volumeRow is one line of volume ls.
type volumeRow struct{ v volume.Volume }

func (*volumeRow) isRow() {}

// Name is the volume's name.
func (r *volumeRow) Name() string { return r.v.Name }

// Driver is what keeps it.
func (r *volumeRow) Driver() string { return r.v.Driver }

// Scope is where it exists.
func (r *volumeRow) Scope() string { return r.v.Scope }

// Mountpoint is its folder on the host.
func (r *volumeRow) Mountpoint() string { return r.v.Mountpoint }

// Labels are all labels.
func (r *volumeRow) Labels() string { return listing.Labels(r.v.Labels) }

// Label is one label.
func (r *volumeRow) Label(name string) string { return r.v.Labels[name] }

// Links is how many containers use it.
func (r *volumeRow) Links() string {
	if r.v.UsageData == nil {
		return "N/A"
	}
	return strconv.FormatInt(r.v.UsageData.RefCount, 10)
}

// Size is what is in it.
func (r *volumeRow) Size() string {
	if r.v.UsageData == nil {
		return "N/A"
	}
	return listing.Size(r.v.UsageData.Size)
}

func volumeRemove(a *app) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "rm [OPTIONS] VOLUME [VOLUME...]", Aliases: []string{"remove"}, Short: "Remove volumes and what is in them",
		Example: "silo volume rm data", Args: minArgs(1), ValidArgsFunction: a.completeVolumes(),
		RunE: func(c *cobra.Command, args []string) error {
			return a.each(c.Context(), args, func(ctx context.Context, c *client.Client, name string) error {
				return c.VolumeRemove(ctx, name, force)
			})
		},
	}
	c.Flags().BoolVarP(&force, "force", "f", false, "A missing volume is no error")
	return c
}

func volumePrune(a *app) *cobra.Command {
	var all, force bool
	var filters map[string][]string
	c := &cobra.Command{
		Use: "prune [OPTIONS]", Short: "Remove anonymous volumes that no container uses", Example: "silo volume prune --all -f", Args: maxArgs(0),
	}
	f := c.Flags()
	f.BoolVarP(&all, "all", "a", false, "Remove those with a name, too")
	f.BoolVarP(&force, "force", "f", false, "Do not ask")
	f.Var(filterValue(&filters), "filter", "Remove those that match: label=…, label!=…")
	c.RunE = func(c *cobra.Command, _ []string) error {
		what := "all anonymous volumes that no container uses"
		if all {
			what = "all volumes that no container uses"
			if filters == nil {
				filters = client.Filters{}
			}
			filters["all"] = []string{"true"}
		}
		if err := a.confirm(force, "This removes "+what+"."); err != nil {
			return err
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		out, err := cl.VolumesPrune(c.Context(), filters)
		if err != nil {
			return err
		}
		return a.printPruned("Deleted Volumes:", out.VolumesDeleted, out.SpaceReclaimed)
	}
	return c
}
