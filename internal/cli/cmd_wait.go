package cli

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"silo/client/container"
)

func cmdWait(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "wait CONTAINER [CONTAINER...]", Short: "Wait until containers end and print their exit codes",
		Example:           "silo wait job",
		Args:              minArgs(1),
		ValidArgsFunction: a.completeContainers(0, "running", "paused"),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			var errs []error
			for _, ref := range args {
				code, err := wait(c.Context(), cl, nil, ref, container.WaitConditionNotRunning)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				if _, err := fmt.Fprintln(a.out, strconv.Itoa(code)); err != nil {
					return err
				}
			}
			return errors.Join(errs...)
		},
	}
}
