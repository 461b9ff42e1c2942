package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"silo/api"
	"silo/internal/listing"
)

func cmdSession(a *app) *cobra.Command {
	var o listFlags
	ls := &cobra.Command{
		Use: "ls [OPTIONS]", Aliases: []string{"list"}, Short: "List the sessions of the host and of the containers",
		Long:    "All processes of a container carry its session's number, and no other process does:\nsee /proc/PID/sessionid. Session 0 is the host's.\n\nMEMORY is what the container's control group counts; of session 0 it is the resident\nmemory of its processes, shared pages counted for each.",
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
		l := rowFormat{
			columns: []string{"Number", "Container", "Name", "IDs", "Processes", "CPU", "Memory", "Since"},
			headers: map[string]string{
				"Number": "SESSION", "Container": "CONTAINER", "Name": "NAME", "IDs": "IDS", "Processes": "PROCESSES",
				"CPU": "CPU TIME", "Memory": "MEMORY", "Since": "SINCE", "SinceAt": "SINCE",
			},
			format: o.format,
		}
		if o.quiet {
			l.quiet = "Number"
		}
		return printRows(a.out, l, rows)
	}
	return group("session", "Sessions: which process belongs to which container", ls, cmdSessionShow(a), cmdSessionLog(a))
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
		return listing.ShortID(r.s.Container)
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

// CPU is the processor time that its processes have used.
func (r *sessionRow) CPU() string { return cpuTime(r.s.CPU) }

// Memory is what its processes use of it.
func (r *sessionRow) Memory() string { return units.BytesSize(float64(r.s.Memory)) }

// Since is how long ago it began.
func (r *sessionRow) Since() string { return listing.Ago(r.s.Since) }

// SinceAt is when it began.
func (r *sessionRow) SinceAt() string { return r.s.Since.Format(time.RFC3339) }
