package cli

import (
	"context"
	"errors"
	"fmt"

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

func cmdAttach(a *app) *cobra.Command {
	var noStdin bool
	sigProxy := true
	var keys string
	c := &cobra.Command{
		Use:               "attach [OPTIONS] CONTAINER",
		Short:             "Join the streams of a running container",
		Long:              "Its exit code becomes that of silo. The detach keys leave without ending it.",
		Example:           "silo attach --no-stdin web",
		Args:              exactArgs(1),
		ValidArgsFunction: a.completeContainers(1, "running"),
	}
	f := c.Flags()
	f.BoolVar(&noStdin, "no-stdin", false, "Do not join standard input")
	f.BoolVar(&sigProxy, "sig-proxy", true, "Send the signals that silo gets to the container")
	f.StringVar(&keys, "detach-keys", "", "Keys that detach from the container (default \""+defaultDetach+"\")")
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.attach(c.Context(), args[0], !noStdin, sigProxy, keys)
	}
	return c
}

func (a *app) attach(ctx context.Context, ref string, stdin, sigProxy bool, keyNames string) error {
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
	v := i.Value
	switch {
	case !v.State.Running:
		return fmt.Errorf("attach: container %s does not run: start it with silo start -a", ref)
	case v.State.Paused:
		return fmt.Errorf("attach: container %s is paused: silo unpause %s", ref, ref)
	case v.State.Restarting:
		return fmt.Errorf("attach: container %s is restarting: wait until it runs", ref)
	}
	stdin = stdin && v.Config.OpenStdin
	if err := a.checkTTY(stdin, v.Config.Tty); err != nil {
		return err
	}
	w, err := c.ContainerWait(ctx, v.ID, "")
	if err != nil {
		return err
	}
	stream, err := c.ContainerAttach(ctx, v.ID, client.AttachOptions{
		Stream: true, Stdin: stdin, Stdout: true, Stderr: true, DetachKeys: keyNames,
	})
	if err != nil {
		return err
	}
	if sigProxy && !v.Config.Tty {
		defer a.proxySignals(c, v.ID)()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if v.Config.Tty {
		a.resizer(ctx, func(ctx context.Context, h, w int) error { return c.ContainerResize(ctx, v.ID, h, w) })
	}
	s := &session{a: a, stream: stream, tty: v.Config.Tty, in: stdin, keys: keys}
	return a.untilEnd(ctx, c, s, w, v.ID, "")
}
