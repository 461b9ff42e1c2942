package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"silo/client"
)

func cmdRm(a *app) *cobra.Command {
	var force, volumes bool
	c := simple(a, "rm [OPTIONS]", "Remove containers, and all that they wrote", "silo rm web\nsilo rm -f -v web db", nil,
		func(ctx context.Context, c *client.Client, ref string) error {
			err := c.ContainerRemove(ctx, ref, force, volumes)
			if force && client.Status(err) == 404 {
				fmt.Fprintf(a.err, "silo: %v\n", err)
				return errSkip
			}
			return err
		})
	c.Aliases = []string{"remove"}
	c.Flags().BoolVarP(&force, "force", "f", false, "Kill those that run; a missing one is no error")
	c.Flags().BoolVarP(&volumes, "volumes", "v", false, "Remove their anonymous volumes, too")
	return c
}
