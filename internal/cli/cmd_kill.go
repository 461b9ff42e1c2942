package cli

import (
	"context"

	"github.com/spf13/cobra"

	"silo/client"
)

func cmdKill(a *app) *cobra.Command {
	var signal string
	c := simple(a, "kill [OPTIONS]", "Send a signal to containers", "silo kill web\nsilo kill -s HUP web", []string{"running", "paused"},
		func(ctx context.Context, c *client.Client, ref string) error {
			return c.ContainerKill(ctx, ref, signal)
		})
	c.Flags().StringVarP(&signal, "signal", "s", "KILL", "Signal to send")
	return c
}
