package early_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"silo/internal/linux"
)

// programs gives silo as it is built, and as a Go program that begins as any.
var programs = sync.OnceValues(func() (p [2]string, err error) {
	for i, flags := range []string{"-s -w -E silo/internal/cli/early.entry", "-s -w"} {
		p[i] = filepath.Join(folder, []string{"early", "plain"}[i])
		cmd := exec.Command("go", "build", "-ldflags", flags, "-o", p[i], "silo/cmd/silo")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	return p, nil
})

// scenario is one command line, what the daemon does, and where the output goes.
type scenario struct {
	args    []string // nil: run core true
	shell   string   // runs "$@" with other standard streams or signals
	host    string   // SILO_HOST with %s for the socket; empty: unix://%s
	absent  bool     // there is no daemon
	unnamed bool     // the program's name is empty
	out     output
	answers answers
	want    int // the exit code
	stderr  string
}

// output is where standard output goes.
type output int

const (
	toMemory   output = iota
	toNobody          // a pipe that nobody reads
	toFull            // /dev/full
	toTerminal        // one of 24 x 80
	toLate            // a pipe that is read when the daemon says so
	toLateNonblock
)

// result is all that can be seen of a run.
type result struct {
	Out, Err string
	Code     int // 128+N after signal N
	Calls    []string
}

// run runs one of the programs.
func (s *scenario) run(t *testing.T, program string) result {
	t.Helper()
	d := newDaemon(t, s.answers)
	if s.absent {
		d.l.Close()
	}
	args := s.args
	if args == nil {
		args = []string{"run", "core", "true"}
	}
	args = append([]string{program}, args...)
	if s.shell != "" {
		args = append([]string{"/bin/sh", "-c", s.shell, "sh"}, args...)
	}
	host := "unix://%s"
	if s.host != "" {
		host = s.host
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	if s.unnamed {
		cmd.Args[0] = ""
	}
	cmd.Env = []string{"SILO_HOST=" + strings.ReplaceAll(host, "%s", d.socket)}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	started, out := s.out.open(t, d, cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	d.pid = cmd.Process.Pid
	close(d.started)
	started()
	_ = cmd.Wait() // the state tells
	r := result{Code: cmd.ProcessState.ExitCode()}
	if w := cmd.ProcessState.Sys().(syscall.WaitStatus); w.Signaled() {
		r.Code = 128 + int(w.Signal())
	}
	r.Calls = d.stop()
	r.Out, r.Err = out(), errs.String()
	if len(r.Out) > 4096 {
		r.Out = fmt.Sprintf("%d bytes, %x", len(r.Out), sha256.Sum256([]byte(r.Out)))
	}
	return r
}

// open gives cmd its standard output. started is to be called then, and got
// when it has ended.
func (o output) open(t *testing.T, d *daemon, cmd *exec.Cmd) (started func(), got func() string) {
	t.Helper()
	file := func(f *os.File, err error) *os.File {
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = f
		return f
	}
	var out bytes.Buffer
	switch o {
	case toFull:
		f := file(os.OpenFile("/dev/full", os.O_WRONLY, 0))
		return func() { f.Close() }, out.String
	case toTerminal:
		m, s, err := linux.OpenPTY("/dev/ptmx")
		if err != nil {
			t.Fatal(err)
		}
		if err := linux.SetWinsize(s.Int(), 24, 80); err != nil {
			t.Fatal(err)
		}
		slave := file(s.File(), nil)
		return collect(&out, m.File(), slave, nil)
	case toNobody, toLate, toLateNonblock:
		var p [2]int
		flags := syscall.O_CLOEXEC
		if o == toLateNonblock {
			flags |= syscall.O_NONBLOCK
		}
		if err := syscall.Pipe2(p[:], flags); err != nil {
			t.Fatal(err)
		}
		r, w := os.NewFile(uintptr(p[0]), "read"), file(os.NewFile(uintptr(p[1]), "write"), nil)
		if o == toNobody {
			r.Close()
			return func() { w.Close() }, out.String
		}
		return collect(&out, r, w, d)
	}
	cmd.Stdout = &out
	return func() {}, out.String
}

// collect reads r to its end once w has been given on, and once the daemon says
// so if there is one.
func collect(out *bytes.Buffer, r, w *os.File, d *daemon) (started func(), got func() string) {
	done := make(chan struct{})
	return func() {
			w.Close()
			go func() {
				defer close(done)
				defer r.Close()
				if d != nil {
					select {
					case <-d.read:
					case <-d.ended:
					}
				}
				io.Copy(out, r)
			}()
		}, func() string {
			<-done
			return out.String()
		}
}

// compare runs both programs.
func (s *scenario) compare(t *testing.T) {
	t.Helper()
	p, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	got, want := s.run(t, p[0]), s.run(t, p[1])
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the same without the early entry (-want +got):\n%s", d)
	}
	if got.Code != s.want || !strings.Contains(got.Err, s.stderr) || s.stderr == "" && got.Err != "" {
		t.Errorf("exit code %d, standard error %q; want %d, %q", got.Code, got.Err, s.want, s.stderr)
	}
}
