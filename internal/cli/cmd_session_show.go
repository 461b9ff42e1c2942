package cli

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"silo/api"
	"silo/client"
	"silo/internal/listing"
)

func cmdSessionShow(a *app) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "show [OPTIONS] SESSION", Short: "Show a session and its processes", Args: exactArgs(1), ValidArgsFunction: a.completeSessions(),
		Long:    "Users are the host's: an id without a name belongs to the container alone.",
		Example: "silo session show 0\nsilo session show 2847",
	}
	c.Flags().StringVarP(&format, "format", "f", "", `Print "json" or a Go template`)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, n, err := a.session(args[0])
		if err != nil {
			return err
		}
		d, err := cl.Session(c.Context(), n)
		if err != nil {
			return err
		}
		if format != "" {
			return a.printValue(format, d)
		}
		return printSession(a.out, &d)
	}
	return c
}

// session reads a session's number, and gives it with the connection to the
// daemon to be asked about it.
func (a *app) session(text string) (*client.Client, uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return nil, 0, fmt.Errorf("session %q: give a number, see silo session ls", text)
	}
	c, err := a.client()
	return c, uint32(n), err
}

func printSession(w io.Writer, d *api.SessionDetail) error {
	owner := "the host"
	switch {
	case d.Container != "":
		owner = fmt.Sprintf("container %s (%s), user ids %d-%d", strings.TrimPrefix(d.Name, "/"), listing.ShortID(d.Container), d.IDRange.First, uint64(d.IDRange.First)+uint64(d.IDRange.Count)-1)
	case d.Number != 0:
		owner = "a login on the host"
	}
	fmt.Fprintf(w, "session %d of %s: %d processes, %s of processor time, %s\n", d.Number, owner, d.Processes, cpuTime(d.CPU), units.BytesSize(float64(d.Memory)))
	slices.SortFunc(d.List, func(x, y api.ProcessView) int { return x.PID - y.PID })
	return listing.Tabulate(w, func(w io.Writer) {
		fmt.Fprintln(w, "PROCESS\tPARENT\tUSER\tSTATE\tCPU TIME\tMEMORY\tNAME\tEXECUTABLE")
		for _, p := range d.List {
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", p.PID, p.Parent, listing.Account(p.User, int64(p.UID)), p.State, cpuTime(p.CPU), units.BytesSize(float64(p.Memory)), p.Name, p.Executable)
		}
	})
}

// cpuTime writes milliseconds of processor time.
func cpuTime(ms int64) string {
	d := time.Duration(ms) * time.Millisecond
	if d < time.Minute {
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + "s"
	}
	return d.Truncate(time.Second).String()
}

func cmdSessionLog(a *app) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "log [OPTIONS] SESSION", Short: "Show what the host's logs hold about a session", Args: exactArgs(1), ValidArgsFunction: a.completeSessions(),
		Long: `From the log of the host's audit daemon, if there is one (as ausearch --session), and
from silod's own log of events, which begins with each boot. Oldest first.`,
		Example: "silo session log 2847",
	}
	c.Flags().StringVarP(&format, "format", "f", "", `Print "json" or a Go template, for each record`)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, n, err := a.session(args[0])
		if err != nil {
			return err
		}
		list, err := cl.SessionLog(c.Context(), n)
		if err != nil {
			return err
		}
		for _, r := range list {
			if format != "" {
				if err := a.printValue(format, r); err != nil {
					return err
				}
				continue
			}
			if _, err := fmt.Fprintf(a.out, "%s %-5s %s %s\n", r.At.Local().Format("2006-01-02T15:04:05.000"), r.Source, r.Type, r.Text); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}
