package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"silo/client"
)

func cmdStart(a *app) *cobra.Command {
	var attach, stdin bool
	var keys string
	c := &cobra.Command{
		Use:               "start [OPTIONS] CONTAINER [CONTAINER...]",
		Short:             "Start containers that were made or have ended",
		Example:           "silo start web db\nsilo start -ai shell",
		Args:              minArgs(1),
		ValidArgsFunction: a.completeContainers(0, "exited", "created"),
	}
	f := c.Flags()
	f.BoolVarP(&attach, "attach", "a", false, "Join output and forward signals")
	f.BoolVarP(&stdin, "interactive", "i", false, "Join standard input")
	f.StringVar(&keys, "detach-keys", "", "Keys that detach from the container (default \""+defaultDetach+"\")")
	c.RunE = func(c *cobra.Command, args []string) error {
		if !attach && !stdin {
			return a.each(c.Context(), args, func(ctx context.Context, c *client.Client, ref string) error {
				return c.ContainerStart(ctx, ref)
			})
		}
		if len(args) > 1 {
			return errors.New("start: --attach and --interactive take one container")
		}
		return a.startJoined(c.Context(), args[0], stdin, keys)
	}
	return c
}

// startJoined starts a container as run does.
func (a *app) startJoined(ctx context.Context, ref string, stdin bool, keyNames string) error {
	keys, err := detachKeys(keyNames)
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	i, err := c.ContainerInspect(ctx, ref, false)
	if err != nil {
		return err
	}
	config := i.Value.Config
	stdin = stdin && config.OpenStdin
	if err := a.checkTTY(stdin, config.Tty); err != nil {
		return err
	}
	if !config.Tty {
		defer a.proxySignals(c, i.Value.ID)()
	}
	err = a.startAttached(ctx, c, attached{
		id: i.Value.ID, tty: config.Tty, keys: keys, remove: i.Value.HostConfig.AutoRemove,
		AttachOptions: client.AttachOptions{Stream: true, Stdin: stdin, Stdout: true, Stderr: true, DetachKeys: keyNames},
	})
	return err
}
