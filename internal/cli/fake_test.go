package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"silo/api"
	"silo/internal/testenv"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) {
	if os.Getenv("SILO_TEST_MAIN") == "1" { // run as the program, see program
		os.Exit(Main(os.Args[1:]))
	}
	os.Setenv("TZ", "UTC") // golden files hold times
	flag.Parse()
	testenv.Main(m)
}

// call is one request that the fake daemon got.
type call struct {
	Method, Path string
	Query        url.Values
	Header       http.Header
	Body         []byte
}

func (c call) String() string {
	s := c.Method + " " + c.Path
	if len(c.Query) > 0 {
		q, _ := url.QueryUnescape(c.Query.Encode())
		s += "?" + q
	}
	return s
}

// fake is a daemon that answers from a table, over a unix socket.
type fake struct {
	t      testing.TB
	socket string
	server *http.Server

	mu     sync.Mutex
	routes map[string]http.HandlerFunc // "METHOD /path", "METHOD /path*" for a prefix
	calls  []call
}

// newFake starts a daemon that knows the routes given as JSON or as handlers.
func newFake(t testing.TB, routes map[string]any) *fake {
	t.Helper()
	dir, err := os.MkdirTemp("", "silo-cli")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &fake{t: t, socket: filepath.Join(dir, "s"), routes: map[string]http.HandlerFunc{}}
	for k, v := range routes {
		f.on(k, v)
	}
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *fake) on(key string, v any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch v := v.(type) {
	case func(http.ResponseWriter, *http.Request):
		f.routes[key] = v
	case string:
		f.routes[key] = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, v) }
	case int:
		f.routes[key] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(v) }
	default:
		data, err := json.Marshal(v)
		if err != nil {
			f.t.Fatal(err)
		}
		f.routes[key] = func(w http.ResponseWriter, _ *http.Request) { w.Write(data) }
	}
}

func (f *fake) start() {
	l, err := net.Listen("unix", f.socket)
	if err != nil {
		f.t.Fatal(err)
	}
	f.server = &http.Server{Handler: f, ErrorLog: log.New(io.Discard, "", 0)}
	go f.server.Serve(l)
}

// stop cuts all connections, as a daemon that is killed.
func (f *fake) stop() { f.server.Close() }

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := []byte(nil)
	if r.Header.Get("Upgrade") == "" || r.ContentLength > 0 {
		body, _ = io.ReadAll(r.Body)
	}
	f.mu.Lock()
	f.calls = append(f.calls, call{r.Method, r.URL.Path, r.URL.Query(), r.Header, body})
	h := f.routes[r.Method+" "+r.URL.Path]
	for k, v := range f.routes {
		if prefix, ok := strings.CutSuffix(k, "*"); ok && h == nil && strings.HasPrefix(r.Method+" "+r.URL.Path, prefix) {
			h = v
		}
	}
	f.mu.Unlock()
	if h == nil {
		fail(w, 404, "no such thing: "+r.URL.Path)
		return
	}
	h(w, r)
}

// called gives the requests so far, as text.
func (f *fake) called() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for _, c := range f.calls {
		out = append(out, c.String())
	}
	return out
}

// body gives the body of the last request to a path.
func (f *fake) body(path string) []byte {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.calls) - 1; i >= 0; i-- {
		if f.calls[i].Path == path {
			return f.calls[i].Body
		}
	}
	return nil
}

// fail answers with Docker's error body.
func fail(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]string{"message": message})
}

// failing is a route that fails.
func failing(status int, message string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { fail(w, status, message) }
}

// hijacked makes a route that takes the connection over.
func hijacked(tty bool, talk func(net.Conn, io.Reader), headers ...string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		kind := "application/vnd.docker.multiplexed-stream"
		if tty {
			kind = "application/vnd.docker.raw-stream"
		}
		fmt.Fprintf(conn, "HTTP/1.1 101 UPGRADED\r\nContent-Type: %s\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n%s\r\n", kind, strings.Join(headers, ""))
		talk(conn, rw)
	}
}

// frame is output in Docker's framing; stream is 1 or 2.
func frame(stream byte, text string) string {
	return string([]byte{stream, 0, 0, 0, 0, 0, byte(len(text) >> 8), byte(len(text))}) + text
}

// endFrame tells an exit code.
func endFrame(code int) string { return frame(api.EndStream, string([]byte{0, 0, 0, byte(code)})) }

// result is the end of a command line.
type result struct {
	code     int
	out, err string
}

// silo runs a command line against the fake.
func (f *fake) silo(stdin string, args ...string) result {
	return f.siloEnv(nil, stdin, args...)
}

func (f *fake) siloEnv(env map[string]string, stdin string, args ...string) result {
	var out, errs lockedBuffer
	a := &app{in: strings.NewReader(stdin), out: &out, err: &errs, getenv: func(k string) string {
		if k == "SILO_HOST" {
			return "unix://" + f.socket
		}
		return env[k]
	}}
	code := a.run(context.Background(), args)
	return result{code, out.String(), errs.String()}
}

// lockedBuffer is a buffer that several goroutines write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// golden compares text with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}
