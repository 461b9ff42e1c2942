package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"

	"silo/client"
	"silo/client/container"
)

// session joins the user's streams with those of a container or an exec.
type session struct {
	a      *app
	stream *client.Stream
	tty    bool
	in     bool // standard input is joined
	quiet  bool // output is not joined
	keys   []byte

	ends bool // the stream tells the exit code, see client.Stream.Copy
	told bool // it has: code is it
	code int
}

// run copies until output ends, or until input does if there is no output. It
// gives errDetached if the user typed the detach keys.
func (s *session) run(ctx context.Context) error {
	t := s.a.term
	if s.tty && s.in {
		if err := t.raw(); err != nil {
			return fmt.Errorf("set the terminal to raw mode: %w", err)
		}
	}
	defer t.restore()
	defer func() { _ = s.stream.Close() }()
	if !s.in && !s.quiet {
		_ = s.stream.CloseWrite() // the container may be gone: output tells
		return s.copyOut()
	}
	input := make(chan error, 1)
	t.guard(func() { input <- s.copyIn() })
	output := make(chan error, 1)
	t.guard(func() { output <- s.copyOut() })
	for {
		select {
		case err := <-output:
			return err
		case err := <-input:
			if errors.Is(err, errDetached) {
				return err
			}
			input = nil // output goes on without it
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// copyIn sends standard input and then its end.
func (s *session) copyIn() error {
	if s.in {
		in := s.a.in
		if s.tty {
			in = &keyReader{r: in, keys: s.keys}
		}
		_, err := io.Copy(onlyWriter{s.stream}, in)
		if errors.Is(err, errDetached) {
			return err
		}
	}
	_ = s.stream.CloseWrite() // the container may be gone: output tells
	return nil
}

// onlyWriter hides everything but Write.
type onlyWriter struct{ io.Writer }

func (s *session) copyOut() error {
	var err error
	if s.ends {
		s.code, err = s.stream.Copy(s.a.out, s.a.err)
		s.told = err == nil
		if errors.Is(err, client.ErrNoEnd) {
			return nil
		}
		return err
	}
	if s.stream.Multiplexed || !s.tty {
		_, err = stdcopy.StdCopy(s.a.out, s.a.err, s.stream)
	} else {
		_, err = io.Copy(s.a.out, s.stream)
	}
	if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil // the exit code tells how it ended
	}
	return err
}

// resizer keeps the size of a terminal inside like the user's, until ctx ends.
// A terminal without a size is left alone.
func (a *app) resizer(ctx context.Context, set func(ctx context.Context, height, width int) error) {
	if a.term.out < 0 {
		return
	}
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	send := func() error {
		h, w := a.term.size()
		if h == 0 && w == 0 {
			return nil
		}
		return set(ctx, h, w)
	}
	go func() {
		defer signal.Stop(changed)
		// The terminal inside may not be there yet.
		for try := range 10 {
			if send() == nil || ctx.Err() != nil {
				break
			}
			time.Sleep(time.Duration(try+1) * 10 * time.Millisecond)
		}
		for {
			select {
			case <-ctx.Done():
				return
			case <-changed:
				if send() != nil { // the connection may be of a daemon that is gone
					_ = send() // it is sent again with the next change
				}
			}
		}
	}()
}

// signalProxy sends every signal that this program gets to a container. Signals
// go by number, so there is no table of names.
type signalProxy struct {
	a       *app
	signals chan os.Signal
	known   chan string // the container's id, once
	done    chan struct{}

	mu    sync.Mutex
	rest  *time.Timer
	ended bool
}

// Catching a signal costs the Go runtime a switch between threads, some 0.1 ms
// each: those that people send first, the others when the command has had time
// to be a short one.
var firstSignals = []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

const otherSignals = 50 * time.Millisecond

// catchSignals begins to hold signals for a container that is being made: to
// sends them there and all that follow, stop ends it.
func (a *app) catchSignals(c *client.Client) *signalProxy {
	p := &signalProxy{a: a, signals: make(chan os.Signal, 32), known: make(chan string, 1), done: make(chan struct{})}
	signal.Notify(p.signals, firstSignals...)
	p.rest = time.AfterFunc(otherSignals, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.ended {
			signal.Notify(p.signals)
		}
	})
	a.term.setProxy(true)
	go p.run(c)
	return p
}

// proxySignals sends signals to a container until stop is called.
func (a *app) proxySignals(c *client.Client, id string) (stop func()) {
	p := a.catchSignals(c)
	p.to(id)
	return p.stop
}

func (p *signalProxy) to(id string) { p.known <- id }

func (p *signalProxy) run(c *client.Client) {
	var id string
	var held []syscall.Signal
	for {
		select {
		case <-p.done:
			if len(held) > 0 { // there is no container: they were for this program
				_ = syscall.Kill(os.Getpid(), held[0])
			}
			return
		case id = <-p.known:
		case s := <-p.signals:
			n, ok := s.(syscall.Signal)
			switch {
			case !ok, n == syscall.SIGCHLD, n == syscall.SIGPIPE, n == syscall.SIGURG, n == syscall.SIGWINCH:
				continue
			}
			held = append(held, n)
		}
		switch {
		case id != "":
			for _, n := range held {
				p.pass(c, id, n)
			}
			held = nil
		case len(held) > 1: // the user does not want to wait for the container
			signal.Stop(p.signals)
			_ = syscall.Kill(os.Getpid(), held[0])
		}
	}
}

// signalPatience is how long a signal waits for a daemon that is away: one that
// is replaced by a newer build is back in a moment.
const signalPatience = 2 * time.Second

// pass sends a signal to the container. One that would end this program does so if
// there is no daemon to pass it on: the user may have nothing else at hand.
func (p *signalProxy) pass(c *client.Client, id string, n syscall.Signal) {
	ctx, cancel := context.WithTimeout(context.Background(), signalPatience)
	defer cancel()
	err := retry(ctx, func() error { return c.ContainerKill(context.Background(), id, strconv.Itoa(int(n))) })
	if err == nil || !errors.Is(err, context.DeadlineExceeded) && !client.Unreachable(err) {
		return // a container that has ended already cannot take it
	}
	if slices.Contains(firstSignals, os.Signal(n)) {
		fmt.Fprintf(p.a.err, "silo: no daemon is there to pass signal %d on to container %s: it goes on without this client\n", n, id[:min(12, len(id))])
		signal.Stop(p.signals)
		_ = syscall.Kill(os.Getpid(), n)
	}
}

func (p *signalProxy) stop() {
	p.mu.Lock()
	p.ended = true
	p.rest.Stop()
	p.mu.Unlock()
	p.a.term.setProxy(false)
	signal.Stop(p.signals)
	close(p.done)
}

// retryFor is how long an absent daemon is waited for.
const retryFor = 30 * time.Second

// retry calls f until its error is not that the daemon is away, for at most
// retryFor.
func retry(ctx context.Context, f func() error) error {
	deadline := time.Now().Add(retryFor)
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := f()
		if !client.Unreachable(err) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

var errRemoved = errors.New("the container was removed while the daemon was away: its exit code is not known")

// wait waits for the end of a container, over restarts of the daemon: a wait
// that breaks off is begun again.
func wait(ctx context.Context, c *client.Client, w *client.Wait, id string, condition container.WaitCondition) (code int, err error) {
	if w == nil {
		if w, err = c.ContainerWait(ctx, id, condition); err != nil {
			return 0, err
		}
	}
	if condition == container.WaitConditionNextExit {
		condition = container.WaitConditionNotRunning // it may have ended while nobody listened
	}
	for {
		code, err = w.Result()
		if !client.Unreachable(err) {
			return code, err
		}
		err = retry(ctx, func() error {
			w, err = c.ContainerWait(ctx, id, condition)
			return err
		})
		if client.Status(err) == 404 {
			return 0, errRemoved
		}
		if err != nil {
			return 0, err
		}
	}
}
