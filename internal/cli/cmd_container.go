package cli

import (
	"github.com/spf13/cobra"
)

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
