package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"silo/client"
	"silo/client/container"
)

// execFlags are the flags of exec.
type execFlags struct {
	stdin, tty, detach, privileged bool
	user, workdir, detachKeys      string
	env, envFiles                  []string
}

func cmdExec(a *app) *cobra.Command {
	var o execFlags
	c := &cobra.Command{
		Use:   "exec [OPTIONS] CONTAINER COMMAND [ARG...]",
		Short: "Run a further command in a running container",
		Example: `silo exec core ps
silo exec -it core sh
silo exec -u nobody -w /tmp -e A=1 core env`,
		Args:              minArgs(2),
		ValidArgsFunction: a.completeContainers(1, "running"),
	}
	f := c.Flags()
	f.SetInterspersed(false)
	f.BoolVarP(&o.stdin, "interactive", "i", false, "Keep standard input open")
	f.BoolVarP(&o.tty, "tty", "t", false, "Give the command a terminal")
	f.BoolVarP(&o.detach, "detach", "d", false, "Run in the background")
	f.BoolVar(&o.privileged, "privileged", false, "Give the command all capabilities")
	f.StringVarP(&o.user, "user", "u", "", "User of the command: NAME|UID[:GROUP|GID]")
	f.StringVarP(&o.workdir, "workdir", "w", "", "Working directory of the command")
	f.StringVar(&o.detachKeys, "detach-keys", "", "Keys that detach from the command (default \""+defaultDetach+"\")")
	f.VarP(list(&o.env, envFlag), "env", "e", "Set an environment variable")
	f.Var(list(&o.envFiles, nil), "env-file", "Read environment variables from a file")
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.exec(c.Context(), &o, args[0], args[1:])
	}
	return c
}

func (a *app) exec(ctx context.Context, o *execFlags, ref string, command []string) error {
	env, err := keyValueFiles(o.envFiles, os.LookupEnv)
	if err != nil {
		return fmt.Errorf("--env-file: %w", err)
	}
	keys, err := detachKeys(o.detachKeys)
	if err != nil {
		return exit(125, err)
	}
	r := container.ExecCreateRequest{
		User: o.user, Privileged: o.privileged, Tty: o.tty, DetachKeys: o.detachKeys,
		AttachStdin: o.stdin && !o.detach, AttachStdout: !o.detach, AttachStderr: !o.detach,
		Env: append(env, o.env...), WorkingDir: o.workdir, Cmd: command,
	}
	if err := a.checkTTY(r.AttachStdin, r.Tty); err != nil {
		return err
	}
	if h, w := a.term.size(); o.tty && h > 0 && w > 0 {
		r.ConsoleSize = &[2]uint{uint(h), uint(w)}
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	if o.detach {
		id, err := c.ExecCreate(ctx, ref, r)
		if err != nil {
			return err
		}
		return execError(c.ExecStart(ctx, id, container.ExecStartRequest{Tty: o.tty, Detach: true, ConsoleSize: r.ConsoleSize}))
	}
	stream, err := c.ExecRun(ctx, ref, r)
	if err != nil {
		return execError(err)
	}
	return a.execAttached(ctx, c, &session{a: a, stream: stream, tty: o.tty, in: r.AttachStdin, keys: keys, ends: true})
}

// execError gives the exit code of a command that did not start: 127 if there
// is no such command, 126 if the request was at fault in another way, as for
// Docker's command line.
func execError(err error) error {
	switch code := startCode(err); {
	case client.Status(err) != http.StatusBadRequest:
		return err
	case code == 125: // of a container
		return exit(126, err)
	default:
		return exit(code, err)
	}
}

func (a *app) execAttached(ctx context.Context, c *client.Client, s *session) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	id := s.stream.Exec
	if s.tty {
		a.resizer(ctx, func(ctx context.Context, h, w int) error { return c.ExecResize(ctx, id, h, w) })
	}
	err := s.run(ctx)
	if errors.Is(err, errDetached) {
		return nil
	}
	if err != nil {
		return err
	}
	code := s.code
	if !s.told {
		if code, err = execCode(ctx, c, id); err != nil {
			return err
		}
	}
	if code == 0 {
		return nil
	}
	return exit(code, nil)
}

// execCode asks for the exit code, again while the daemon is away, and while
// the command goes on after it has closed its output.
func execCode(ctx context.Context, c *client.Client, id string) (int, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		var e client.ExecState
		err := retry(ctx, func() (err error) {
			e, err = c.ExecInspect(ctx, id)
			return err
		})
		switch {
		case err != nil:
			return 0, err
		case e.ExitCode != nil && !e.Running:
			return *e.ExitCode, nil
		case !e.Running:
			return 0, errors.New("the command has ended, its exit code is not known")
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(pause):
		}
	}
}
