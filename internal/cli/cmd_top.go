package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func cmdTop(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "top CONTAINER [PS-OPTIONS]",
		Short: "List the processes of a container",
		Example: `silo top web
silo top web -o pid,user,comm`,
		Args:              minArgs(1),
		ValidArgsFunction: a.completeContainers(1, "running"),
	}
	c.Flags().SetInterspersed(false)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		top, err := cl.ContainerTop(c.Context(), args[0], strings.Join(args[1:], " "))
		if err != nil {
			return err
		}
		t := tabwriter.NewWriter(a.out, 10, 1, 3, ' ', 0)
		fmt.Fprintln(t, strings.Join(top.Titles, "\t"))
		for _, p := range top.Processes {
			fmt.Fprintln(t, strings.Join(p, "\t"))
		}
		return t.Flush()
	}
	return c
}
