package cli

import (
	"strconv"

	"github.com/moby/moby/api/types/network"
	"github.com/spf13/cobra"

	"silo/internal/listing"
)

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
		l := rowFormat{
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
	inspect.ValidArgsFunction = a.completeNetworks()
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
		return listing.ShortID(r.n.ID)
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
func (r *networkRow) Labels() string { return listing.Labels(r.n.Labels) }

// Label is one label.
func (r *networkRow) Label(name string) string { return r.n.Labels[name] }

// CreatedAt is when it was made.
func (r *networkRow) CreatedAt() string { return r.n.Created.String() }
