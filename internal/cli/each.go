package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"silo/client"
)

// errSkip tells each that a reference was dealt with, and is not to be printed.
var errSkip = errors.New("skip")

// each calls do for every reference, several at a time, and prints those for
// which it worked, in order. The errors of the others are joined.
func (a *app) each(ctx context.Context, refs []string, do func(ctx context.Context, c *client.Client, ref string) error) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	errs := make([]error, len(refs))
	done := make([]chan struct{}, len(refs))
	slots := make(chan struct{}, 50)
	var all sync.WaitGroup
	for i, ref := range refs {
		done[i] = make(chan struct{})
		slots <- struct{}{}
		all.Go(func() {
			errs[i] = do(ctx, c, ref)
			<-slots
			close(done[i])
		})
	}
	for i, ref := range refs {
		<-done[i]
		if errs[i] != nil {
			if errors.Is(errs[i], errSkip) {
				errs[i] = nil
			}
			continue
		}
		if _, err := fmt.Fprintln(a.out, ref); err != nil {
			return err
		}
	}
	all.Wait()
	return errors.Join(errs...)
}

// simple makes a command that does one thing to each container.
func simple(a *app, use, short, example string, states []string, do func(context.Context, *client.Client, string) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " CONTAINER [CONTAINER...]", Short: short, Example: example,
		Args:              minArgs(1),
		ValidArgsFunction: a.completeContainers(0, states...),
		RunE: func(c *cobra.Command, args []string) error {
			return a.each(c.Context(), args, do)
		},
	}
}
