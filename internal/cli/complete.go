package cli

import (
	"context"
	"slices"
	"strconv"
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

// completeVolumes does so with the names of volumes.
func (a *app) completeVolumes() completer {
	return a.complete(0, func(ctx context.Context, c *client.Client) (out []string) {
		list, err := c.Volumes(ctx, nil)
		if err != nil {
			return nil
		}
		for _, v := range list.Volumes {
			out = append(out, v.Name)
		}
		return out
	})
}

// completeNetworks does so with the names of networks.
func (a *app) completeNetworks() completer {
	return a.complete(0, func(ctx context.Context, c *client.Client) (out []string) {
		list, err := c.Networks(ctx, nil)
		if err != nil {
			return nil
		}
		for _, n := range list {
			out = append(out, n.Name)
		}
		return out
	})
}

// completeSessions completes the first argument with the numbers of sessions.
func (a *app) completeSessions() completer {
	return a.complete(1, func(ctx context.Context, c *client.Client) (out []string) {
		list, err := c.Sessions(ctx)
		if err != nil {
			return nil
		}
		for _, s := range list {
			out = append(out, strconv.FormatUint(uint64(s.Number), 10))
		}
		return out
	})
}

// completeServices completes a running container, and then up to n (0: any
// number) of its services.
func (a *app) completeServices(n int) completer {
	container := a.completeContainers(1, "running")
	return func(cmd *cobra.Command, args []string, to string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 {
			return container(cmd, args, to)
		}
		return a.complete(n, func(ctx context.Context, c *client.Client) (out []string) {
			list, err := c.Services(ctx, args[0])
			if err != nil {
				return nil
			}
			for _, s := range list {
				out = append(out, strings.TrimSuffix(s.Name, ".service"))
			}
			return out
		})(cmd, args[1:], to)
	}
}

// flagValues completes a flag with the values that it takes.
func flagValues(c *cobra.Command, flag string, values ...string) {
	complete := cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)
	if err := c.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // there is no such flag, or it has been given values before
	}
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
