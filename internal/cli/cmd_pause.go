package cli

import (
	"context"

	"github.com/spf13/cobra"

	"silo/client"
)

func cmdPause(a *app) *cobra.Command {
	return simple(a, "pause", "Freeze all processes of containers", "silo pause web", []string{"running"},
		func(ctx context.Context, c *client.Client, ref string) error { return c.ContainerPause(ctx, ref) })
}

func cmdUnpause(a *app) *cobra.Command {
	return simple(a, "unpause", "Let frozen containers go on", "silo unpause web", []string{"paused"},
		func(ctx context.Context, c *client.Client, ref string) error { return c.ContainerUnpause(ctx, ref) })
}
