package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"silo/internal/listing"
)

func cmdTag(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:               "tag SOURCE[:TAG] TARGET[:TAG]",
		Short:             "Give an image one more name",
		Example:           `silo tag core registry.example:5000/core:1`,
		Args:              exactArgs(2),
		ValidArgsFunction: a.completeImages(1),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		if strings.HasSuffix(args[1], ":") {
			return fmt.Errorf("tag %q: there is no tag after the colon", args[1])
		}
		repo, tag, digest := listing.SplitName(args[1])
		if digest != "" {
			return fmt.Errorf("tag %q: a name with a digest cannot be given", args[1])
		}
		return cl.ImageTag(c.Context(), args[0], repo, tag)
	}
	return c
}
