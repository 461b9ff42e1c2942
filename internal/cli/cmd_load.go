package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
)

func cmdLoad(a *app) *cobra.Command {
	var input string
	var quiet bool
	c := &cobra.Command{
		Use:   "load [OPTIONS]",
		Short: "Bring in images of an archive that save or docker save wrote",
		Example: `silo load -i images.tar
docker save debian:12 | silo load`,
		Args: maxArgs(0),
	}
	c.Flags().StringVarP(&input, "input", "i", "", "Read a file instead of standard input")
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "Do not show progress")
	c.RunE = func(c *cobra.Command, _ []string) error {
		tar := a.in
		if input != "" {
			f, err := os.Open(input)
			if err != nil {
				return fmt.Errorf("load: %w", err)
			}
			defer f.Close()
			tar = f
		} else if descriptor(a.in) >= 0 {
			return errors.New("load: standard input is a terminal: use -i FILE, or pipe an archive into it")
		}
		cl, err := a.client()
		if err != nil {
			return err
		}
		body, err := cl.ImageLoad(c.Context(), quiet || width(a.out) == 0, tar)
		if err != nil {
			return err
		}
		return a.show(body, a.out, false, nil)
	}
	return c
}
