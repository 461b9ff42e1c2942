package cli

import (
	"errors"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"silo/api"
	"silo/internal/listing"
)

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
		l := rowFormat{
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
		return listing.ShortID(r.d.Container)
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
		Long:    "Read-only unless asked otherwise. It is the file system that the container sees, its image included.\n\nOf a running container the files have its user ids. The host's root is none of them:\nwith --writable it can change and remove files there, but make new ones only as one\nof these ids, as with setpriv(1).",
		Example: "silo disk mount core /mnt\nsilo disk unmount /mnt",
		Args:    exactArgs(2), ValidArgsFunction: a.completeContainers(1),
	}
	c.Flags().BoolVarP(&writable, "writable", "w", false, "Let the host write to it")
	c.RunE = func(c *cobra.Command, args []string) error {
		if args[1] == "" { // an unset variable, which would be this folder
			return errors.New("disk mount: the name of the folder is empty")
		}
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
