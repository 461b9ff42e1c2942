package cli

import (
	"fmt"
	"io"
	"strconv"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"silo/client/system"
)

func humanSize(n uint64) string { return units.HumanSize(float64(n)) }

func cmdSystem(a *app) *cobra.Command {
	return group("system", "The engine, as the commands above", append(a.members("system"), cmdDf(a))...)
}

func cmdDf(a *app) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "df [OPTIONS]", Short: "Show what takes space", Args: maxArgs(0), Example: "silo system df",
	}
	c.Flags().StringVar(&format, "format", "", formatHelp)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		u, err := cl.DiskUsage(c.Context())
		if err != nil {
			return err
		}
		return printRows(a.out, rowFormat{
			columns: []string{"Type", "TotalCount", "Active", "Size", "Reclaimable"},
			headers: map[string]string{
				"Type": "TYPE", "TotalCount": "TOTAL", "Active": "ACTIVE", "Size": "SIZE", "Reclaimable": "RECLAIMABLE",
			},
			format: format,
		}, usageRows(u))
	}
	return c
}

func usageRows(u system.DiskUsage) []*usageRow {
	var rows []*usageRow
	if i := u.ImageUsage; i != nil {
		rows = append(rows, &usageRow{"Images", i.TotalCount, i.ActiveCount, i.TotalSize, i.Reclaimable})
	}
	if c := u.ContainerUsage; c != nil {
		rows = append(rows, &usageRow{"Containers", c.TotalCount, c.ActiveCount, c.TotalSize, c.Reclaimable})
	}
	if v := u.VolumeUsage; v != nil {
		rows = append(rows, &usageRow{"Local Volumes", v.TotalCount, v.ActiveCount, v.TotalSize, v.Reclaimable})
	}
	return rows
}

// usageRow is one line of system df.
type usageRow struct {
	kind                     string
	count, active, size, rec int64
}

func (*usageRow) isRow() {}

// Type is what is counted.
func (r *usageRow) Type() string { return r.kind }

// TotalCount is how many there are.
func (r *usageRow) TotalCount() string { return strconv.FormatInt(r.count, 10) }

// Active is how many are in use.
func (r *usageRow) Active() string { return strconv.FormatInt(r.active, 10) }

// Size is what they take.
func (r *usageRow) Size() string { return units.HumanSize(float64(r.size)) }

// Reclaimable is what removing those not in use would give back.
func (r *usageRow) Reclaimable() string {
	s := units.HumanSize(float64(r.rec))
	if r.size > 0 {
		s += fmt.Sprintf(" (%d%%)", r.rec*100/r.size)
	}
	return s
}

// printValue writes a value in a format.
func (a *app) printValue(format string, v any) error {
	if format == "json" {
		_, err := fmt.Fprintln(a.out, toJSON(v))
		return err
	}
	t, err := parseTemplate(format)
	if err != nil {
		return err
	}
	if err := t.Execute(a.out, v); err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	_, err = io.WriteString(a.out, "\n")
	return err
}
