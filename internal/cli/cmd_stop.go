package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"silo/client"
)

func cmdStop(a *app) *cobra.Command {
	return stopLike(a, "stop", "Stop containers: a signal, and KILL if that does not help in time",
		"silo stop web\nsilo stop -t 2 web db", (*client.Client).ContainerStop)
}

func cmdRestart(a *app) *cobra.Command {
	return stopLike(a, "restart", "Stop containers and start them again",
		"silo restart web", (*client.Client).ContainerRestart)
}

func stopLike(a *app, name, short, example string, do func(*client.Client, context.Context, string, client.StopOptions) error) *cobra.Command {
	var o client.StopOptions
	var seconds int
	c := simple(a, name+" [OPTIONS]", short, example, nil, func(ctx context.Context, c *client.Client, ref string) error {
		return do(c, ctx, ref, o)
	})
	f := c.Flags()
	f.StringVarP(&o.Signal, "signal", "s", "", "Signal to send, instead of the container's own")
	f.IntVarP(&seconds, "timeout", "t", 0, "Seconds to wait before KILL, -1 for ever")
	f.IntVar(&seconds, "time", 0, "Seconds to wait before KILL")
	_ = f.MarkHidden("time")
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if f.Changed("timeout") || f.Changed("time") {
			if seconds < -1 {
				return fmt.Errorf("--timeout %d: use seconds, or -1 to wait for ever", seconds)
			}
			o.Timeout = &seconds
		}
		return run(c, args)
	}
	return c
}
