// Package e2e runs the real programs as a person would: a daemon with its own
// roots, switch and address pool, `silo` as the only way to talk to it, and
// the host's own tools to look from outside. One test for each property of
// the seed carries that property's number.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"silo/internal/testenv"
)

// limit bounds every command and every wait: reaching it is a failure, never
// a measurement.
const limit = 60 * time.Second

// bins holds the four programs; empty without root.
var bins string

func TestMain(m *testing.M) {
	var work string
	if os.Geteuid() == 0 {
		var err error
		if work, err = os.MkdirTemp("", "silo-e2e"); err == nil {
			bins, err = programs(work)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			os.Exit(1)
		}
	}
	code := m.Run()
	if shared.d != nil {
		if err := shared.d.end(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: shared daemon:", err)
			code = 1
		}
	}
	if work != "" {
		if err := os.RemoveAll(work); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// programs gives the folder of the programs: SILO_BIN, as `make test` sets it,
// or built here once.
func programs(work string) (string, error) {
	if dir := os.Getenv("SILO_BIN"); dir != "" {
		return dir, nil
	}
	built, err := filepath.Glob("../images/built/*.zst")
	if err != nil || len(built) == 0 {
		return "", errors.New("the images are not built: run `make images`")
	}
	dir := filepath.Join(work, "bin")
	for _, name := range []string{"silo", "silod", "silo-keeper", "silo-agent"} {
		c := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X silo/internal/version.Version=0.1.0", "-o", filepath.Join(dir, name), "./cmd/"+name)
		c.Dir, c.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return dir, nil
}

// shared is the daemon that most tests use, started by the first of them.
var shared struct {
	once sync.Once
	d    *daemon
	err  error
}

// useDaemon gives the shared daemon.
func useDaemon(t *testing.T) *daemon {
	t.Helper()
	testenv.NeedRoot(t)
	shared.once.Do(func() { shared.d, shared.err = newDaemon(2) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.d.with(t)
}

// ownDaemon gives a daemon of a test's own, that ends with it.
func ownDaemon(t *testing.T, standby int, flags ...string) *daemon {
	t.Helper()
	testenv.NeedRoot(t)
	d, err := newDaemon(standby, flags...)
	if err != nil {
		t.Fatal(err)
	}
	own := d.with(t) // what ends is what the test may have started anew
	t.Cleanup(func() {
		if err := own.end(); err != nil {
			t.Error(err)
		}
	})
	return own
}

// bareDaemon is a daemon of a test's own that the test starts.
func bareDaemon(t *testing.T, standby int) *daemon {
	t.Helper()
	testenv.NeedRoot(t)
	d, err := describeDaemon(standby)
	if err != nil {
		t.Fatal(err)
	}
	own := d.with(t)
	t.Cleanup(func() {
		if err := own.end(); err != nil {
			t.Error(err)
		}
	})
	return own
}

// result is how a command ended.
type result struct {
	out, err string
	code     int
}

// with gives the daemon, speaking through a test.
func (d *daemon) with(t *testing.T) *daemon {
	c := *d
	c.t = t
	return &c
}

// command makes a silo command that cannot outlive its limit.
func (d *daemon) command(args ...string) (*exec.Cmd, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	c := exec.CommandContext(ctx, filepath.Join(bins, "silo"), args...)
	c.Env = append(os.Environ(), "SILO_HOST="+d.host)
	c.WaitDelay = time.Second
	return c, cancel
}

// try runs silo and gives what came of it.
func (d *daemon) try(args ...string) result {
	d.t.Helper()
	return d.feed("", args...)
}

// feed is try with standard input.
func (d *daemon) feed(in string, args ...string) result {
	d.t.Helper()
	c, cancel := d.command(args...)
	defer cancel()
	var stdout, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(in), &stdout, &stderr
	err := c.Run()
	r := result{out: stdout.String(), err: stderr.String(), code: c.ProcessState.ExitCode()}
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		d.t.Fatalf("silo %s: %v", strings.Join(args, " "), err)
	}
	if r.code < 0 {
		d.t.Fatalf("silo %s: not done after %v\nstdout: %s\nstderr: %s", strings.Join(args, " "), limit, r.out, r.err)
	}
	return r
}

// silo runs a command that must succeed and gives its output without the
// spaces around it.
func (d *daemon) silo(args ...string) string {
	d.t.Helper()
	r := d.try(args...)
	if r.code != 0 {
		d.t.Fatalf("silo %s: exit %d\nstdout: %s\nstderr: %s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return strings.TrimSpace(r.out)
}

// detached starts a container that is removed with the test and gives its id.
func (d *daemon) detached(args ...string) string {
	d.t.Helper()
	id := d.silo(append([]string{"run", "-d"}, args...)...)
	d.t.Cleanup(func() { d.try("rm", "-f", "-v", id) })
	return id
}

// sleeper is a container of the image core in which nothing happens.
func (d *daemon) sleeper(args ...string) string {
	d.t.Helper()
	return d.detached(append(args, "core", "sleep", "100000")...)
}

// field gives one field of inspect by a template.
func (d *daemon) field(container, template string) string {
	d.t.Helper()
	return d.silo("inspect", "--format", template, container)
}

// until waits for a condition within the limit.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after %v", what, limit)
		}
	}
}

// tool runs a program of the host within the limit.
func tool(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := exec.CommandContext(ctx, find(args[0]), args[1:]...)
	c.WaitDelay = time.Second
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// mustTool is tool for what has to succeed.
func mustTool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tool(args...)
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// find looks for a program also where root's programs are.
func find(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path := filepath.Join(dir, name); isFile(path) {
			return path
		}
	}
	return name
}

func isFile(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().IsRegular()
}

// want fails a test unless text holds a part.
func want(t *testing.T, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s: %q is not in:\n%s", what, part, text)
	}
}

// gone tells whether a process has ended.
func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }
