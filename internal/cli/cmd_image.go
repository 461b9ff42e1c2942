package cli

import (
	"github.com/spf13/cobra"

	"silo/client"
)

func cmdImage(a *app) *cobra.Command {
	kind := "image"
	inspect := inspectCommand(a, &kind)
	inspect.Use, inspect.Short = "inspect [OPTIONS] IMAGE [IMAGE...]", "Show all about images"
	inspect.Example = "silo image inspect core"
	return group("image", "Images, as the commands above", append(a.members("image"), inspect, imagePrune(a))...)
}

func imagePrune(a *app) *cobra.Command {
	var all, force bool
	var filters map[string][]string
	c := &cobra.Command{
		Use: "prune [OPTIONS]", Short: "Remove images without a name", Example: "silo image prune --all --filter until=240h", Args: maxArgs(0),
		Long: "Those that containers use stay, and those that came with Silo.",
	}
	f := c.Flags()
	f.BoolVarP(&all, "all", "a", false, "Remove all that no container uses")
	f.BoolVarP(&force, "force", "f", false, "Do not ask")
	f.Var(filterValue(&filters), "filter", "Remove those that match: label=…, label!=…, until=…")
	c.RunE = func(c *cobra.Command, _ []string) error {
		what := "all images without a name"
		if all {
			what = "all images that no container uses"
			if filters == nil {
				filters = client.Filters{}
			}
			filters["dangling"] = []string{"false"}
		}
		if err := a.confirm(force, "This removes "+what+"."); err != nil {
			return err
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		out, err := cl.ImagesPrune(c.Context(), filters)
		if err != nil {
			return err
		}
		var lines []string
		for _, d := range out.ImagesDeleted {
			if d.Untagged != "" {
				lines = append(lines, "untagged: "+d.Untagged)
			} else {
				lines = append(lines, "deleted: "+d.Deleted)
			}
		}
		return a.printPruned("Deleted Images:", lines, out.SpaceReclaimed)
	}
	return c
}
