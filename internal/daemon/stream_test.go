package daemon

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"

	"silo/internal/engine"
	"silo/internal/errs"
	"silo/internal/logfile"
)

// raw opens a connection and writes a request on it as it stands.
func (d *daemon) raw(t *testing.T, request string) *net.UnixConn {
	t.Helper()
	c, err := net.Dial("unix", d.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	return c.(*net.UnixConn)
}

// upcase is a container that sends back what it gets in capital letters, and
// closes when its input ends.
func upcase(multiplexed bool) func(h engine.Hijack) error {
	return func(h engine.Hijack) error {
		conn, buffered, err := h(multiplexed)
		if err != nil {
			return err
		}
		go func() { // the engine's call returns while the stream goes on
			defer conn.Close()
			in, _ := io.ReadAll(io.MultiReader(bytes.NewReader(buffered), conn))
			conn.Write(bytes.ToUpper(in))
		}()
		return nil
	}
}

// TestHijack takes both forms, with input sent before, with and after the
// request, which ends by closing one direction.
func TestHijack(t *testing.T) {
	const upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n"
	execBody := `{"Tty":false}`
	exec := func(path, headers, body string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: silo\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s", path, len(body), headers, body)
	}
	tests := []struct {
		name, request string
		multiplexed   bool
		status        string
		contentType   string
	}{
		{"attach upgrade", "POST /containers/web/attach?stream=1 HTTP/1.1\r\nHost: silo\r\n" + upgrade + "\r\n", true, "HTTP/1.1 101 UPGRADED", "application/vnd.docker.multiplexed-stream"},
		{"attach upgrade with a terminal", "POST /containers/web/attach?stream=1 HTTP/1.1\r\nHost: silo\r\n" + upgrade + "\r\n", false, "HTTP/1.1 101 UPGRADED", "application/vnd.docker.raw-stream"},
		{"attach upgrade before 1.42", "POST /v1.41/containers/web/attach?stream=1 HTTP/1.1\r\nHost: silo\r\n" + upgrade + "\r\n", true, "HTTP/1.1 101 UPGRADED", "application/vnd.docker.raw-stream"},
		{"attach plain", "POST /containers/web/attach?stream=1 HTTP/1.1\r\nHost: silo\r\n\r\n", true, "HTTP/1.1 200 OK", "application/vnd.docker.raw-stream"},
		{"exec upgrade", exec("/exec/e1/start", upgrade, execBody), true, "HTTP/1.1 101 UPGRADED", "application/vnd.docker.multiplexed-stream"},
		{"exec plain", exec("/exec/e1/start", "", execBody), true, "HTTP/1.1 200 OK", "application/vnd.docker.raw-stream"},
		{"exec chunked", "POST /exec/e1/start HTTP/1.1\r\nHost: silo\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", true, "HTTP/1.1 200 OK", "application/vnd.docker.raw-stream"},
	}
	for _, tt := range tests {
		for _, when := range []string{"at once", "later", "both"} {
			t.Run(tt.name+" "+when, func(t *testing.T) {
				d := start(t, &stub{})
				serve := upcase(tt.multiplexed)
				d.attach = func(_ context.Context, _ engine.AttachOptions, h engine.Hijack) error { return serve(h) }
				d.exec = func(_ context.Context, o engine.ExecStartOptions) error { return serve(o.Hijack) }
				request, input, want := tt.request, "", ""
				if when != "later" {
					request, want = request+"early ", "EARLY "
				}
				if when != "at once" {
					input, want = "late", want+"LATE"
				}
				c := d.raw(t, request)
				if when == "at once" {
					c.CloseWrite() // looks like hanging up
				}
				r := bufio.NewReader(c)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := resp.Proto + " " + resp.Status; got != tt.status || resp.Header.Get("Content-Type") != tt.contentType || resp.Header.Get("Api-Version") != MaxAPIVersion {
					t.Errorf("head: %s %v", got, resp.Header)
				}
				if input != "" {
					io.WriteString(c, input)
					c.CloseWrite()
				}
				got, err := io.ReadAll(r)
				if err != nil || string(got) != want {
					t.Errorf("got %q, want %q, %v", got, want, err)
				}
			})
		}
	}
}

// TestHijackGivesUnixSocket: the engine passes the descriptor on to another
// process, so it must be the bare connection.
func TestHijackGivesUnixSocket(t *testing.T) {
	d := start(t, &stub{})
	d.attach = func(_ context.Context, _ engine.AttachOptions, h engine.Hijack) error {
		conn, _, err := h(false)
		if err != nil {
			return err
		}
		u, ok := conn.(*net.UnixConn)
		if !ok {
			return fmt.Errorf("got %T", conn)
		}
		f, err := u.File()
		u.Close() // only the copy is left, as if another process had it
		if err == nil {
			go func() { defer f.Close(); f.WriteString("from the copy") }()
		}
		return err
	}
	c := d.raw(t, "POST /containers/web/attach HTTP/1.1\r\nHost: silo\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	got, _ := io.ReadAll(c)
	if !strings.HasSuffix(string(got), "\r\n\r\nfrom the copy") {
		t.Errorf("got %q", got)
	}
}

func TestErrorBeforeAndAfterHijack(t *testing.T) {
	d := start(t, &stub{})
	d.attach = func(context.Context, engine.AttachOptions, engine.Hijack) error {
		return errs.Conflictf("container web is paused")
	}
	const request = "POST /containers/web/attach HTTP/1.1\r\nHost: silo\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
	resp, err := http.ReadResponse(bufio.NewReader(d.raw(t, request)), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != 409 || string(body) != `{"message":"container web is paused"}`+"\n" {
		t.Errorf("before: %d %s", resp.StatusCode, body)
	}
	d.attach = func(_ context.Context, _ engine.AttachOptions, h engine.Hijack) error {
		conn, _, err := h(false)
		if err != nil {
			return err
		}
		conn.Write([]byte("mine"))
		conn.Close()
		return errs.Conflictf("too late")
	}
	got, _ := io.ReadAll(d.raw(t, request))
	if !strings.HasSuffix(string(got), "\r\n\r\nmine") {
		t.Errorf("after: %q", got)
	}
}

func logOf(t *testing.T, done <-chan struct{}, tty bool) (*logfile.Writer, func() (engine.LogSource, error)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log")
	w, err := logfile.NewWriter(path, logfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w, func() (engine.LogSource, error) {
		return engine.LogSource{Path: path, TTY: tty, Done: done}, nil
	}
}

func TestLogs(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 600, time.UTC)
	fill := func(w *logfile.Writer) {
		w.Write("stdout", at, []byte("one\n"))
		w.Write("stderr", at.Add(time.Second), []byte("two\n"))
		w.Write("stdout", at.Add(2*time.Second), []byte(strings.Repeat("x", 16<<10)+"yz\n"))
	}
	long := strings.Repeat("x", 16<<10) + "yz\n"
	const t1, t2, t3 = "2026-01-02T03:04:05.000000600Z ", "2026-01-02T03:04:06.000000600Z ", "2026-01-02T03:04:07.000000600Z "
	tests := []struct {
		query, out, err string
		tty             bool
	}{
		{"stdout=1&stderr=1", "one\n" + long, "two\n", false},
		{"stdout=1", "one\n" + long, "", false},
		{"stderr=1", "", "two\n", false},
		{"stdout=1&stderr=1&timestamps=1", t1 + "one\n" + t3 + long, t2 + "two\n", false},
		{"stdout=1&stderr=1&details=1", " one\n " + long, " two\n", false},
		{"stdout=1&stderr=1&tail=3", long, "two\n", false},
		{"stdout=1&stderr=1&tail=all", "one\n" + long, "two\n", false},
		{"stdout=1&stderr=1&tail=0", "", "", false},
		{fmt.Sprintf("stdout=1&stderr=1&since=%d.5&until=%d.5", at.Unix(), at.Unix()+1), "", "two\n", false},
		{"stdout=1&follow=1", "one\n" + long, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			done := make(chan struct{})
			close(done)
			w, logs := logOf(t, done, false)
			fill(w)
			d := start(t, &stub{logs: logs})
			resp, body := d.do(t, "GET", "/containers/web/logs?"+tt.query, "")
			if ct := resp.Header.Get("Content-Type"); ct != "application/vnd.docker.multiplexed-stream" {
				t.Error(ct)
			}
			var out, err bytes.Buffer
			if _, e := stdcopy.StdCopy(&out, &err, strings.NewReader(body)); e != nil {
				t.Fatal(e)
			}
			if diff := cmp.Diff([]string{tt.out, tt.err}, []string{out.String(), err.String()}); diff != "" {
				t.Error(diff)
			}
		})
	}
	w, logs := logOf(t, nil, true)
	w.Write("stdout", at, []byte("raw\r\n"))
	d := start(t, &stub{logs: logs})
	resp, body := d.do(t, "GET", "/containers/web/logs?stdout=1", "")
	if body != "raw\r\n" || resp.Header.Get("Content-Type") != "application/vnd.docker.raw-stream" {
		t.Errorf("%q %v", body, resp.Header)
	}
}

// TestFollowLogs: a line that is written shows at once, and the answer ends
// with the container.
func TestFollowLogs(t *testing.T) {
	done := make(chan struct{})
	w, logs := logOf(t, done, true)
	d := start(t, &stub{logs: logs})
	req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://silo/containers/web/logs?stdout=1&follow=1", nil)
	resp, err := d.client.Do(req) // the head comes although there is no line yet
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	for i := range 5 {
		w.Write("stdout", time.Now(), fmt.Appendf(nil, "line %d\n", i))
		if got, err := r.ReadString('\n'); err != nil || got != fmt.Sprintf("line %d\n", i) {
			t.Fatal(got, err)
		}
	}
	w.Write("stdout", time.Now(), []byte("the end"))
	w.Close()
	close(done)
	if got, err := io.ReadAll(r); err != nil || string(got) != "the end" {
		t.Errorf("%q %v", got, err)
	}
}

// TestWaitAnswersInTwoSteps: the head before the container ends, so that the
// client can start it in between.
func TestWaitAnswersInTwoSteps(t *testing.T) {
	result := make(chan engine.WaitResult)
	d := start(t, &stub{wait: func(context.Context) (<-chan engine.WaitResult, error) { return result, nil }})
	for _, tt := range []struct {
		result engine.WaitResult
		want   string
	}{
		{engine.WaitResult{ExitCode: 3}, `{"StatusCode":3}`},
		{engine.WaitResult{ExitCode: 137, Err: fmt.Errorf("it went away")}, `{"Error":{"Message":"it went away"},"StatusCode":137}`},
	} {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", "http://silo/containers/web/wait?condition=next-exit", nil)
		resp, err := d.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		result <- tt.result
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(body) != tt.want+"\n" {
			t.Errorf("%s %v", body, err)
		}
	}
}

// TestHangUp: whatever a client waits for, its leaving ends the work.
func TestHangUp(t *testing.T) {
	ended := make(chan string, 1)
	until := func(name string) func(ctx context.Context) {
		return func(ctx context.Context) { <-ctx.Done(); ended <- name }
	}
	b := &stub{}
	b.inspect = func(ctx context.Context) (container.InspectResponse, error) {
		until("inspect")(ctx)
		return container.InspectResponse{}, ctx.Err()
	}
	b.wait = func(ctx context.Context) (<-chan engine.WaitResult, error) {
		go until("wait")(ctx)
		return make(chan engine.WaitResult), nil
	}
	b.stats = func(ctx context.Context) <-chan container.StatsResponse {
		go until("stats")(ctx)
		return make(chan container.StatsResponse)
	}
	b.events = func(ctx context.Context) <-chan events.Message {
		go until("events")(ctx)
		return make(chan events.Message)
	}
	b.pull = func(ctx context.Context, _ Progress) error {
		until("pull")(ctx)
		return ctx.Err()
	}
	d := start(t, b)
	for path, want := range map[string]string{
		"GET /containers/web/json":             "inspect",
		"POST /containers/web/wait":            "wait",
		"GET /containers/web/stats":            "stats",
		"GET /events":                          "events",
		"POST /images/create?tag=1&fromImage=": "pull",
	} {
		c := d.raw(t, path+"x HTTP/1.1\r\nHost: silo\r\n\r\n")
		if want == "inspect" {
			c = d.raw(t, path+" HTTP/1.1\r\nHost: silo\r\n\r\n")
		} else if want != "pull" {
			c = d.raw(t, path+" HTTP/1.1\r\nHost: silo\r\n\r\n")
		}
		c.Close()
		if got := <-ended; got != want {
			t.Errorf("%s: %s ended", path, got)
		}
	}
	// Half a request, and none at all.
	d.raw(t, "POST /containers/create HTTP/1.1\r\nHost: silo\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{").Close()
	d.raw(t, "POST /contai").Close()
	d.raw(t, "").Close()
	if resp, _ := d.do(t, "GET", "/_ping", ""); resp.StatusCode != 200 {
		t.Error("the daemon does not answer any more")
	}
	if len(d.calls) != 0 {
		t.Errorf("half a request reached the backend: %v", d.calls)
	}
}

// TestShutdownEndsStreams: followers do not hold the daemon up, requests in
// progress are finished, and a connection that was given away lives on.
func TestShutdownEndsStreams(t *testing.T) {
	given := make(chan net.Conn, 1)
	inside, proceed := make(chan struct{}), make(chan struct{})
	b := &stub{
		wait:   func(context.Context) (<-chan engine.WaitResult, error) { return make(chan engine.WaitResult), nil },
		events: func(context.Context) <-chan events.Message { return make(chan events.Message) },
		attach: func(_ context.Context, _ engine.AttachOptions, h engine.Hijack) error {
			conn, _, err := h(false)
			given <- conn
			return err
		},
		inspect: func(context.Context) (container.InspectResponse, error) {
			close(inside)
			<-proceed
			return container.InspectResponse{ID: "finished"}, nil
		},
	}
	dir, err := os.MkdirTemp("", "silo")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	d := &daemon{stub: b, socket: dir + "/s"}
	d.srv = NewServer(b, discard(), Build{})
	l, err := Listen("unix://" + d.socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- d.srv.Serve(l) }()

	attached := d.raw(t, "POST /containers/web/attach HTTP/1.1\r\nHost: s\r\n\r\n")
	conn := <-given
	defer conn.Close()
	var heads []*bufio.Reader
	for _, request := range []string{"GET /events", "POST /containers/web/wait"} {
		r := bufio.NewReader(d.raw(t, request+" HTTP/1.1\r\nHost: s\r\n\r\n"))
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		heads = append(heads, r)
	}
	inspect := d.raw(t, "GET /containers/web/json HTTP/1.1\r\nHost: s\r\n\r\n")
	<-inside
	stopped := make(chan error)
	go func() { stopped <- d.srv.Shutdown(t.Context()) }()
	for _, r := range heads {
		if _, err := io.ReadAll(r); err != nil {
			t.Error(err)
		}
	}
	close(proceed)
	if got, _ := io.ReadAll(inspect); !strings.Contains(string(got), "finished") {
		t.Errorf("the request was cut: %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(d.socket); err == nil {
		t.Error("the socket is still there")
	}
	conn.Write([]byte("still here"))
	conn.Close()
	if got, _ := io.ReadAll(attached); !strings.HasSuffix(string(got), "still here") {
		t.Errorf("the attached stream broke: %q", got)
	}
}
