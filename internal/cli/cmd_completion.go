package cli

import (
	"errors"
	"strconv"

	"github.com/spf13/cobra"
)

func cmdCompletion(*app) *cobra.Command {
	c := &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a script that lets a shell complete silo's commands, flags and names",
		Long:  "In bash it needs the package bash-completion.",
		Example: `source <(silo completion bash)
silo completion zsh > "${fpath[1]}/_silo"
silo completion fish > ~/.config/fish/completions/silo.fish`,
		Args:      exactArgs(1),
		ValidArgs: []string{"bash", "zsh", "fish"},
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		out := c.OutOrStdout()
		switch args[0] {
		case "bash":
			return c.Root().GenBashCompletionV2(out, true)
		case "zsh":
			return c.Root().GenZshCompletion(out)
		case "fish":
			return c.Root().GenFishCompletion(out, true)
		}
		return seeHelp(c, errors.New("completion: "+strconv.Quote(args[0])+" is not a shell: use bash, zsh or fish"))
	}
	return c
}
