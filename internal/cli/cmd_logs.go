package cli

import (
	"context"
	"io"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"silo/client"
)

func cmdLogs(a *app) *cobra.Command {
	o := client.LogsOptions{Stdout: true, Stderr: true}
	c := &cobra.Command{
		Use:   "logs [OPTIONS] CONTAINER",
		Short: "Show what a container wrote",
		Example: `silo logs -f --tail 20 web
silo logs --since 10m -t web`,
		Args:              exactArgs(1),
		ValidArgsFunction: a.completeContainers(1),
	}
	f := c.Flags()
	logFlags(f, &o)
	f.BoolVar(&o.Details, "details", false, "Show extra attributes of the log")
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.printLogs(c.Context(), args[0], o)
	}
	return c
}

// logFlags are those of logs and of service logs.
func logFlags(f *pflag.FlagSet, o *client.LogsOptions) {
	f.BoolVarP(&o.Follow, "follow", "f", false, "Go on with what it writes from now on")
	f.BoolVarP(&o.Timestamps, "timestamps", "t", false, "Show when each line was written")
	f.StringVar(&o.Since, "since", "", "Begin at a time (2026-01-02T13:23:37Z) or that long ago (42m)")
	f.StringVar(&o.Until, "until", "", "End at a time or that long ago")
	f.StringVarP(&o.Tail, "tail", "n", "all", "Number of lines from the end")
}

// printLogs prints what a container has written, both streams where they went.
func (a *app) printLogs(ctx context.Context, ref string, o client.LogsOptions) (err error) {
	if o.Since, err = timestamp("--since", o.Since); err != nil {
		return err
	}
	if o.Until, err = timestamp("--until", o.Until); err != nil {
		return err
	}
	cl, err := a.client()
	if err != nil {
		return err
	}
	i, err := cl.ContainerInspect(ctx, ref, false)
	if err != nil {
		return err
	}
	body, err := cl.ContainerLogs(ctx, i.Value.ID, o)
	if err != nil {
		return err
	}
	defer body.Close()
	if i.Value.Config.Tty {
		_, err = io.Copy(a.out, body)
	} else {
		_, err = stdcopy.StdCopy(a.out, a.err, body)
	}
	return err
}
