package cli

import (
	"github.com/spf13/cobra"
)

func cmdImage(a *app) *cobra.Command {
	kind := "image"
	inspect := inspectCommand(a, &kind)
	inspect.Use, inspect.Short = "inspect [OPTIONS] IMAGE [IMAGE...]", "Show all about images"
	inspect.Example = "silo image inspect core"
	return group("image", "Images, as the commands above", append(a.members("image"), inspect)...)
}
