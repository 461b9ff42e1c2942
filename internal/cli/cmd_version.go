package cli

import (
	"fmt"
	"io"
	"runtime"
	"sort"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"silo/client/system"
	programs "silo/internal/version"
)

// version is this program's.
func version() string { return programs.Version }

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
