package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"silo/client"
	"silo/internal/listing"
)

type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// completeContainers completes the first n arguments (0: all) with the names
// of containers in one of the states, none meaning any.
func (a *app) completeContainers(n int, states ...string) completer {
	return a.complete(n, func(ctx context.Context, c *client.Client) []string {
		list, err := c.Containers(ctx, client.ListOptions{All: true})
		if err != nil {
			return nil
		}
		var out []string
		for _, s := range list {
			if len(states) > 0 && !slices.Contains(states, string(s.State)) {
				continue
			}
			for _, name := range s.Names {
				out = append(out, strings.TrimPrefix(name, "/"))
			}
		}
		return out
	})
}

// completeImages does so with the names of images.
func (a *app) completeImages(n int) completer {
	return a.complete(n, func(ctx context.Context, c *client.Client) []string {
		list, err := c.Images(ctx, false, nil)
		if err != nil {
			return nil
		}
		var out []string
		for _, i := range list {
			for _, t := range i.RepoTags {
				out = append(out, strings.TrimSuffix(listing.FamiliarName(t), ":latest"))
			}
		}
		return out
	})
}

// complete asks a daemon that runs; it starts none, and does not wait for long.
func (a *app) complete(n int, names func(context.Context, *client.Client) []string) completer {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if n > 0 && len(args) >= n {
			return nil, cobra.ShellCompDirectiveDefault
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		c, err := a.client()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c.OnUnreachable = nil
		var out []string
		for _, name := range names(ctx, c) {
			if !slices.Contains(args, name) {
				out = append(out, name)
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}
