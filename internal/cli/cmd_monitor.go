package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"silo/api"
	"silo/client"
	"silo/internal/monitor"
)

// Sequences that give the screen to the monitor and back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[0m\x1b[?25h\x1b[?1049l"
)

func cmdMonitor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "monitor [OPTIONS] [CONTAINER]",
		Short: "Watch a container's processes, from both sides, with its limits",
		Long: `On a terminal the picture is drawn again every second; ? shows the keys. Without a
terminal it is printed once. Without a name it is the container that runs, if there
is only one.`,
		Example:           "silo monitor core",
		Args:              maxArgs(1),
		ValidArgsFunction: a.completeContainers(1, "running"),
		RunE: func(c *cobra.Command, args []string) error {
			cl, err := a.client()
			if err != nil {
				return err
			}
			ref, err := theContainer(c.Context(), cl, args)
			if err != nil {
				return err
			}
			p, err := cl.Properties(c.Context(), ref)
			if err != nil {
				return err
			}
			if a.term.in < 0 || a.term.out < 0 {
				return a.snapshot(p)
			}
			return a.monitor(c.Context(), cl, p)
		},
	}
}

// theContainer is the one that was named, or the only one that runs.
func theContainer(ctx context.Context, cl *client.Client, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	list, err := cl.Containers(ctx, client.ListOptions{})
	if err != nil {
		return "", err
	}
	if len(list) == 1 {
		return list[0].ID, nil
	}
	var names []string
	for _, c := range list {
		names = append(names, strings.TrimPrefix(c.Names[0], "/"))
	}
	if len(names) == 0 {
		return "", errors.New("no container runs")
	}
	return "", exit(125, fmt.Errorf("several containers run: name one of %s", strings.Join(names, ", ")))
}

// snapshot prints one picture as plain text, as wide as it needs.
func (a *app) snapshot(p api.Properties) error {
	m := monitor.New()
	m.Update(p)
	strip := strings.NewReplacer("\x1b[0m", "", "\x1b[1m", "", "\x1b[7m", "")
	lines := m.Frame(160, 6+len(p.Processes)+monitor.MinHeight)
	for _, line := range lines[:len(lines)-1] { // without the line of keys
		if line = strings.TrimRight(strip.Replace(line), " "); line == "" {
			continue
		}
		if _, err := fmt.Fprintln(a.out, line); err != nil {
			return err
		}
	}
	return nil
}

// monitor draws until a key or a signal ends it.
func (a *app) monitor(ctx context.Context, cl *client.Client, p api.Properties) error {
	t := a.term
	t.onRestore(func() { io.WriteString(a.out, leaveScreen) })
	if err := t.raw(); err != nil {
		return fmt.Errorf("set the terminal to raw mode: %w", err)
	}
	defer t.restore()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	keys := make(chan string, 16)
	t.guard(func() { readKeys(ctx, a.in, keys) })
	looks := make(chan look, 1)
	t.guard(func() { keepLooking(ctx, cl, p.Container, looks) })
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	m := monitor.New()
	m.Update(p)
	if _, err := io.WriteString(a.out, enterScreen); err != nil {
		return err
	}
	for {
		if err := a.drawScreen(m); err != nil {
			return err
		}
		select {
		case data, ok := <-keys:
			if !ok {
				return nil // the terminal is gone
			}
			for _, k := range monitor.Keys(data) {
				if !m.Key(k) {
					return nil
				}
			}
		case l := <-looks:
			if l.err != nil {
				m.Fail(l.err)
			} else {
				m.Update(l.p)
			}
		case <-resized:
		case <-ctx.Done():
			return nil
		}
	}
}

// look is what the daemon answered.
type look struct {
	p   api.Properties
	err error
}

// keepLooking asks the daemon every second; one that is away is asked again.
func keepLooking(ctx context.Context, cl *client.Client, id string, to chan<- look) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Second):
		}
		p, err := cl.Properties(ctx, id)
		select {
		case to <- look{p, err}:
		case <-ctx.Done():
			return
		}
	}
}

// readKeys passes on what is typed; the channel is closed with the terminal.
func readKeys(ctx context.Context, in io.Reader, to chan<- string) {
	defer close(to)
	buf := make([]byte, 256)
	for {
		n, err := in.Read(buf)
		if n > 0 {
			select {
			case to <- string(buf[:n]):
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// drawScreen writes one frame, each line over the one before.
func (a *app) drawScreen(m *monitor.Model) error {
	h, w := a.term.size()
	var out strings.Builder
	out.WriteString("\x1b[H")
	lines := m.Frame(w, h)
	for i, line := range lines {
		if i > 0 {
			out.WriteString("\r\n")
		}
		out.WriteString(line + "\x1b[K")
	}
	out.WriteString("\x1b[J")
	_, err := io.WriteString(a.out, out.String())
	return err
}
