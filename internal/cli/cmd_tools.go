package cli

import (
	"context"

	"github.com/spf13/cobra"

	"silo/client/container"
)

func cmdTools(a *app) *cobra.Command {
	var user string
	var tty bool
	c := &cobra.Command{
		Use:   "tools [OPTIONS] CONTAINER COMMAND [ARG...]",
		Short: "Run a tool of the image core in a container of any image",
		Long: `The tools (systeminfo, ipconfig, get-process, get-service, get-nettcpconnection,
get-localuser, …) are one program of the built-in image core. It is handed to the
container as an open file: the container's own image needs no shell and no tools.`,
		Example: `silo tools web systeminfo
silo tools web get-process --sort session`,
		Args:              minArgs(2),
		ValidArgsFunction: a.completeContainers(1, "running"),
	}
	f := c.Flags()
	f.SetInterspersed(false)
	f.StringVarP(&user, "user", "u", "0:0", "User of the tool: NAME|UID[:GROUP|GID]")
	f.BoolVarP(&tty, "tty", "t", false, "Give the tool a terminal")
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.tool(c.Context(), user, tty, args[0], args[1:])
	}
	return c
}

func (a *app) tool(ctx context.Context, user string, tty bool, ref string, command []string) error {
	r := container.ExecCreateRequest{User: user, WorkingDir: "/", Tty: tty, AttachStdin: true, AttachStdout: true, AttachStderr: true, Cmd: command}
	if err := a.checkTTY(true, tty); err != nil {
		return err
	}
	start := container.ExecStartRequest{Tty: tty}
	if h, w := a.term.size(); tty && h > 0 && w > 0 {
		r.ConsoleSize = &[2]uint{uint(h), uint(w)}
		start.ConsoleSize = r.ConsoleSize
	}
	if a.term.in >= 0 && !tty { // a tool asks nothing: a terminal is left alone
		r.AttachStdin = false
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	id, err := c.ToolCreate(ctx, ref, r)
	if err != nil {
		return err
	}
	stream, err := c.ExecAttach(ctx, id, start)
	if err != nil {
		return execError(err)
	}
	keys, err := detachKeys("")
	if err != nil {
		return err
	}
	stream.Exec = id
	return a.execAttached(ctx, c, &session{a: a, stream: stream, tty: tty, in: r.AttachStdin, keys: keys})
}
