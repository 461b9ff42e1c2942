package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/network"
	"github.com/spf13/cobra"

	"silo/api"
	"silo/client"
	"silo/client/volume"
)

// listFlags are the flags of a plain listing.
type listFlags struct {
	quiet, noTrunc bool
	format         string
	filters        map[string][]string
}

func (o *listFlags) add(c *cobra.Command, filters bool) {
	f := c.Flags()
	f.BoolVarP(&o.quiet, "quiet", "q", false, "Print names or ids only")
	f.StringVar(&o.format, "format", "", formatHelp)
	if filters {
		f.VarP(filterValue(&o.filters), "filter", "f", "Show those that match key=value")
	}
}

func cmdNetwork(a *app) *cobra.Command {
	var o listFlags
	ls := &cobra.Command{
		Use: "ls [OPTIONS]", Aliases: []string{"list"}, Short: "List networks", Long: "Filters: driver, id, label, name, scope, type.",
		Example: "silo network ls --no-trunc", Args: maxArgs(0),
	}
	o.add(ls, true)
	ls.Flags().BoolVar(&o.noTrunc, "no-trunc", false, "Do not cut ids")
	ls.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		list, err := cl.Networks(c.Context(), o.filters)
		if err != nil {
			return err
		}
		rows := make([]*networkRow, len(list))
		for i := range list {
			rows[i] = &networkRow{n: list[i], trunc: !o.noTrunc}
		}
		l := listing{
			columns: []string{"ID", "Name", "Driver", "Scope"},
			headers: map[string]string{
				"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE", "IPv4": "IPV4", "IPv6": "IPV6",
				"Internal": "INTERNAL", "Labels": "LABELS", "CreatedAt": "CREATED AT",
			},
			format: o.format,
		}
		if o.quiet {
			l.quiet = "ID"
		}
		return printRows(a.out, l, rows)
	}
	kind := "network"
	inspect := inspectCommand(a, &kind)
	inspect.Use, inspect.Short = "inspect [OPTIONS] NETWORK [NETWORK...]", "Show all about networks"
	inspect.Example = "silo network inspect nat"
	return group("network", "Networks", ls, inspect)
}

// networkRow is one line of network ls.
type networkRow struct {
	n     network.Summary
	trunc bool
}

func (*networkRow) isRow() {}

// ID is the network's id.
func (r *networkRow) ID() string {
	if r.trunc {
		return shortID(r.n.ID)
	}
	return r.n.ID
}

// Name is its name.
func (r *networkRow) Name() string { return r.n.Name }

// Driver is what makes it.
func (r *networkRow) Driver() string { return r.n.Driver }

// Scope is where it exists.
func (r *networkRow) Scope() string { return r.n.Scope }

// IPv4 tells whether it has IPv4.
func (r *networkRow) IPv4() string { return strconv.FormatBool(r.n.EnableIPv4) }

// IPv6 tells whether it has IPv6.
func (r *networkRow) IPv6() string { return strconv.FormatBool(r.n.EnableIPv6) }

// Internal tells whether it has no way out.
func (r *networkRow) Internal() string { return strconv.FormatBool(r.n.Internal) }

// Labels are all labels.
func (r *networkRow) Labels() string { return labelText(r.n.Labels) }

// Label is one label.
func (r *networkRow) Label(name string) string { return r.n.Labels[name] }

// CreatedAt is when it was made.
func (r *networkRow) CreatedAt() string { return r.n.Created.String() }

func cmdVolume(a *app) *cobra.Command {
	kind := "volume"
	inspect := inspectCommand(a, &kind)
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
		l := listing{
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
func (r *volumeRow) Labels() string { return labelText(r.v.Labels) }

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
	return size3(r.v.UsageData.Size)
}

func volumeRemove(a *app) *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use: "rm [OPTIONS] VOLUME [VOLUME...]", Aliases: []string{"remove"}, Short: "Remove volumes and what is in them",
		Example: "silo volume rm data", Args: minArgs(1),
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

// printPruned prints what was removed, as Docker does.
func (a *app) printPruned(heading string, names []string, bytes uint64) error {
	var b strings.Builder
	if len(names) > 0 {
		fmt.Fprintf(&b, "%s\n%s\n\n", heading, strings.Join(names, "\n"))
	}
	fmt.Fprintf(&b, "Total reclaimed space: %s\n", humanSize(bytes))
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

// errNotConfirmed ends a command that the user did not want after all.
var errNotConfirmed = errors.New("nothing was removed: answer y, or use --force")

// confirm asks before something is lost.
func (a *app) confirm(force bool, warning string) error {
	if force {
		return nil
	}
	fmt.Fprintf(a.err, "%s\nGo on? [y/N] ", warning)
	var answer string
	_, _ = fmt.Fscanln(a.in, &answer)
	if strings.ToLower(answer) != "y" && strings.ToLower(answer) != "yes" {
		return errNotConfirmed
	}
	return nil
}

func cmdDisk(a *app) *cobra.Command {
	return group("disk", "The virtual disks of containers", diskList(a), diskMount(a), diskUnmount(a))
}

func diskList(a *app) *cobra.Command {
	var o listFlags
	c := &cobra.Command{
		Use: "ls [OPTIONS]", Aliases: []string{"list"}, Short: "List the disks", Example: "silo disk ls", Args: maxArgs(0),
	}
	o.add(c, false)
	c.Flags().BoolVar(&o.noTrunc, "no-trunc", false, "Do not cut ids")
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		list, err := cl.Disks(c.Context())
		if err != nil {
			return err
		}
		rows := make([]*diskRow, len(list))
		for i := range list {
			rows[i] = &diskRow{list[i], !o.noTrunc}
		}
		l := listing{
			columns: []string{"Container", "Name", "Device", "Size", "Allocated", "Path"},
			headers: map[string]string{
				"Container": "CONTAINER", "Name": "NAME", "Device": "DEVICE", "Size": "SIZE", "Allocated": "ALLOCATED",
				"Path": "PATH", "Mounts": "MOUNTS",
			},
			format: o.format,
		}
		if o.quiet {
			l.quiet = "Path"
		}
		return printRows(a.out, l, rows)
	}
	return c
}

// diskRow is one line of disk ls.
type diskRow struct {
	d     api.Disk
	trunc bool
}

func (*diskRow) isRow() {}

// Container is the id of its container.
func (r *diskRow) Container() string {
	if r.trunc {
		return shortID(r.d.Container)
	}
	return r.d.Container
}

// Name is the name of its container.
func (r *diskRow) Name() string { return strings.TrimPrefix(r.d.Name, "/") }

// Device is the block device, or nothing while it is not attached.
func (r *diskRow) Device() string { return r.d.Device }

// Size is its size as seen inside.
func (r *diskRow) Size() string { return humanSize(uint64(r.d.Size)) }

// Allocated is what it takes on the host.
func (r *diskRow) Allocated() string { return humanSize(uint64(r.d.Allocated)) }

// Path is the file on the host.
func (r *diskRow) Path() string { return r.d.Path }

// Mounts are the folders of the host that show it.
func (r *diskRow) Mounts() string { return strings.Join(r.d.Mounts, ",") }

func diskMount(a *app) *cobra.Command {
	var writable bool
	c := &cobra.Command{
		Use: "mount [OPTIONS] CONTAINER DIR", Short: "Show the file system of a container in a folder of the host",
		Long:    "Read-only unless asked otherwise. It is the file system that the container sees, its image included.",
		Example: "silo disk mount core /mnt\nsilo disk unmount /mnt",
		Args:    exactArgs(2), ValidArgsFunction: a.completeContainers(1),
	}
	c.Flags().BoolVarP(&writable, "writable", "w", false, "Let the host write to it")
	c.RunE = func(c *cobra.Command, args []string) error {
		path, err := filepath.Abs(args[1])
		if err != nil {
			return err
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		return cl.DiskMount(c.Context(), args[0], api.DiskMountRequest{Path: path, Writable: writable})
	}
	return c
}

func diskUnmount(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "unmount DIR", Aliases: []string{"umount"}, Short: "Take it away from the folder again", Example: "silo disk unmount /mnt",
		Args: exactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			cl, err := a.client()
			if err != nil {
				return err
			}
			return cl.DiskUnmount(c.Context(), path)
		},
	}
}

func cmdSession(a *app) *cobra.Command {
	var o listFlags
	ls := &cobra.Command{
		Use: "ls [OPTIONS]", Aliases: []string{"list"}, Short: "List the sessions of the host and of the containers",
		Long:    "All processes of a container carry its session's number, and no other process does:\nsee /proc/PID/sessionid. Session 0 is the host's.",
		Example: "silo session ls", Args: maxArgs(0),
	}
	o.add(ls, false)
	ls.Flags().BoolVar(&o.noTrunc, "no-trunc", false, "Do not cut ids")
	ls.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		list, err := cl.Sessions(c.Context())
		if err != nil {
			return err
		}
		rows := make([]*sessionRow, len(list))
		for i := range list {
			rows[i] = &sessionRow{list[i], !o.noTrunc}
		}
		l := listing{
			columns: []string{"Number", "Container", "Name", "IDs", "Processes", "Since"},
			headers: map[string]string{
				"Number": "SESSION", "Container": "CONTAINER", "Name": "NAME", "IDs": "IDS", "Processes": "PROCESSES",
				"Since": "SINCE", "SinceAt": "SINCE",
			},
			format: o.format,
		}
		if o.quiet {
			l.quiet = "Number"
		}
		return printRows(a.out, l, rows)
	}
	return group("session", "Sessions: which process belongs to which container", ls)
}

// sessionRow is one line of session ls.
type sessionRow struct {
	s     api.Session
	trunc bool
}

func (*sessionRow) isRow() {}

// Number is the session's number.
func (r *sessionRow) Number() string { return strconv.FormatUint(uint64(r.s.Number), 10) }

// Container is the id of its container, or nothing for the host's.
func (r *sessionRow) Container() string {
	if r.trunc {
		return shortID(r.s.Container)
	}
	return r.s.Container
}

// Name is the name of its container.
func (r *sessionRow) Name() string { return strings.TrimPrefix(r.s.Name, "/") }

// IDs is the range of host user ids.
func (r *sessionRow) IDs() string {
	if r.s.IDRange.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d-%d", r.s.IDRange.First, uint64(r.s.IDRange.First)+uint64(r.s.IDRange.Count)-1)
}

// Processes is how many processes carry the number.
func (r *sessionRow) Processes() string { return strconv.Itoa(r.s.Processes) }

// Since is how long ago it began.
func (r *sessionRow) Since() string { return ago(r.s.Since) }

// SinceAt is when it began.
func (r *sessionRow) SinceAt() string { return r.s.Since.Format(time.RFC3339) }
