package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"silo/client/container"
	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// serve gives a client of a net/http server: the other side is written by
// others, who follow the same standard.
func serve(t *testing.T, h http.HandlerFunc) (*Client, *atomic.Int32) {
	t.Helper()
	dir, err := os.MkdirTemp("", "silo-client")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	var conns atomic.Int32
	s := &http.Server{Handler: h, ConnState: func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}}
	go s.Serve(l)
	c, err := New("unix://" + filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close(); os.RemoveAll(dir) })
	return c, &conns
}

func TestBodies(t *testing.T) {
	big := strings.Repeat("0123456789", 100_000)
	c, conns := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "abc")
		case "/chunks":
			for part := range strings.SplitAfterSeq(big, "9") {
				io.WriteString(w, part)
			}
		case "/nothing":
			w.WriteHeader(204)
		case "/close":
			w.Header().Set("Connection", "close")
			io.WriteString(w, "bye")
		case "/echo":
			http.NewResponseController(w).EnableFullDuplex() // or the server throws the rest of the body away
			io.Copy(w, r.Body)
		}
	})
	for path, want := range map[string]string{"/length": "abc", "/chunks": big, "/nothing": "", "/close": "bye"} {
		body, err := c.stream(t.Context(), &request{method: "GET", path: path})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		body.Close()
		if err != nil || string(got) != want {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
	}
	before := conns.Load()
	for range 10 {
		body, err := c.stream(t.Context(), &request{method: "POST", path: "/echo", stream: strings.NewReader(big)})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		body.Close()
		if err != nil || string(got) != big {
			t.Fatalf("echo: %d bytes, %v", len(got), err)
		}
	}
	if n := conns.Load() - before; n > 1 {
		t.Errorf("%d connections for requests one after the other", n)
	}
}

// TestContainerTable: what a table shows is what the whole list says, and a list
// that is cut off is no shorter list.
func TestContainerTable(t *testing.T) {
	const one = `{"Id":"a","Names":["/x"],"Image":"i","ImageID":"d","Command":"c","Created":7,"Ports":[{"IP":"1.2.3.4","PrivatePort":1,"PublicPort":2,"Type":"tcp"}],` +
		`"SizeRw":3,"SizeRootFs":4,"Status":"Up","Labels":{"l":"[]"},"Mounts":[{"Name":"m"}]}`
	list := "[" + one + "," + strings.Replace(one, `"a"`, `"b"`, 1) + "]\n"
	for body, want := range map[string]int{list: 2, "[]\n": 0, "null\n": 0, list[:len(list)-2]: -1, list[:len(one)]: -1, "": -1, "[1]": -1, "x": -1} {
		c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, body) })
		var rows []*container.Summary
		err := c.ContainerTable(t.Context(), ListOptions{All: true}, func(s *container.Summary) { rows = append(rows, s) })
		if want < 0 {
			if err == nil {
				t.Errorf("%q is taken: %d rows", body, len(rows))
			}
			continue
		}
		if err != nil || len(rows) != want {
			t.Errorf("%q: %d rows, %v", body, len(rows), err)
			continue
		}
		all, err := c.Containers(t.Context(), ListOptions{All: true})
		if err != nil {
			t.Fatal(err)
		}
		for i := range all {
			all[i].Labels, all[i].Mounts = nil, nil
			if !reflect.DeepEqual(all[i], *rows[i]) {
				t.Errorf("row %d: %+v, want %+v", i, *rows[i], all[i])
			}
		}
	}
}

func TestErrors(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/containers/a/start":
			w.WriteHeader(304)
		case "/containers/b/start":
			w.WriteHeader(409)
			io.WriteString(w, `{"message":"in use"}`)
		case "/containers/c/start":
			w.WriteHeader(500)
		case "/containers/d/start":
			w.WriteHeader(502)
			io.WriteString(w, "not JSON\n")
		}
	})
	ctx := t.Context()
	if err := c.ContainerStart(ctx, "a"); err != nil {
		t.Errorf("not modified: %v", err)
	}
	for ref, want := range map[string]Error{
		"b": {409, "in use"}, "c": {500, "the daemon answered with status 500"}, "d": {502, "not JSON"},
	} {
		err := c.ContainerStart(ctx, ref)
		got, ok := errors.AsType[*Error](err)
		if !ok || *got != want {
			t.Errorf("%s: got %v, want %v", ref, err, want)
		}
	}
	if _, err := c.Containers(ctx, ListOptions{}); err == nil {
		t.Error("an empty answer is no list")
	}
}

func TestUnreachable(t *testing.T) {
	c, err := New("/nonexistent/s")
	if err != nil {
		t.Fatal(err)
	}
	called := 0
	c.OnUnreachable = func(cause error) error {
		called++
		if !errors.Is(cause, syscall.ENOENT) {
			t.Errorf("cause: %v", cause)
		}
		return nil
	}
	for range 2 {
		_, err = c.Info(t.Context())
		if !Unreachable(err) || err.Error() != "no daemon answers at unix:///nonexistent/s: is silod running?" {
			t.Errorf("got %v", err)
		}
	}
	if called != 1 {
		t.Errorf("OnUnreachable was called %d times", called)
	}
	for _, host := range []string{"tcp://x:1", "x", "unix://x", ""} {
		if _, err := New(host); err == nil {
			t.Errorf("%q is taken", host)
		}
	}
}

// TestDeadConnection drops the connection between two requests, as a daemon
// that is replaced.
// TestResume goes on with a request that was sent by others, whose answer was
// read in part. Its daemon was there: if it goes away, none is started.
func TestResume(t *testing.T) {
	c, err := New("unix:///nonexistent/s")
	if err != nil {
		t.Fatal(err)
	}
	c.OnUnreachable = func(err error) error { t.Errorf("OnUnreachable(%v)", err); return err }
	ends, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.Resume(ends[0], []byte("HTTP/1.1 101 UPGRADED\r\nSilo-Container: c1\r\n\r\n\x01\x00\x00\x00\x00\x00\x00\x05he"))
	if _, err := syscall.Write(ends[1], []byte("llo\x04\x00\x00\x00\x00\x00\x00\x04\x00\x00\x00\x07")); err != nil {
		t.Fatal(err)
	}
	syscall.Close(ends[1])
	s, err := c.ContainerRun(t.Context(), "", "", AttachOptions{}, &container.CreateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var out strings.Builder
	code, err := s.Copy(&out, io.Discard)
	if s.Container != "c1" || out.String() != "hello" || code != 7 || err != nil {
		t.Errorf("container %q, output %q, exit code %d, %v", s.Container, out.String(), code, err)
	}
	if _, err := c.ContainerRun(t.Context(), "", "", AttachOptions{}, &container.CreateRequest{}); !Unreachable(err) {
		t.Errorf("a second request: %v", err)
	}
}

func TestDeadConnection(t *testing.T) {
	n := 0
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 2 {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
			return
		}
		io.WriteString(w, "[]")
	})
	for range 2 {
		if _, err := c.Containers(t.Context(), ListOptions{}); err != nil {
			t.Error(err)
		}
	}
	n = 1
	if err := c.ContainerKill(t.Context(), "a", ""); !Unreachable(err) {
		t.Errorf("a POST is not repeated: %v", err)
	}
}

func TestCancel(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	w, err := c.ContainerWait(ctx, "a", container.WaitConditionNotRunning)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := w.Result(); !Unreachable(err) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Info(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestHijack(t *testing.T) {
	c, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "tcp" || r.Header.Get("Connection") != "Upgrade" {
			t.Errorf("headers %v", r.Header)
		}
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst ")
		in, _ := io.ReadAll(rw)
		conn.Write(in)
	})
	s, err := c.ContainerAttach(t.Context(), "a", AttachOptions{Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	io.WriteString(s, "then this")
	s.CloseWrite()
	if got, err := io.ReadAll(s); err != nil || string(got) != "first then this" {
		t.Errorf("got %q, %v", got, err)
	}
	if s.Multiplexed {
		t.Error("a raw stream is not multiplexed")
	}
}

// FuzzAnswer gives the reader of answers anything at all.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\n\nabc", "HTTP/1.1 204\r\n\r\n", "HTTP/1.1 101 UPGRADED\r\n\r\nraw",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		k := &conn{socket: nowhere{}, r: bufio.NewReader(strings.NewReader(string(data)))}
		resp, err := k.readHead(&request{method: "GET"})
		if err != nil {
			return
		}
		got, err := io.ReadAll(resp)
		if len(got) > len(data) {
			t.Errorf("%d bytes out of %d", len(got), len(data))
		}
		if want := resp.header["content-length"]; err == nil && resp.done && !resp.chunked && want != "" && resp.status != 204 && resp.status != 304 {
			if n := len(got); strings.TrimLeft(want, "0+") != strings.TrimLeft(strconv.Itoa(n), "0") {
				t.Errorf("read %d bytes of %s", n, want)
			}
		}
	})
}

// nowhere is a connection that is closed.
type nowhere struct{ socket }

func (nowhere) Close() error { return nil }
