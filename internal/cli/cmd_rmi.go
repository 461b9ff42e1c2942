package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"silo/client"
	"silo/client/image"
)

func cmdRmi(a *app) *cobra.Command {
	var force, noPrune bool
	c := &cobra.Command{
		Use:               "rmi [OPTIONS] IMAGE [IMAGE...]",
		Short:             "Remove names of images, and images with their last name",
		Example:           `silo rmi debian:12`,
		Args:              minArgs(1),
		ValidArgsFunction: a.completeImages(0),
	}
	c.Flags().BoolVarP(&force, "force", "f", false, "Remove an image that has several names or stopped containers")
	c.Flags().BoolVar(&noPrune, "no-prune", false, "Keep its untagged parents")
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		var errs []error
		for _, ref := range args {
			out, err := cl.ImageRemove(c.Context(), ref, force, noPrune)
			if err != nil {
				if !force || client.Status(err) != 404 {
					errs = append(errs, err)
				}
				continue
			}
			for _, d := range out {
				printRemoved(a.out, d)
			}
		}
		return errors.Join(errs...)
	}
	return c
}

func printRemoved(w io.Writer, d image.DeleteResponse) {
	if d.Untagged != "" {
		fmt.Fprintf(w, "Untagged: %s\n", d.Untagged)
	}
	if d.Deleted != "" {
		fmt.Fprintf(w, "Deleted: %s\n", d.Deleted)
	}
}
