package cli

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"silo/api"
	"silo/client"
	"silo/internal/facts"
	"silo/internal/listing"
)

func cmdService(a *app) *cobra.Command {
	do := func(action, short string) *cobra.Command { return serviceAction(a, action, short) }
	return group("service", "The services of a container", serviceList(a),
		do("start", "Start services"), do("stop", "Stop services"), do("restart", "Stop services if they run, and start them"),
		do("reload", "Let services read their configuration anew"),
		do("enable", "Start services with the container from its next start on"), do("disable", "Start them no more"),
		serviceStatus(a), serviceLogs(a))
}

func serviceList(a *app) *cobra.Command {
	var o listFlags
	c := &cobra.Command{
		Use: "ls [OPTIONS] CONTAINER", Aliases: []string{"list"}, Short: "List the services of a running container",
		Long:    "Services are described by systemd unit files in the image and started with --services,\nor by an image with the label " + api.Services + "=true.",
		Example: "silo service ls core\nsilo service ls --filter status=running core",
		Args:    exactArgs(1), ValidArgsFunction: a.completeContainers(1, "running"),
	}
	o.add(c, true)
	c.RunE = func(c *cobra.Command, args []string) error {
		match, err := serviceFilter(o.filters)
		if err != nil {
			return err
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		list, err := cl.Services(c.Context(), args[0])
		if err != nil {
			return err
		}
		var rows []*serviceRow
		for _, s := range list {
			if match(s) {
				rows = append(rows, &serviceRow{s})
			}
		}
		l := rowFormat{
			columns: []string{"Name", "Status", "Enabled", "PID", "Since", "Description"},
			headers: map[string]string{
				"Name": "NAME", "Status": "STATUS", "Enabled": "ENABLED", "PID": "PID", "Since": "SINCE", "Description": "DESCRIPTION",
				"Type": "TYPE", "Result": "RESULT", "ExitCode": "EXIT CODE", "Restarts": "RESTARTS", "Memory": "MEMORY", "Sockets": "SOCKETS",
				"Next": "NEXT", "Path": "PATH", "SinceAt": "SINCE", "Processes": "PROCESSES",
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

// serviceFilter compiles filters of a listing.
func serviceFilter(filters map[string][]string) (func(api.Service) bool, error) {
	get := map[string]func(api.Service) string{
		"name":    func(s api.Service) string { return strings.TrimSuffix(s.Name, ".service") },
		"status":  func(s api.Service) string { return s.Status },
		"enabled": func(s api.Service) string { return strconv.FormatBool(s.Enabled) },
		"type":    func(s api.Service) string { return s.Type },
	}
	for key := range filters {
		if get[key] == nil {
			return nil, fmt.Errorf("invalid filter %q: use name, status, enabled or type", key)
		}
	}
	return func(s api.Service) bool {
		for key, values := range filters {
			found := false
			for _, v := range values {
				found = found || strings.EqualFold(strings.TrimSuffix(v, ".service"), get[key](s))
			}
			if !found {
				return false
			}
		}
		return true
	}, nil
}

// serviceRow is one line of service ls.
type serviceRow struct{ s api.Service }

func (*serviceRow) isRow() {}

// Name is the name of the unit, without ".service".
func (r *serviceRow) Name() string { return strings.TrimSuffix(r.s.Name, ".service") }

// Description is what the unit says it is, fit for a terminal.
func (r *serviceRow) Description() string { return facts.Text(r.s.DisplayName) }

// Status is what the service is doing.
func (r *serviceRow) Status() string { return r.s.Status }

// Enabled tells whether it is started with the container.
func (r *serviceRow) Enabled() string { return strconv.FormatBool(r.s.Enabled) }

// Type is how it tells that it is up.
func (r *serviceRow) Type() string { return r.s.Type }

// PID is the number of its process on the host.
func (r *serviceRow) PID() string {
	if r.s.MainPID == 0 {
		return ""
	}
	return strconv.Itoa(r.s.MainPID)
}

// Processes are the numbers of all its processes.
func (r *serviceRow) Processes() string {
	list := make([]string, len(r.s.PIDs))
	for i, p := range r.s.PIDs {
		list[i] = strconv.Itoa(p)
	}
	return strings.Join(list, ",")
}

// Since is how long it has had its status.
func (r *serviceRow) Since() string {
	if r.s.Since.IsZero() {
		return ""
	}
	return listing.Ago(r.s.Since)
}

// SinceAt is when its status began.
func (r *serviceRow) SinceAt() string {
	if r.s.Since.IsZero() {
		return ""
	}
	return r.s.Since.Format(time.RFC3339)
}

// Result is how it ended last.
func (r *serviceRow) Result() string { return r.s.Result }

// ExitCode is the exit code of its process.
func (r *serviceRow) ExitCode() string { return strconv.Itoa(r.s.ExitCode) }

// Restarts is how often it was restarted by itself.
func (r *serviceRow) Restarts() string { return strconv.Itoa(r.s.Restarts) }

// Memory is what all its processes hold.
func (r *serviceRow) Memory() string { return humanSize(uint64(max(r.s.Memory, 0))) }

// Sockets are the addresses that are listened on for it.
func (r *serviceRow) Sockets() string { return strings.Join(r.s.Sockets, ",") }

// Next is when its timer starts it.
func (r *serviceRow) Next() string {
	if r.s.Next.IsZero() {
		return ""
	}
	return r.s.Next.Format(time.RFC3339)
}

// Path is its unit file in the container.
func (r *serviceRow) Path() string { return r.s.Path }

// serviceAction makes a command that does one thing to services. It returns
// when that is done.
func serviceAction(a *app, action, short string) *cobra.Command {
	return &cobra.Command{
		Use: action + " CONTAINER SERVICE [SERVICE...]", Short: short, Example: "silo service " + action + " web nginx",
		Args: minArgs(2), ValidArgsFunction: a.completeServices(0),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			_, err = cl.ServiceAction(c.Context(), args[0], api.ServiceRequest{Action: action, Units: args[1:]})
			return err
		},
	}
}

func serviceStatus(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "status CONTAINER SERVICE [SERVICE...]", Short: "Tell how services are doing",
		Long:    "Ends with code 3 if one of them is not running.",
		Example: "silo service status web nginx", Args: minArgs(2), ValidArgsFunction: a.completeServices(0),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			list, err := cl.ServiceAction(c.Context(), args[0], api.ServiceRequest{Action: "status", Units: args[1:]})
			if err != nil {
				return err
			}
			down := false
			for i, s := range list {
				if i > 0 {
					fmt.Fprintln(a.out)
				}
				printService(a.out, s)
				down = down || s.Status != "running" && s.Status != "exited"
			}
			if down {
				return exit(3, nil)
			}
			return nil
		},
	}
}

// printService shows one service with all that is known about it. The container
// has written most of it: none of it is to act on a terminal.
func printService(w io.Writer, s api.Service) {
	r := &serviceRow{s}
	fmt.Fprintf(w, "%s - %s\n", facts.Text(s.Name), r.Description())
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%12s: %s\n", name, facts.Text(value))
		}
	}
	line("Unit", s.Path)
	status := s.Status
	if s.Result != "" && s.Result != "success" {
		status += " (" + s.Result + ", exit code " + r.ExitCode() + ")"
	}
	if !s.Since.IsZero() {
		status += " since " + r.SinceAt() + ", " + r.Since()
	}
	line("Status", status)
	line("Enabled", r.Enabled())
	line("Type", s.Type)
	line("Main PID", r.PID())
	line("Processes", r.Processes())
	if s.Memory > 0 {
		line("Memory", r.Memory())
	}
	if s.Restarts > 0 {
		line("Restarts", r.Restarts())
	}
	line("Sockets", strings.Join(s.Sockets, ", "))
	line("Next", r.Next())
	for _, n := range s.Notes {
		line("Note", n)
	}
	for _, l := range s.Log {
		fmt.Fprintln(w, facts.Text(strings.ReplaceAll(l, "\t", "        ")))
	}
}

func serviceLogs(a *app) *cobra.Command {
	o := client.LogsOptions{Stdout: true, Stderr: true}
	c := &cobra.Command{
		Use: "logs [OPTIONS] CONTAINER SERVICE", Short: "Show what a service wrote",
		Long:    "It is what `silo logs --details` shows with service=SERVICE.",
		Example: "silo service logs -f web nginx", Args: exactArgs(2), ValidArgsFunction: a.completeServices(1),
	}
	f := c.Flags()
	logFlags(f, &o)
	c.RunE = func(c *cobra.Command, args []string) error {
		o.Service = args[1]
		if !strings.Contains(o.Service, ".") {
			o.Service += ".service"
		}
		if err := a.knownService(c.Context(), args[0], o.Service); err != nil {
			return err
		}
		return a.printLogs(c.Context(), args[0], o)
	}
	return c
}

// knownService refuses the name of a service that a running container does not
// have: its log would be empty, and to follow it would never end. Of one that
// does not run nobody can tell.
func (a *app) knownService(ctx context.Context, ref, name string) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	c, err := cl.ContainerInspect(ctx, ref, false)
	if err != nil || c.Value.State == nil || !c.Value.State.Running || c.Value.State.Paused {
		return err
	}
	_, err = cl.ServiceAction(ctx, ref, api.ServiceRequest{Action: "status", Units: []string{name}})
	return err
}
