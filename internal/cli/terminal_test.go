package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/term"

	"silo/internal/linux"
)

// pty is a terminal with the test at its other end.
type pty struct {
	master, slave *os.File
	lines         chan string // what was written to it
}

func newPTY(t *testing.T, height, width uint16) *pty {
	t.Helper()
	m, s, err := linux.OpenPTY("/dev/ptmx")
	if err != nil {
		t.Fatal(err)
	}
	if err := linux.SetWinsize(s.Int(), height, width); err != nil {
		t.Fatal(err)
	}
	p := &pty{master: m.File(), slave: s.File(), lines: make(chan string, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(p.master); lines.Scan(); {
			p.lines <- lines.Text()
		}
	}()
	t.Cleanup(func() { p.master.Close(); p.slave.Close(); <-done })
	return p
}

func (p *pty) state(t *testing.T) *term.State {
	t.Helper()
	s, err := term.GetState(int(p.slave.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// typeRaw types keys once the terminal is raw: until then it would eat some.
func (p *pty) typeRaw(t *testing.T, before *term.State, keys string) {
	for fmt.Sprintf("%+v", *p.state(t)) == fmt.Sprintf("%+v", *before) {
		time.Sleep(time.Millisecond)
	}
	p.master.WriteString(keys)
}

// silo runs a command line on the terminal.
func (p *pty) silo(f *fake, args ...string) int {
	a := &app{in: p.slave, out: p.slave, err: p.slave, getenv: func(k string) string {
		if k == "SILO_HOST" {
			return "unix://" + f.socket
		}
		return ""
	}}
	return a.run(context.Background(), args)
}

func sameState(t *testing.T, want, got *term.State) {
	t.Helper()
	if d := cmp.Diff(fmt.Sprintf("%+v", *want), fmt.Sprintf("%+v", *got)); d != "" {
		t.Errorf("the terminal was not restored: %s", d)
	}
}

func TestTerminalRunIsRawAndRestored(t *testing.T) {
	p := newPTY(t, 24, 80)
	before := p.state(t)
	sizes := make(chan string, 10)
	l := newLife(4, nil)
	l.tty = true
	l.talk = func(c net.Conn, r io.Reader) {
		if got := <-sizes; got != "h=24&w=80" {
			t.Errorf("size at the start: %s", got)
		}
		if err := linux.SetWinsize(int(p.slave.Fd()), 50, 132); err != nil {
			t.Error(err)
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGWINCH)
		if got := <-sizes; got != "h=50&w=132" {
			t.Errorf("size after the change: %s", got)
		}
		// ctrl-c is a key of the container's, not a signal here.
		p.typeRaw(t, before, "\x03")
		b := make([]byte, 1)
		if _, err := io.ReadFull(r, b); err != nil || b[0] != 3 {
			t.Errorf("read %q, %v", b, err)
		}
		io.WriteString(c, frame(1, "bye\r\n"))
	}
	f := newFake(t, l.routes())
	f.on("POST /containers/"+fullID+"/resize", func(_ http.ResponseWriter, r *http.Request) { sizes <- r.URL.RawQuery })
	if code := p.silo(f, "run", "-it", "core", "sh"); code != 4 {
		t.Errorf("exit code %d", code)
	}
	if got := <-p.lines; got != "bye" {
		t.Errorf("got %q", got)
	}
	sameState(t, before, p.state(t))
}

func TestTerminalDetach(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		keys string
		want string // what the container reads
	}{
		"default":  {nil, "ab\x10c\x10\x11", "ab\x10c"},
		"own keys": {[]string{"--detach-keys", "ctrl-x,x"}, "\x18\x18x", "\x18"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPTY(t, 24, 80)
			before := p.state(t)
			l := newLife(0, nil)
			l.tty = true
			l.talk = func(_ net.Conn, r io.Reader) {
				p.typeRaw(t, before, c.keys)
				got, _ := io.ReadAll(r)
				if string(got) != c.want {
					t.Errorf("the container read %q, want %q", got, c.want)
				}
			}
			f := newFake(t, l.routes())
			args := append(append([]string{"run", "-it"}, c.args...), "core", "sh")
			if code := p.silo(f, args...); code != 0 {
				t.Errorf("exit code %d", code)
			}
			<-l.ended
			sameState(t, before, p.state(t))
		})
	}
}

func TestTerminalWithoutSizeIsNotResized(t *testing.T) {
	p := newPTY(t, 0, 0)
	l := newLife(0, nil)
	l.tty = true
	l.talk = func(net.Conn, io.Reader) { time.Sleep(20 * time.Millisecond) }
	f := newFake(t, l.routes())
	if code := p.silo(f, "run", "-t", "core", "true"); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, c := range f.called() {
		if strings.Contains(c, "resize") {
			t.Errorf("called %s", c)
		}
	}
}

func TestTerminalProgress(t *testing.T) {
	p := newPTY(t, 24, 60)
	f := newFake(t, map[string]any{"POST /images/create": `{"status":"Pulling from library/a","id":"latest"}
{"status":"Downloading","id":"aaa","progressDetail":{"current":10,"total":100}}
{"status":"Downloading","id":"bbb","progressDetail":{"current":1000}}
{"status":"Downloading","id":"aaa","progressDetail":{"current":100,"total":100}}
{"status":"Pull complete","id":"aaa"}
{"status":"Status: Downloaded newer image for a:latest"}
`})
	if code := p.silo(f, "pull", "a"); code != 0 {
		t.Errorf("exit code %d", code)
	}
	var out strings.Builder
	for !strings.Contains(out.String(), "Status:") {
		out.WriteString(<-p.lines + "\n")
	}
	golden(t, "progress-terminal", strings.ReplaceAll(out.String(), "\x1b", "ESC"))
}

// program runs silo as a process of its own.
func program(f *fake, args ...string) *exec.Cmd {
	self, _ := os.Executable()
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "SILO_TEST_MAIN=1", "SILO_HOST=unix://"+f.socket)
	return cmd
}

func TestTerminalIsRestoredBySignals(t *testing.T) {
	p := newPTY(t, 24, 80)
	before := p.state(t)
	l := newLife(0, nil)
	l.tty = true
	process := make(chan *os.Process, 1)
	l.talk = func(_ net.Conn, r io.Reader) {
		p.typeRaw(t, before, "x")
		io.ReadFull(r, make([]byte, 1))
		(<-process).Signal(syscall.SIGTERM)
		io.Copy(io.Discard, r)
	}
	cmd := program(newFake(t, l.routes()), "run", "-it", "--sig-proxy=false", "core", "sh")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.slave, p.slave, p.slave
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	process <- cmd.Process
	err := cmd.Wait()
	e, ok := errors.AsType[*exec.ExitError](err)
	if !ok || e.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
		t.Errorf("ended with %v, want SIGTERM", err)
	}
	<-l.ended
	sameState(t, before, p.state(t))
}

func TestSignalsGoToTheContainer(t *testing.T) {
	l := newLife(143, nil)
	killed, process := make(chan string, 1), make(chan *os.Process, 1)
	l.talk = func(net.Conn, io.Reader) {
		(<-process).Signal(syscall.SIGTERM)
		if got := <-killed; got != "signal=15" {
			t.Errorf("killed with %s", got)
		}
	}
	f := newFake(t, l.routes())
	f.on("POST /containers/"+fullID+"/kill", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(204)
		killed <- r.URL.RawQuery
	})
	cmd := program(f, "run", "core", "sleep", "99")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	process <- cmd.Process
	err := cmd.Wait()
	if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != 143 {
		t.Errorf("ended with %v, want 143", err)
	}
}

func TestClosedPipeIsQuiet(t *testing.T) {
	f := newFake(t, nil)
	f.on("GET /containers/json", "["+strings.Repeat(`{"Id":"4cf3fe2a0b81","Names":["/x"],"Image":"core"},`, 5000)+`{"Id":"1"}]`)
	cmd := program(f, "ps")
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	var errs strings.Builder
	cmd.Stdout, cmd.Stderr = w, &errs
	err = cmd.Run()
	w.Close()
	if err == nil || errs.String() != "" {
		t.Errorf("ended with %v, said %q", err, errs.String())
	}
}

func TestDetachKeys(t *testing.T) {
	for s, want := range map[string]string{
		"": "\x10\x11", "ctrl-a": "\x01", "ctrl-@": "\x00", "ctrl-[": "\x1b", "ctrl-\\": "\x1c", "ctrl-]": "\x1d",
		"ctrl-^": "\x1e", "ctrl-_": "\x1f", "a,b": "ab", "ctrl-Z,q": "\x1aq",
	} {
		if got, err := detachKeys(s); err != nil || string(got) != want {
			t.Errorf("%q: got %q, %v; want %q", s, got, err, want)
		}
	}
	for _, s := range []string{"ctrl-", "ctrl-ab", "ab", "a,,b", "ctrl-1", "ctrl-!"} {
		if got, err := detachKeys(s); err == nil {
			t.Errorf("%q: got %q, want an error", s, got)
		}
	}
}

// TestKeyReader compares with a plain search, for every way to cut the input.
func TestKeyReader(t *testing.T) {
	keys := []byte("aab")
	for _, in := range []string{"", "a", "aa", "aab", "aaab", "aaaab", "xaaby", "ababab", "aaxaab", "baabaab"} {
		for size := 1; size <= 4; size++ {
			got, err := io.ReadAll(&keyReader{r: chunked{strings.NewReader(in), size}, keys: keys})
			want, _, found := strings.Cut(in, "aab")
			if found != errors.Is(err, errDetached) || string(got) != want {
				t.Errorf("%q by %d: got %q, %v; want %q, %v", in, size, got, err, want, found)
			}
		}
	}
}

// chunked reads a few bytes at a time.
type chunked struct {
	r io.Reader
	n int
}

func (c chunked) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.n)]) }
