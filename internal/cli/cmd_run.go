package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"silo/client"
	"silo/client/container"
)

// runFlags are the flags of run.
type runFlags struct {
	createFlags
	detach, sigProxy bool
	detachKeys       string
	keys             []byte
}

func cmdRun(a *app) *cobra.Command {
	var o runFlags
	c := &cobra.Command{
		Use:   "run [OPTIONS] IMAGE [COMMAND] [ARG...]",
		Short: "Make a container and run a command in it",
		Long: `The exit code is that of the command. It is 125 if Silo itself went wrong, 126
if the command cannot be executed, 127 if it does not exist, and 128+N if it was
ended by signal N.

An image that is not here is pulled first.`,
		Example: `silo run --rm -it --name core core sh
silo run -d --name web -p 8080:80 -v "$PWD:/www" core httpd -h /www
silo run --rm -m 256m --cpus 1.5 --pids-limit 100 core true`,
		Args:              minArgs(1),
		ValidArgsFunction: a.completeImages(1),
	}
	f := c.Flags()
	f.SetInterspersed(false)
	f.BoolVarP(&o.detach, "detach", "d", false, "Run in the background and print the container's id")
	f.BoolVar(&o.sigProxy, "sig-proxy", true, "Send the signals that silo gets to the command")
	f.StringVar(&o.detachKeys, "detach-keys", "", "Keys that detach from the container (default \""+defaultDetach+"\")")
	o.add(f)
	completeCreate(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := a.runRequest(&o, f, args)
		if err != nil {
			return exit(125, seeHelp(c, err))
		}
		cl, err := a.client()
		if err != nil {
			return exit(125, err)
		}
		err = a.runContainer(c.Context(), cl, &o, r)
		if _, decided := errors.AsType[*exitError](err); err != nil && !decided {
			return exit(125, err)
		}
		return err
	}
	return c
}

// runRequest checks the flags and makes the body of the create request.
func (a *app) runRequest(o *runFlags, f *pflag.FlagSet, args []string) (*container.CreateRequest, error) {
	if o.detach && len(o.attach) > 0 {
		return nil, errors.New("--detach does not go with --attach")
	}
	r, err := o.request(f, args[0], args[1:])
	if err != nil {
		return nil, err
	}
	if o.keys, err = detachKeys(o.detachKeys); err != nil {
		return nil, err
	}
	if !o.detach {
		return r, a.checkTTY(r.AttachStdin, r.Tty)
	}
	r.AttachStdin, r.AttachStdout, r.AttachStderr, r.StdinOnce = false, false, false, false
	return r, nil
}

// checkTTY refuses to join standard input that is no terminal to one inside.
func (a *app) checkTTY(stdin, tty bool) error {
	if stdin && tty && a.term.in < 0 {
		return errors.New("the input device is not a TTY: leave out -t")
	}
	return nil
}

// runContainer makes a container, starts it and, unless it is to run in the
// background, stays until it ends.
func (a *app) runContainer(ctx context.Context, c *client.Client, o *runFlags, r *container.CreateRequest) error {
	if o.cidfile == "" && (r.AttachStdin || r.AttachStdout || r.AttachStderr) {
		return a.runJoined(ctx, c, o, r)
	}
	return a.runSteps(ctx, c, o, r)
}

// runJoined runs a container in one request, whose answer is its streams and
// its exit code.
func (a *app) runJoined(ctx context.Context, c *client.Client, o *runFlags, r *container.CreateRequest) error {
	streams := client.AttachOptions{Stdin: r.AttachStdin, Stdout: r.AttachStdout, Stderr: r.AttachStderr, DetachKeys: o.detachKeys}
	var stream *client.Stream
	stop := func() {}
	err := a.withImage(ctx, c, &o.createFlags, r, func() (err error) {
		if !o.sigProxy {
			stream, err = c.ContainerRun(ctx, o.name, o.platform, streams, r)
			return err
		}
		p := a.catchSignals(c)
		if stream, err = c.ContainerRun(ctx, o.name, o.platform, streams, r); err != nil {
			p.stop()
			return err
		}
		stop = p.stop
		p.to(stream.Container)
		return nil
	})
	defer stop()
	if err != nil {
		return startError(err)
	}
	a.warn(stream.Warnings)
	id := stream.Container
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.Tty {
		a.resizer(ctx, func(ctx context.Context, h, w int) error { return c.ContainerResize(ctx, id, h, w) })
	}
	s := &session{a: a, stream: stream, tty: r.Tty, in: r.AttachStdin, keys: o.keys, ends: true}
	if err := s.run(ctx); err != nil {
		if errors.Is(err, errDetached) {
			return nil
		}
		return err
	}
	if s.told {
		return endError(s.code, nil)
	}
	condition := container.WaitConditionNotRunning
	if o.remove {
		condition = container.WaitConditionRemoved
	}
	code, err := wait(ctx, c, nil, id, condition)
	if client.Status(err) == 404 {
		err = errRemoved
	}
	return endError(code, err)
}

// runSteps does it in the steps of Docker's API.
func (a *app) runSteps(ctx context.Context, c *client.Client, o *runFlags, r *container.CreateRequest) error {
	id, err := a.create(ctx, c, &o.createFlags, r)
	if err != nil {
		return err
	}
	if !r.AttachStdin && !r.AttachStdout && !r.AttachStderr {
		if err := c.ContainerStart(ctx, id); err != nil {
			return startError(err)
		}
		_, err = fmt.Fprintln(a.out, id)
		return err
	}
	if o.sigProxy {
		defer a.proxySignals(c, id)()
	}
	return a.startAttached(ctx, c, attached{
		id: id, tty: r.Tty, keys: o.keys, remove: o.remove,
		AttachOptions: client.AttachOptions{
			Stream: true, Stdin: r.AttachStdin, Stdout: r.AttachStdout, Stderr: r.AttachStderr, DetachKeys: o.detachKeys,
		},
	})
}

// attached is a container to be started with its streams joined.
type attached struct {
	client.AttachOptions
	id          string
	tty, remove bool // remove: the container goes away when it ends
	keys        []byte
}

// startAttached starts a container and stays until it ends or the user
// detaches. Attach and wait are asked for at the same time, and without more
// threads than need be: each costs a tenth of a millisecond.
func (a *app) startAttached(ctx context.Context, c *client.Client, t attached) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	condition := container.WaitConditionNextExit
	if t.remove {
		condition = container.WaitConditionRemoved
	}
	w, err := c.ContainerWaitAsk(ctx, t.id, condition)
	if err != nil {
		return err
	}
	stream, err := c.ContainerAttach(ctx, t.id, t.AttachOptions)
	if werr := w.Begun(); err == nil && werr != nil {
		_ = stream.Close()
		err = werr
	}
	if err != nil {
		return err
	}
	if err := c.ContainerStart(ctx, t.id); err != nil {
		_ = stream.Close()
		if t.remove {
			_, _ = w.Result() // it is removed, as it would be after an end
		}
		return startError(err)
	}
	if t.tty {
		a.resizer(ctx, func(ctx context.Context, h, w int) error { return c.ContainerResize(ctx, t.id, h, w) })
	}
	s := &session{a: a, stream: stream, tty: t.tty, in: t.Stdin, keys: t.keys, quiet: !t.Stdout && !t.Stderr}
	return a.untilEnd(ctx, c, s, w, t.id, condition)
}

// untilEnd copies the streams and gives the end of the container as an error
// with its exit code, nil if that is 0 or the user detached.
func (a *app) untilEnd(ctx context.Context, c *client.Client, s *session, w *client.Wait, id string, condition container.WaitCondition) error {
	if !s.in && !s.quiet {
		if err := s.run(ctx); err != nil {
			return err
		}
		return endError(wait(ctx, c, w, id, condition))
	}
	streamed := make(chan error, 1)
	streamCtx, stop := context.WithCancel(ctx)
	defer stop()
	a.term.guard(func() { streamed <- s.run(streamCtx) })
	type result struct {
		code int
		err  error
	}
	ended := make(chan result, 1)
	go func() {
		code, err := wait(ctx, c, w, id, condition)
		ended <- result{code, err}
	}()
	var end result
	select {
	case err := <-streamed:
		if errors.Is(err, errDetached) {
			return nil
		}
		if err != nil {
			return err
		}
		end = <-ended
	case end = <-ended:
		if s.quiet {
			stop()
		}
		if err := <-streamed; quiet(err) {
			return err
		}
	}
	a.term.restore()
	return endError(end.code, end.err)
}

// endError makes of the end of a container the error that ends silo.
func endError(code int, err error) error {
	switch {
	case err != nil:
		return exit(125, err)
	case code != 0:
		return exit(code, nil)
	}
	return nil
}

// startError gives the exit code of a container whose command did not start.
func startError(err error) error {
	return exit(startCode(err), err)
}

// startCode is 127 for a command that does not exist, 126 for one that cannot
// be executed, 125 for all else. The API has no field for it: as with Docker's
// own command line, the text decides, of a request that was itself at fault:
// another error may speak of files of the host.
func startCode(err error) int {
	if client.Status(err) != http.StatusBadRequest {
		return 125
	}
	msg := strings.ToLower(err.Error())
	for _, s := range []string{"executable file not found", "no such file or directory", "command not found"} {
		if strings.Contains(msg, s) {
			return 127
		}
	}
	for _, s := range []string{"permission denied", "is a directory", "exec format error", "not executable"} {
		if strings.Contains(msg, s) {
			return 126
		}
	}
	return 125
}
