package cli

import (
	"github.com/spf13/cobra"
)

func cmdRename(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "rename CONTAINER NAME", Short: "Give a container another name", Example: "silo rename web web-old",
		Args:              exactArgs(2),
		ValidArgsFunction: a.completeContainers(1),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			return cl.ContainerRename(c.Context(), args[0], args[1])
		},
	}
}
