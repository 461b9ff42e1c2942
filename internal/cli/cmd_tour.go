package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"silo/internal/tour"
)

// tourPage is where --markdown writes if no file is named.
const tourPage = "docs/tutorial/tour.md"

func cmdTour(a *app) *cobra.Command {
	var page string
	c := &cobra.Command{
		Use:   "tour [OPTIONS]",
		Short: "Walk through the 29 properties that Silo keeps, with real commands",
		Long: `Makes two containers and a host outside (a network namespace), asks for each property
what a person would ask, and removes all of it again, also when it is interrupted.
The exit code is 1 if a property does not hold. It needs root and the command ip.`,
		Example: "silo tour\nsilo tour --markdown",
		Args:    maxArgs(0),
	}
	c.Flags().StringVar(&page, "markdown", "", "Write the tour as a page (default file "+tourPage+")")
	c.Flags().Lookup("markdown").NoOptDefVal = tourPage
	c.RunE = func(c *cobra.Command, _ []string) error { return a.tour(c.Context(), page) }
	return c
}

func (a *app) tour(ctx context.Context, page string) error {
	cl, err := a.client()
	if err != nil {
		return err
	}
	if _, err := cl.Sessions(ctx); err != nil { // starts the daemon if there is none
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	o := tour.Options{Silo: self, Host: cl.Host(), Out: a.out}
	var text bytes.Buffer
	if page != "" {
		o.Out, o.Markdown = &text, true
	}
	r, err := tour.Run(ctx, o)
	if errors.Is(err, context.Canceled) {
		return exit(130, errors.New("tour: interrupted; what it made is removed"))
	}
	if err != nil {
		return err
	}
	if page != "" {
		if err := os.MkdirAll(filepath.Dir(page), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(page, text.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(a.out, "%s: %d of %d properties hold\n", page, r.Hold, r.Total)
	}
	if r.Hold < r.Total {
		return exit(1, nil)
	}
	return nil
}
