package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A command may be told to end as soon as it says anything, before silod has
// noted that it runs: many at once make that likely.
func TestSignalAtTheFirstWord(t *testing.T) {
	d := useDaemon(t)
	const together, rounds = 6, 6
	for range rounds {
		ended := make(chan error, together)
		for range together {
			go func() { ended <- endAtTheFirstWord(d) }()
		}
		for range together {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		if t.Failed() {
			return
		}
	}
}

// endAtTheFirstWord runs a container that ends with 7 if it gets SIGTERM.
func endAtTheFirstWord(d *daemon) error {
	c, cancel := d.command("run", "--rm", "core", "sh", "-c", `trap "echo got; exit 7" TERM; echo up; while :; do sleep 0.05; done`)
	defer cancel()
	var said strings.Builder
	c.Stderr = &said
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	r := bufio.NewReader(out)
	word, rerr := r.ReadString('\n')
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	rest, _ := io.ReadAll(r)
	err = c.Wait()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 7 || word != "up\n" || string(rest) != "got\n" {
		return fmt.Errorf("it said %q and ended otherwise than with 7: %w", word+string(rest), errors.Join(err, rerr, errors.New(said.String())))
	}
	return nil
}

// A client can be ended while no silod is there to pass its signals on; the
// container goes on.
func TestSignalWithoutDaemon(t *testing.T) {
	d := ownDaemon(t, 0)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		name := fmt.Sprintf("left-%d", sig)
		args := []string{"run", "--name", name, "core", "sh", "-c", "echo up; sleep 100000"}
		if sig == syscall.SIGTERM { // the program with the Go runtime
			args = slices.Insert(args, 1, "--cidfile", filepath.Join(t.TempDir(), "id"))
		}
		c, cancel := d.command(args...)
		defer cancel()
		var said strings.Builder
		c.Stderr = &said
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		if word, err := bufio.NewReader(out).ReadString('\n'); word != "up\n" || err != nil {
			t.Fatalf("%q, %v", word, err)
		}
		if err := d.stop(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if err := c.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		err = c.Wait() // the command's timeout bounds it
		if w, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || !w.Signaled() || w.Signal() != sig || !strings.Contains(said.String(), "it goes on without this client") {
			t.Errorf("%v: %v: %s", sig, err, said.String())
		}
		if err := d.start(); err != nil {
			t.Fatal(err)
		}
		if got := d.field(name, "{{.State.Running}}"); got != "true" {
			t.Errorf("the container: running %s", got)
		}
		d.silo("rm", "-f", name)
	}
}
