package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"silo/api"
	"silo/internal/listing"
)

func cmdDoctor(a *app) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use: "doctor [OPTIONS]", Short: "Check what this host can do, and what follows from what it cannot", Args: maxArgs(0),
		Long:    "The exit code is 1 if an answer is no.",
		Example: "silo doctor",
	}
	c.Flags().StringVarP(&format, "format", "f", "", `Print "json" or a Go template`)
	c.RunE = func(c *cobra.Command, _ []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		checks, err := cl.Doctor(c.Context())
		if err != nil {
			return err
		}
		no := false
		for _, k := range checks {
			no = no || k.Answer == "no"
		}
		if format != "" {
			err = a.printChecks(format, checks)
		} else {
			err = printDoctor(a.out, checks)
		}
		if err == nil && no {
			return exit(1, nil)
		}
		return err
	}
	return c
}

func (a *app) printChecks(format string, checks []api.Check) error {
	if format == "json" {
		return a.printValue(format, checks)
	}
	for _, k := range checks {
		if err := a.printValue(format, k); err != nil {
			return err
		}
	}
	return nil
}

func printDoctor(w io.Writer, checks []api.Check) error {
	return listing.Tabulate(w, func(w io.Writer) {
		fmt.Fprintln(w, "CHECK\tANSWER\tDETAIL")
		for _, k := range checks {
			fmt.Fprintf(w, "%s\t%s\t%s\n", k.Name, k.Answer, k.Detail)
			if k.Answer == "yes" {
				continue
			}
			if k.Effect != "" {
				fmt.Fprintf(w, "\t\tSo: %s\n", k.Effect)
			}
			if k.Suggestion != "" {
				fmt.Fprintf(w, "\t\tTry: %s\n", k.Suggestion)
			}
		}
	})
}
