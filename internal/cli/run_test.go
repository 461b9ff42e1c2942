package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"silo/api"
	"silo/client/container"
)

const fullID = "4cf3fe2a0b81a4e1c7e14e5a9fd4e1b2e7a14c8f0b7d6c5a4b3c2d1e0f9a8b7c"

// life is the routes of one container that runs to its end.
type life struct {
	tty     bool
	code    int
	header  string // of the answer to run
	lost    bool   // a stream of run ends without the exit code
	talk    func(net.Conn, io.Reader)
	started chan struct{}
	ended   chan struct{}
}

func newLife(code int, talk func(net.Conn, io.Reader)) *life {
	return &life{code: code, talk: talk, started: make(chan struct{}), ended: make(chan struct{})}
}

func (l *life) routes() map[string]any {
	return map[string]any{
		"POST /silo/run": hijacked(l.tty, func(c net.Conn, r io.Reader) {
			l.talk(c, r)
			close(l.ended)
			if !l.lost {
				io.WriteString(c, endFrame(l.code))
			}
		}, api.ContainerHeader+": "+fullID+"\r\n", l.header),
		"POST /containers/create": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(201)
			json.NewEncoder(w).Encode(container.CreateResponse{ID: fullID})
		},
		"POST /containers/" + fullID + "/attach": hijacked(l.tty, func(c net.Conn, r io.Reader) {
			<-l.started
			l.talk(c, r)
			close(l.ended)
		}),
		"POST /containers/" + fullID + "/wait": func(w http.ResponseWriter, _ *http.Request) {
			w.(http.Flusher).Flush()
			<-l.ended
			fmt.Fprintf(w, `{"StatusCode":%d}`, l.code)
		},
		"POST /containers/" + fullID + "/start": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(204)
			close(l.started)
		},
	}
}

func TestRunStreamsAndExitCode(t *testing.T) {
	l := newLife(7, func(c net.Conn, r io.Reader) {
		in, _ := io.ReadAll(r) // ends only if silo closes its half
		io.WriteString(c, frame(1, "got "+string(in)))
		io.WriteString(c, frame(2, "oops\n"))
	})
	l.header = api.WarningsHeader + ": [\"mind the gap\"]\r\n"
	f := newFake(t, l.routes())
	got := f.silo("hello", "run", "-i", "--rm", "core", "cat")
	if d := cmp.Diff(result{7, "got hello", "WARNING: mind the gap\noops\n"}, got, cmp.AllowUnexported(result{})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"POST /silo/run?stderr=1&stdin=1&stdout=1"}, f.called()); d != "" {
		t.Error(d)
	}
}

// TestRunWithCIDFile takes Docker's steps: the file is written before anything
// runs.
func TestRunWithCIDFile(t *testing.T) {
	l := newLife(7, func(c net.Conn, r io.Reader) {
		in, _ := io.ReadAll(r)
		io.WriteString(c, frame(1, "got "+string(in)))
	})
	f := newFake(t, l.routes())
	cid := filepath.Join(t.TempDir(), "cid")
	got := f.silo("hello", "run", "-i", "--rm", "--cidfile", cid, "core", "cat")
	if d := cmp.Diff(result{7, "got hello", ""}, got, cmp.AllowUnexported(result{})); d != "" {
		t.Error(d)
	}
	if data, err := os.ReadFile(cid); string(data) != fullID {
		t.Errorf("cidfile holds %q, %v", data, err)
	}
	calls := f.called()
	slices.Sort(calls[1:3]) // attach and wait go at the same time
	want := []string{
		"POST /containers/create",
		"POST /containers/" + fullID + "/attach?stderr=1&stdin=1&stdout=1&stream=1",
		"POST /containers/" + fullID + "/wait?condition=removed",
		"POST /containers/" + fullID + "/start",
	}
	if d := cmp.Diff(want, calls); d != "" {
		t.Error(d)
	}
}

func TestRunOutputOnlyDoesNotReadInput(t *testing.T) {
	l := newLife(0, func(c net.Conn, r io.Reader) {
		in, _ := io.ReadAll(r)
		io.WriteString(c, frame(1, fmt.Sprintf("%d bytes\n", len(in))))
	})
	f := newFake(t, l.routes())
	got := f.silo("not for it", "run", "core", "true")
	if d := cmp.Diff(result{0, "0 bytes\n", ""}, got, cmp.AllowUnexported(result{})); d != "" {
		t.Error(d)
	}
}

func TestRunDetached(t *testing.T) {
	l := newLife(0, nil)
	f := newFake(t, l.routes())
	cid := filepath.Join(t.TempDir(), "cid")
	got := f.silo("", "run", "-d", "--name", "web", "--cidfile", cid, "core", "httpd")
	if got.code != 0 || got.out != fullID+"\n" {
		t.Errorf("got %+v", got)
	}
	if data, err := os.ReadFile(cid); string(data) != fullID {
		t.Errorf("cidfile holds %q, %v", data, err)
	}
	if got := f.silo("", "run", "-d", "--cidfile", cid, "core"); got.code != 125 || !strings.Contains(got.err, "exists") {
		t.Errorf("a cidfile that exists: %+v", got)
	}
	var r container.CreateRequest
	if err := json.Unmarshal(f.body("/containers/create"), &r); err != nil {
		t.Fatal(err)
	}
	if r.AttachStdout || r.AttachStderr || r.AttachStdin {
		t.Error("a detached container asks for streams")
	}
}

func TestRunExitCodes(t *testing.T) {
	cid := filepath.Join(t.TempDir(), "cid")
	for name, c := range map[string]struct {
		args   []string
		create any
		start  any
		code   int
		err    string
	}{
		"unknown flag":        {args: []string{"run", "--foo", "core"}, code: 125, err: "unknown flag: --foo\nSee 'silo run --help'."},
		"no image":            {args: []string{"run"}, code: 1, err: "takes at least 1 argument"},
		"rm and restart":      {args: []string{"run", "--rm", "--restart", "always", "core"}, code: 125, err: "--rm does not go with --restart"},
		"detach and attach":   {args: []string{"run", "-d", "-a", "stdout", "core"}, code: 125, err: "--detach does not go with --attach"},
		"tty without one":     {args: []string{"run", "-it", "core"}, code: 125, err: "the input device is not a TTY"},
		"bad detach keys":     {args: []string{"run", "--detach-keys", "ctrl-1", "core"}, code: 125, err: "ctrl-1"},
		"bad memory":          {args: []string{"run", "-m", "lots", "core"}, code: 125, err: `"lots" is not a size`},
		"name in use":         {args: []string{"run", "--name", "web", "core"}, create: failing(409, "name web is in use"), code: 125, err: "name web is in use"},
		"never pulled":        {args: []string{"run", "--pull", "never", "nope"}, create: failing(404, "no such image: nope"), code: 125, err: "no such image"},
		"failed, no cidfile":  {args: []string{"run", "--cidfile", cid, "core"}, create: failing(500, "disk full"), code: 125, err: "disk full"},
		"command not found":   {args: []string{"run", "core", "nope"}, start: failing(400, `exec "nope": executable file not found in $PATH`), code: 127, err: "not found"},
		"not executable":      {args: []string{"run", "core", "/etc"}, start: failing(400, `exec "/etc": permission denied`), code: 126, err: "permission denied"},
		"start fails":         {args: []string{"run", "-d", "core"}, start: failing(500, "no free loop device"), code: 125, err: "no free loop device"},
		"daemon gone":         {args: []string{"-H", "unix:///nonexistent/s", "run", "core"}, code: 125, err: "no daemon answers at unix:///nonexistent/s"},
		"ps, daemon gone":     {args: []string{"-H", "unix:///nonexistent/s", "ps"}, code: 1, err: "no daemon answers"},
		"not a unix socket":   {args: []string{"-H", "tcp://h:1", "ps"}, code: 1, err: "only unix sockets"},
		"unknown command":     {args: []string{"imagse"}, code: 1, err: `unknown command "imagse": did you mean `},
		"unknown subcommand":  {args: []string{"volume", "what"}, code: 1, err: `unknown command "volume what"`},
		"unknown flag of ps":  {args: []string{"ps", "--foo"}, code: 125, err: "unknown flag: --foo"},
		"one too many":        {args: []string{"ps", "x"}, code: 1, err: "takes no arguments"},
		"exec without tty":    {args: []string{"exec", "-it", "c", "sh"}, code: 1, err: "not a TTY"},
		"exec of nothing":     {args: []string{"exec", "gone", "true"}, code: 1, err: "no such thing"},
		"bad template":        {args: []string{"events", "--format", "{{.Nope"}, code: 1, err: "--format"},
		"bad since":           {args: []string{"events", "--since", "someday"}, code: 1, err: `--since "someday"`},
		"attach to exited":    {args: []string{"attach", "exited"}, code: 1, err: "does not run"},
		"negative stop time":  {args: []string{"stop", "-t", "-5", "web"}, code: 1, err: "--timeout -5"},
		"update of nothing":   {args: []string{"update", "web"}, code: 1, err: "no change"},
		"import of no file":   {args: []string{"import", "/nonexistent.tar"}, code: 1, err: "/nonexistent.tar"},
		"tag with a digest":   {args: []string{"tag", "core", "a@sha256:00"}, code: 1, err: "digest"},
		"push to a platform?": {args: []string{"push", "--platform", "linux", "core"}, code: 1, err: "OS/ARCHITECTURE"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLife(0, func(net.Conn, io.Reader) {})
			f := newFake(t, l.routes())
			f.on("GET /containers/exited/json", `{"State":{"Status":"exited"},"Config":{}}`)
			if c.create != nil {
				f.on("POST /containers/create", c.create)
				f.on("POST /silo/run", c.create)
			}
			if c.start != nil {
				f.on("POST /silo/run", c.start)
				f.on("POST /containers/"+fullID+"/start", func(w http.ResponseWriter, r *http.Request) {
					c.start.(func(http.ResponseWriter, *http.Request))(w, r)
					close(l.started)
				})
			}
			got := f.silo("", c.args...)
			if got.code != c.code || !strings.Contains(got.err, c.err) {
				t.Errorf("got %d, %q; want %d, %q", got.code, got.err, c.code, c.err)
			}
			if _, err := os.Stat(cid); err == nil {
				t.Error("the cidfile of a failed create is there")
			}
		})
	}
}

func TestRunPullsMissingImage(t *testing.T) {
	l := newLife(0, func(c net.Conn, _ io.Reader) { io.WriteString(c, frame(1, "ran\n")) })
	f := newFake(t, l.routes())
	tries := 0
	run := l.routes()["POST /silo/run"].(func(http.ResponseWriter, *http.Request))
	f.on("POST /silo/run", func(w http.ResponseWriter, r *http.Request) {
		if tries++; tries == 1 {
			fail(w, 404, "no such image: debian:12")
			return
		}
		run(w, r)
	})
	f.on("POST /images/create", `{"status":"Pulling fs layer","id":"abc"}
{"status":"Downloading","id":"abc","progressDetail":{"current":1,"total":2}}
{"status":"Downloading","id":"abc","progressDetail":{"current":2,"total":2}}
{"status":"Pull complete","id":"abc"}
{"status":"Digest: sha256:00"}
`)
	got := f.silo("", "run", "debian:12")
	if got.code != 0 || got.out != "ran\n" {
		t.Errorf("got %+v", got)
	}
	golden(t, "run-pull", got.err)
	if calls := f.called(); calls[1] != "POST /images/create?fromImage=debian&tag=12" {
		t.Errorf("calls: %v", calls)
	}
}

func TestRunPullFails(t *testing.T) {
	f := newFake(t, map[string]any{
		"POST /silo/run":      failing(404, "no such image: nope"),
		"POST /images/create": `{"status":"Pulling"}` + "\n" + `{"errorDetail":{"message":"manifest unknown"},"error":"manifest unknown"}`,
	})
	got := f.silo("", "run", "-q", "nope")
	if got.code != 125 || got.err != "silo: manifest unknown\n" {
		t.Errorf("got %+v", got)
	}
}

// TestRunOverDaemonRestart loses the daemon, and then the stream without its
// exit code.
func TestRunOverDaemonRestart(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		wait any
		want result
	}{
		"code known":    {[]string{"run", "core"}, `{"StatusCode":3}`, result{3, "before after", ""}},
		"removed, lost": {[]string{"run", "--rm", "core"}, failing(404, "no such container"), result{125, "before after", "silo: the container was removed while the daemon was away: its exit code is not known\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLife(0, nil)
			l.lost = true
			var f *fake
			l.talk = func(conn net.Conn, _ io.Reader) {
				io.WriteString(conn, frame(1, "before "))
				f.stop() // a hijacked connection is no longer the server's
				os.Remove(f.socket)
				f.on("POST /containers/"+fullID+"/wait", c.wait)
				time.Sleep(30 * time.Millisecond)
				f.start()
				io.WriteString(conn, frame(1, "after"))
			}
			f = newFake(t, l.routes())
			if d := cmp.Diff(c.want, f.silo("", c.args...), cmp.AllowUnexported(result{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestExec(t *testing.T) {
	asked := 0
	f := newFake(t, map[string]any{
		"POST /containers/web/exec": `{"Id":"e1"}`,
		"POST /silo/exec/web": hijacked(false, func(c net.Conn, r io.Reader) {
			in, _ := io.ReadAll(r)
			io.WriteString(c, frame(1, strings.ToUpper(string(in)))+endFrame(5))
		}, api.ExecHeader+": e1\r\n"),
		"GET /exec/e1/json": func(w http.ResponseWriter, _ *http.Request) {
			if asked++; asked < 3 {
				io.WriteString(w, `{"ID":"e1","Running":true}`)
				return
			}
			io.WriteString(w, `{"ID":"e1","Running":false,"ExitCode":6}`)
		},
	})
	got := f.silo("abc", "exec", "-i", "-e", "A=1", "-w", "/tmp", "-u", "nobody", "web", "tr", "a-z", "A-Z")
	if d := cmp.Diff(result{5, "ABC", ""}, got, cmp.AllowUnexported(result{})); d != "" {
		t.Error(d)
	}
	golden(t, "exec-body", string(f.body("/silo/exec/web"))+"\n")
	f.on("POST /silo/exec/web", hijacked(false, func(net.Conn, io.Reader) {}, api.ExecHeader+": e1\r\n"))
	if got := f.silo("", "exec", "web", "true"); got.code != 6 || asked != 3 {
		t.Errorf("a stream without an exit code: %+v, asked %d times", got, asked)
	}
	for _, tt := range []struct {
		status int
		text   string
		code   int
	}{
		{400, "executable file not found in $PATH", 127},
		{400, `exec "/etc": permission denied`, 126},
		{400, "user x: unable to find it", 126},
		{409, "the container is paused", 1},
		{500, "permission denied", 1},
	} {
		f.on("POST /silo/exec/web", failing(tt.status, tt.text))
		if got := f.silo("", "exec", "web", "nope"); got.code != tt.code {
			t.Errorf("%d %s: %+v, want %d", tt.status, tt.text, got, tt.code)
		}
	}
	f.on("POST /exec/e1/start", 200)
	if got := f.silo("", "exec", "-d", "web", "sleep", "9"); got != (result{0, "", ""}) {
		t.Errorf("got %+v", got)
	}
}
