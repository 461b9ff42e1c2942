package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"silo/client/system"
)

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
