// Package tour walks through the 29 numbered properties of the system that
// Silo is built after: it makes two containers and a host outside, and asks
// for each property what a person would ask, with the commands a person would
// type. It knows silo only as a program, and the host only as anybody does.
package tour

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"silo/api"
)

// What the tour makes; each is removed at its end, and before its beginning if
// another tour was cut off.
const (
	one   = "tour-one"
	two   = "tour-two"
	shell = "tour-shell"
)

// commandLimit bounds every command.
const commandLimit = 60 * time.Second

// mostLines is how much of an output is shown.
const mostLines = 12

// Options of a tour.
type Options struct {
	Silo     string // the program
	Host     string // the daemon's address, as SILO_HOST
	Out      io.Writer
	Markdown bool
}

// Result counts.
type Result struct{ Hold, Total int }

// tour is one walk.
type tour struct {
	ctx     context.Context
	o       Options
	outside *outsideHost
	p       api.Properties
	ip      string // of container one
	root    string // data root of the daemon
	dir     string // a folder of the tour's own
	shown   strings.Builder
	problem string // why the present step does not hold
}

// step is one property.
type step struct {
	seed, title, asked string
	run                func(*tour)
}

// Run walks through all properties. The error is of what must be there before
// the first; a property that does not hold is none.
func Run(ctx context.Context, o Options) (r Result, err error) {
	t := &tour{ctx: ctx, o: o}
	if err := t.prepare(); err != nil {
		return r, errors.Join(err, t.cleanUp())
	}
	defer func() { err = errors.Join(err, t.cleanUp()) }()
	t.opening()
	for _, s := range steps {
		if ctx.Err() != nil {
			return r, context.Cause(ctx)
		}
		t.shown.Reset()
		t.problem = ""
		s.run(t)
		r.Total++
		if t.problem == "" {
			r.Hold++
		}
		if err := t.print(s); err != nil {
			return r, err
		}
	}
	_, err = fmt.Fprintf(o.Out, "%d of %d properties hold.\n", r.Hold, r.Total)
	return r, err
}

// prepare makes the two containers and the outside host.
func (t *tour) prepare() (err error) {
	if os.Geteuid() != 0 {
		return errors.New("tour: run it as root: it makes a network namespace and looks at processes of others")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return errors.New("tour: the command ip is missing: apt-get install iproute2")
	}
	for _, name := range []string{one, two, shell} { // of a tour that was cut off
		_, _ = t.output("rm", "-f", name)
	}
	if t.dir, err = os.MkdirTemp("", "silo-tour"); err != nil {
		return err
	}
	for _, name := range []string{one, two} {
		if out, err := t.output("run", "-d", "--name", name, "--hostname", name, "--annotation", "silo.wait-services=true", "core", "sleep", "1000000"); err != nil {
			return fmt.Errorf("tour: start container %s: %v: %s", name, err, out)
		}
	}
	if err := t.look(); err != nil {
		return err
	}
	ip, err := t.output("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", one)
	if err != nil {
		return fmt.Errorf("tour: address of %s: %v: %s", one, err, ip)
	}
	t.ip = ip
	if t.root, err = t.output("info", "--format", "{{.DockerRootDir}}"); err != nil {
		return fmt.Errorf("tour: info: %v: %s", err, t.root)
	}
	t.outside, err = newOutside(ip)
	return err
}

// look reads the properties of container one.
func (t *tour) look() error {
	out, err := t.output("properties", "--json", one)
	if err != nil {
		return fmt.Errorf("tour: properties of %s: %v: %s", one, err, out)
	}
	t.p = api.Properties{}
	return json.Unmarshal([]byte(out), &t.p)
}

// cleanUp takes away all that the tour has made, also after an interrupt.
func (t *tour) cleanUp() error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), commandLimit)
	defer cancel()
	t.ctx = ctx
	if t.dir != "" {
		mount := filepath.Join(t.dir, "disk")
		_, _ = t.output("disk", "unmount", mount) // it is there only if a step was cut off
	}
	var list []error
	for _, name := range []string{one, two, shell} {
		if out, err := t.output("rm", "-f", name); err != nil && !strings.Contains(out, "No such container") {
			list = append(list, fmt.Errorf("remove %s: %v: %s", name, err, out))
		}
	}
	list = append(list, t.outside.remove())
	if t.dir != "" {
		list = append(list, os.RemoveAll(t.dir))
	}
	return errors.Join(list...)
}

// output runs silo and gives what it printed, both streams.
func (t *tour) output(args ...string) (string, error) {
	return t.command(t.o.Silo, args...)
}

func (t *tour) command(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(t.ctx, commandLimit)
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), "SILO_HOST="+t.o.Host)
	c.WaitDelay = time.Second
	out, err := c.CombinedOutput()
	return strings.TrimRight(string(out), "\n"), err
}

// silo types a silo command: it is shown with its output. One that fails makes
// the step fail.
func (t *tour) silo(args ...string) string {
	out, err := t.output(args...)
	t.show("silo "+typed(args), out)
	if err != nil {
		t.fail("silo %s: %v", args[0], err)
	}
	return out
}

// typed writes arguments as a person types them for a shell.
func typed(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		out[i] = a
		if a == "" || strings.ContainsAny(a, " \t\n$|&;<>()*?{}\"'`\\") {
			out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

// inside types a command in container one.
func (t *tour) inside(args ...string) string {
	return t.silo(append([]string{"exec", one}, args...)...)
}

// host types a command on the host.
func (t *tour) host(args ...string) string {
	out, err := t.command(args[0], args[1:]...)
	t.show(typed(args), out)
	if err != nil {
		t.fail("%s: %v", args[0], err)
	}
	return out
}

// show adds a command and its output to what is printed of this step.
func (t *tour) show(command, out string) {
	fmt.Fprintf(&t.shown, "$ %s\n", command)
	if out == "" {
		return
	}
	lines := strings.Split(out, "\n")
	for i, line := range lines {
		if i == mostLines {
			fmt.Fprintf(&t.shown, "… and %d lines more\n", len(lines)-i)
			break
		}
		t.shown.WriteString(strings.TrimRight(line, " \r") + "\n")
	}
}

// fail notes why the present step does not hold; the first reason counts.
func (t *tour) fail(format string, args ...any) {
	if t.problem == "" {
		t.problem = fmt.Sprintf(format, args...)
	}
}

// want fails the step unless text holds a part.
func (t *tour) want(text, part string) {
	if !strings.Contains(strings.ToLower(text), strings.ToLower(part)) {
		t.fail("%q is not to be seen", part)
	}
}

// holds fails the step unless a property answers as it should.
func (t *tour) holds(names ...string) {
	for _, name := range names {
		found := false
		for _, x := range t.p.Properties {
			if x.Name != name {
				continue
			}
			found = true
			if x.Answer != x.Want && !(x.Answer == api.NotSupported && x.Inside == x.Outside) {
				t.fail("property %s: %s: %q inside, %q outside", name, x.Answer, x.Inside, x.Outside)
			}
		}
		if !found {
			t.fail("there is no property %s", name)
		}
	}
}

func (t *tour) property(name string) api.Property {
	for _, x := range t.p.Properties {
		if x.Name == name {
			return x
		}
	}
	return api.Property{}
}

// main is the process of container one's command on the host.
func (t *tour) main() api.ProcessView {
	for _, p := range t.p.Processes {
		if fmt.Sprint(p.PID) == t.property("number").Outside {
			return p
		}
	}
	return api.ProcessView{}
}

func (t *tour) opening() {
	if t.o.Markdown {
		fmt.Fprint(t.o.Out, "# A tour of the properties\n\nWritten by `silo tour --markdown`: the commands were run, the output is theirs.\n"+
			"Lines that begin with `(host)` or `(outside)` are done by the tour itself, from\nthe host or from a host outside that is made of a network namespace. The data root\nis written as /var/lib/silo.\n\n")
	}
}

// print writes what a step has shown.
func (t *tour) print(s step) error {
	verdict := "holds"
	if t.problem != "" {
		verdict = "DOES NOT HOLD: " + t.problem
	}
	format := "%s  %s\n    %s\n\n%s\n    → %s\n\n"
	text := "    " + strings.ReplaceAll(strings.TrimRight(t.shown.String(), "\n"), "\n", "\n    ") + "\n"
	if t.o.Markdown {
		text = strings.ReplaceAll(text, t.root, "/var/lib/silo")
		format = "## %s: %s\n\n%s\n\n%s\n→ %s\n\n"
	}
	_, err := fmt.Fprintf(t.o.Out, format, s.seed, s.title, s.asked, text, verdict)
	return err
}
