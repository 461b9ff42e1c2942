package cli

import (
	"github.com/spf13/cobra"
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
