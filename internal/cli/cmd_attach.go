package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"silo/client"
)

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
