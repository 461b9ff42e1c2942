package cli

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"silo/api"
	"silo/client/system"
	programs "silo/internal/version"
)

// version is this program's.
func version() string { return programs.Version }

func humanSize(n uint64) string { return units.HumanSize(float64(n)) }

func cmdSystem(a *app) *cobra.Command {
	return group("system", "The engine, as the commands above", append(a.members("system"), cmdDf(a))...)
}

func cmdContainer(a *app) *cobra.Command {
	kind := "container"
	inspect := inspectCommand(a, &kind)
	inspect.Use, inspect.Short = "inspect [OPTIONS] CONTAINER [CONTAINER...]", "Show all about containers"
	inspect.Example = "silo container inspect web"
	return group("container", "Containers, as the commands above", append(a.members("container"), inspect, containerPrune(a))...)
}

func containerPrune(a *app) *cobra.Command {
	var force bool
	var filters map[string][]string
	c := &cobra.Command{
		Use: "prune [OPTIONS]", Short: "Remove all containers that do not run", Args: maxArgs(0),
		Example: "silo container prune --filter until=24h",
	}
	c.Flags().BoolVarP(&force, "force", "f", false, "Do not ask")
	c.Flags().Var(filterValue(&filters), "filter", "Remove those that match: until=…, label=…, label!=…")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := a.confirm(force, "This removes all containers that do not run, and all that they wrote."); err != nil {
			return err
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		out, err := cl.ContainersPrune(c.Context(), filters)
		if err != nil {
			return err
		}
		return a.printPruned("Deleted Containers:", out.ContainersDeleted, out.SpaceReclaimed)
	}
	return c
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
		return printRows(a.out, listing{
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

func cmdVersion(a *app) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "version [OPTIONS]", Short: "Show the versions of silo and of the daemon", Args: maxArgs(0),
		Example: "silo version --format '{{.Server.Version}}'",
	}
	c.Flags().StringVarP(&format, "format", "f", "", `Print "json" or a Go template`)
	c.RunE = func(c *cobra.Command, _ []string) error {
		var v versions
		v.Client.Version, v.Client.GoVersion = version(), runtime.Version()
		v.Client.Os, v.Client.Arch = runtime.GOOS, runtime.GOARCH
		cl, failed := a.client()
		if failed == nil {
			var s system.VersionResponse
			if s, failed = cl.Version(c.Context()); failed == nil {
				v.Server = &s
			}
		}
		if format != "" {
			if err := a.printValue(format, v); err != nil && failed == nil {
				return err
			}
			return failed
		}
		if err := v.print(a.out); err != nil {
			return err
		}
		return failed
	}
	return c
}

// versions is what version shows.
type versions struct {
	Client struct{ Version, GoVersion, Os, Arch string }
	Server *system.VersionResponse
}

func (v *versions) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 20, 1, 1, ' ', 0)
	fmt.Fprintf(t, "Client:\n Version:\t%s\n Go version:\t%s\n OS/Arch:\t%s/%s\n", v.Client.Version, v.Client.GoVersion, v.Client.Os, v.Client.Arch)
	if s := v.Server; s != nil {
		fmt.Fprintf(t, "\nServer: %s\n Version:\t%s\n API version:\t%s (minimum version %s)\n", s.Platform.Name, s.Version, s.APIVersion, s.MinAPIVersion)
		line(t, " Go version", s.GoVersion)
		line(t, " Git commit", s.GitCommit)
		line(t, " Built", s.BuildTime)
		fmt.Fprintf(t, " OS/Arch:\t%s/%s\n", s.Os, s.Arch)
		line(t, " Kernel", s.KernelVersion)
		for _, c := range s.Components {
			fmt.Fprintf(t, " %s:\n", c.Name)
			line(t, "  Version", c.Version)
			keys := make([]string, 0, len(c.Details))
			for k := range c.Details {
				keys = append(keys, k)
			}
			sort.Strings(keys)
			for _, k := range keys {
				line(t, "  "+k, c.Details[k])
			}
		}
	}
	return t.Flush()
}

// line writes a name and a value, if there is one.
func line(w io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "%s:\t%s\n", name, value)
	}
}

func cmdInfo(a *app) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "info [OPTIONS]", Short: "Show what the daemon and its host are", Args: maxArgs(0),
		Example: "silo info --format '{{.CgroupVersion}}'",
	}
	c.Flags().StringVarP(&format, "format", "f", "", `Print "json" or a Go template`)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		i, err := cl.Info(c.Context())
		if err != nil {
			return err
		}
		if format != "" {
			return a.printValue(format, i)
		}
		printInfo(a.out, i)
		for _, w := range i.Warnings {
			fmt.Fprintln(a.err, w)
		}
		return nil
	}
	return c
}

func printInfo(w io.Writer, i system.Info) {
	p := func(name string, value any) {
		if s := fmt.Sprint(value); s != "" {
			fmt.Fprintf(w, " %s: %s\n", name, s)
		}
	}
	fmt.Fprintf(w, "Client:\n Version: %s\n\nServer:\n", version())
	p("Containers", i.Containers)
	p(" Running", i.ContainersRunning)
	p(" Paused", i.ContainersPaused)
	p(" Stopped", i.ContainersStopped)
	p("Images", i.Images)
	p("Server Version", i.ServerVersion)
	p("Storage Driver", i.Driver)
	for _, s := range i.DriverStatus {
		p(" "+s[0], s[1])
	}
	p("Logging Driver", i.LoggingDriver)
	p("Cgroup Driver", i.CgroupDriver)
	p("Cgroup Version", i.CgroupVersion)
	p("Volumes", strings.Join(i.Plugins.Volume, " "))
	p("Networks", strings.Join(i.Plugins.Network, " "))
	p("Isolation", i.Isolation)
	if len(i.SecurityOptions) > 0 {
		fmt.Fprintln(w, " Security Options:")
		for _, s := range i.SecurityOptions {
			fmt.Fprintf(w, "  %s\n", strings.TrimPrefix(s, "name="))
		}
	}
	p("Kernel Version", i.KernelVersion)
	p("Operating System", i.OperatingSystem)
	p("OSType", i.OSType)
	p("Architecture", i.Architecture)
	p("CPUs", i.NCPU)
	p("Total Memory", units.BytesSize(float64(i.MemTotal)))
	p("Name", i.Name)
	p("ID", i.ID)
	p("Data Root", i.DockerRootDir)
	p("HTTP Proxy", i.HTTPProxy)
	p("HTTPS Proxy", i.HTTPSProxy)
	p("No Proxy", i.NoProxy)
	if len(i.Labels) > 0 {
		fmt.Fprintf(w, " Labels:\n  %s\n", strings.Join(i.Labels, "\n  "))
	}
	if len(i.DefaultAddressPools) > 0 {
		fmt.Fprintln(w, " Default Address Pools:")
		for _, pool := range i.DefaultAddressPools {
			fmt.Fprintf(w, "   Base: %s, Size: %d\n", pool.Base, pool.Size)
		}
	}
	p("Live Restore Enabled", i.LiveRestoreEnabled)
}

func cmdDoctor(a *app) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "doctor [OPTIONS]", Short: "Check what this host can do, and what follows from what it cannot", Args: maxArgs(0),
		Long:    "The exit code is 1 if an answer is no.",
		Example: "silo doctor",
	}
	c.Flags().StringVarP(&format, "format", "f", "", `Print "json" or a Go template`)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		checks, err := cl.Doctor(c.Context())
		if err != nil {
			return err
		}
		no := false
		for _, k := range checks {
			no = no || k.Answer == "no"
		}
		if format != "" {
			err = a.printChecks(format, checks)
		} else {
			err = printDoctor(a.out, checks)
		}
		if err == nil && no {
			return exit(1, nil)
		}
		return err
	}
	return c
}

func (a *app) printChecks(format string, checks []api.Check) error {
	if format == "json" {
		return a.printValue(format, checks)
	}
	for _, k := range checks {
		if err := a.printValue(format, k); err != nil {
			return err
		}
	}
	return nil
}

func printDoctor(w io.Writer, checks []api.Check) error {
	return tabulate(w, func(w io.Writer) {
		fmt.Fprintln(w, "CHECK\tANSWER\tDETAIL")
		for _, k := range checks {
			fmt.Fprintf(w, "%s\t%s\t%s\n", k.Name, k.Answer, k.Detail)
			if k.Answer == "yes" {
				continue
			}
			if k.Effect != "" {
				fmt.Fprintf(w, "\t\tSo: %s\n", k.Effect)
			}
			if k.Suggestion != "" {
				fmt.Fprintf(w, "\t\tTry: %s\n", k.Suggestion)
			}
		}
	})
}

func cmdCompletion(*app) *cobra.Command {
	c := &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a script that lets a shell complete silo's commands, flags and names",
		Example: `source <(silo completion bash)
silo completion zsh > "${fpath[1]}/_silo"
silo completion fish > ~/.config/fish/completions/silo.fish`,
		Args:      exactArgs(1),
		ValidArgs: []string{"bash", "zsh", "fish"},
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		out := c.OutOrStdout()
		switch args[0] {
		case "bash":
			return c.Root().GenBashCompletionV2(out, true)
		case "zsh":
			return c.Root().GenZshCompletion(out)
		case "fish":
			return c.Root().GenFishCompletion(out, true)
		}
		return seeHelp(c, errors.New("completion: "+strconv.Quote(args[0])+" is not a shell: use bash, zsh or fish"))
	}
	return c
}
