package early_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"silo/internal/cli"
	"silo/internal/cli/early"
)

// catcher is a daemon that keeps each request and refuses it.
type catcher struct{ requests chan []byte }

// newCatcher starts one that the Go program in this process talks to.
func newCatcher(t testing.TB) *catcher {
	t.Helper()
	dir, err := os.MkdirTemp("", "silo-early")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	out, errs := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = null, null // what the Go program says; and it is no terminal
	c := &catcher{requests: make(chan []byte, 10)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.take(conn)
		}
	}()
	t.Cleanup(func() {
		os.Stdout, os.Stderr = out, errs
		l.Close()
		<-done
		null.Close()
		os.RemoveAll(dir)
	})
	t.Setenv("SILO_HOST", l.Addr().String())
	return c
}

func (c *catcher) take(conn net.Conn) {
	defer conn.Close()
	var all bytes.Buffer
	r, err := http.ReadRequest(bufio.NewReader(io.TeeReader(conn, &all)))
	if err != nil {
		return
	}
	io.Copy(io.Discard, r.Body)
	c.requests <- all.Bytes()
	io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
}

// compare sends args through the Go program if they are answered early, and
// compares the requests.
func (c *catcher) compare(t *testing.T, args []string) (answered bool) {
	t.Helper()
	got, ok := early.Request(append([]string{"silo"}, args...), 0, 0)
	if !ok {
		return false
	}
	got = forJSON(got)
	code := cli.Main(args)
	select {
	case want := <-c.requests:
		if !bytes.Equal(got, want) {
			t.Errorf("%q:\n got %q\nwant %q", args, got, want)
		}
	default:
		t.Errorf("%q: the Go program sends nothing and ends with %d, here it is\n%q", args, code, got)
	}
	if len(c.requests) > 0 {
		t.Errorf("%q: the Go program sends a second request\n%q", args, <-c.requests)
	}
	return true
}

var (
	textOnly = regexp.MustCompile(`(notrunc|quiet)=1&?|Accept: text/plain\r\n`)
	lastMark = regexp.MustCompile(`^(GET \S*)[?&] `)
)

// forJSON makes of a request for text the one for JSON, which the Go program
// sends: from that it makes the same text.
func forJSON(request []byte) []byte {
	return lastMark.ReplaceAll(textOnly.ReplaceAll(request, nil), []byte("$1 "))
}

// answered are command lines that are answered early.
var answered = []string{
	"run core", "run core true", "run --rm core true", "run core sh -c exit\u00a03", "run - x", "run core -d", "run core -- x", "run core  x",
	"run --rm --rm core", "run --name web core", "run --name=web_1.a-B core", "run --name a --name b core",
	"run -u 1:2 core", "run --user=root core", "run -u --rm core", "run -u  core", "run --user= core", "run -u a -u b core",
	"run -w /tmp core pwd", "run --workdir /tmp core", "run -h box core", "run --hostname=box core",
	"run -e A=1 -e B=2=3 --env C= --env=D=4 core env", "run -e A=1 -e A=2 core", "run -e \u00a0=1 core",
	"run --entrypoint /bin/sh core -c true", "run --entrypoint= core true", "run --entrypoint  core", "run --entrypoint a --entrypoint b core",
	"run --network none core", "run --network=host core", "run --network nat core",
	"run registry.example:5000/a/b:tag@sha256:00 x", "run core \"\\\t\x01\x1f\x7f<>&' é€\U0001f600\u2028",
	"exec web true", "exec -u 1 -w / -e A=1 web env", "exec --user=1 --workdir=/ --env=A=1 web ls -l", "exec _a.b-C x", "exec web -- x", "exec web -i",
	"ps", "ps -a", "ps --all", "ps -q", "ps --quiet", "ps -s", "ps --size", "ps --no-trunc", "ps -aq", "ps -qsa -a --no-trunc", "ps --no-trunc --size --quiet --all",
	"properties web", "properties 4cf3fe", "properties _a.b-C", "properties -",
}

// left are command lines that are left to the Go program: it knows better, or
// has something to say.
var left = []string{
	"", "run", "exec", "exec web", "container run core", "-H unix:///x run core", "run -H unix:///x core", "--host x run core",
	"run -it core", "run -d core", "run -i core", "run -t core", "run --rm=true core", "run --rm", "run -u", "run --user", "run -- core", "run -- -x",
	"run -e A core", "run -e =1 core", "run -e  core", "run -eA=1 core", "run -e=A=1 core", "run -uroot core", "run -u=root core", "run -wh /tmp core",
	"run --name  core", "run --name a/b core", "run --name .a core", "run --name a%20b core", "run --name é core",
	"run --network a --network b core", "run --net none core", "run --network container:x core", "run --network= core",
	"run -= core", "run --help core", "run --help", "run --Name a core", "run --=x core", "run ---name a core", "run ", "run  core", "run --pull never core",
	"exec --rm web x", "exec -h box web x", "exec --name a web x", "exec -it web sh", "exec ../x y", "exec a/b c", "exec  x", "exec é x", "exec --help web",
	"ps x", "ps ", "ps -", "ps --", "ps -n 1", "ps -l", "ps -ax", "ps -a=true", "ps --all=true", "ps -f a=b", "ps --format json", "ps --help", "ps -a -h", "list", "container ls", "-H /s ps",
	"properties", "properties ", "properties --", "properties -w", "properties -g system web", "properties web --json", "properties --diff web", "properties web x",
	"properties a/b", "properties .", "properties é", "properties a%20b",
	"run core \xff", "run \xc0\x80", "exec web a\xed\xa0\x80",
}

// words splits a line at each blank, so that two make an empty word.
func words(line string) []string { return strings.Split(line, " ") }

// TestSameRequest compares with the Go program, byte by byte.
func TestSameRequest(t *testing.T) {
	c := newCatcher(t)
	for _, line := range answered {
		if !c.compare(t, words(line)) {
			t.Errorf("%q is not answered early", line)
		}
	}
	for _, line := range left {
		if got, ok := early.Request(append([]string{"silo"}, words(line)...), 0, 0); ok {
			t.Errorf("%q is answered early:\n%q", line, got)
		}
	}
	many := slices.Repeat([]string{"-e", "A=1"}, 64)
	run := func(flags []string) []string { return slices.Concat([]string{"run"}, flags, []string{"core"}) }
	if !c.compare(t, run(many)) {
		t.Error("64 variables are not answered early")
	}
	if c.compare(t, run(append(many, "-e", "A=1"))) {
		t.Error("65 variables are answered early")
	}
	// Up to the last byte of the buffer, and beyond.
	fits, full := 0, 0
	for n := 32000; n < 33000; n++ {
		if _, ok := early.Request([]string{"silo", "run", "core", strings.Repeat("x", n)}, 0, 0); !ok {
			full++
			continue
		}
		if fits = n; full > 0 {
			t.Fatalf("%d bytes fit, fewer do not", n)
		}
	}
	if full == 0 || !c.compare(t, []string{"run", "core", strings.Repeat("x", fits)}) {
		t.Errorf("the longest that fits has %d bytes", fits)
	}
}

func FuzzSameRequest(f *testing.F) {
	for _, line := range slices.Concat(answered, left) {
		f.Add(strings.ReplaceAll(line, " ", "\x00"))
	}
	c := newCatcher(f)
	f.Fuzz(func(t *testing.T, line string) { c.compare(t, strings.Split(line, "\x00")) })
}
