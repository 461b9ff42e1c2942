package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"coretools.silo/events"
	"coretools.silo/procfs"
)

// record lays out a tree of files.
func record(t *testing.T, files map[string]string) procfs.Root {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return procfs.Root(root)
}

// serve runs a server until the end of the test.
func serve(t *testing.T, l io.Closer, f func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	t.Cleanup(func() {
		l.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the server ended with %v", err)
		}
	})
}

func TestMapper(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	root := record(t, map[string]string{
		"etc/services": "epmap 135/tcp loc-srv # x\n# no\ndomain 53/udp\nbad\n",
		"proc/net/tcp": head + "0: 00000000:0087 00000000:0000 0A 0:0 0:0 0 0 0 1 1\n1: 0100007F:0050 00000000:0000 0A 0:0 0:0 0 0 0 2 1\n2: 0200610A:0087 0100610A:C000 01 0:0 0:0 0 0 0 3 1\n" +
			"3: 00000000:0087 00000000:0000 0A 0:0 0:0 0 0 0 4 1\n",
		"proc/net/udp": head + "0: 00000000:0035 00000000:0000 07 0:0 0:0 0 0 0 5 1\n",
	})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, l, func() error { return serveMapper(l, root) })
	for _, said := range []string{"", "GET / HTTP/1.0\r\n\r\n", strings.Repeat("x", 2*mapperIgnored)} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, said); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		conn.Close()
		var m mapping
		if err != nil || json.Unmarshal([]byte(line), &m) != nil {
			t.Fatalf("after %d bytes: %q %v", len(said), line, err)
		}
		want := []endpoint{{"tcp", "0.0.0.0", 135, "epmap"}, {"udp", "0.0.0.0", 53, "domain"}}
		if len(m.Endpoints) != 2 || m.Endpoints[0] != want[0] || m.Endpoints[1] != want[1] || m.Host == "" {
			t.Errorf("%+v, want %+v", m, want)
		}
	}
	// As many as may be connected say nothing: the next one is answered when
	// one of them goes.
	var held []net.Conn
	for range mapperClients + 1 {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, conn)
	}
	for _, conn := range held[:mapperClients] {
		conn.Close()
	}
	if _, err := bufio.NewReader(held[mapperClients]).ReadString('\n'); err != nil {
		t.Errorf("the one that waited: %v", err)
	}
	held[mapperClients].Close()
}

func newLogger(t *testing.T, dir string) *logger {
	t.Helper()
	store, err := events.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return &logger{store: store, now: time.Now, rates: map[int]*rate{}}
}

// The sender of an event is who sent it, whatever the message says.
func TestEventLog(t *testing.T) {
	dir := t.TempDir()
	l := newLogger(t, filepath.Join(dir, "log"))
	path := filepath.Join(dir, "socket")
	// A socket that nobody listens on any more makes room.
	old, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	conn, err := listenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := listenLog(path); err == nil || !strings.Contains(err.Error(), "another program takes messages there") {
		t.Errorf("a second log: %v", err)
	}
	serve(t, conn, func() error { return l.serve(conn) })
	out, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for _, text := range []string{"<11>app[1]: first", "\x00\xff", strings.Repeat("x", 40000)} {
		if _, err := io.WriteString(out, text); err != nil {
			t.Fatal(err)
		}
	}
	var all []events.Event
	for deadline := time.Now().Add(10 * time.Second); len(all) < 3 && time.Now().Before(deadline); {
		if all, err = events.Read(filepath.Join(dir, "log")); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) != 3 || all[0].Message != "first" || all[0].Source != "app" || all[0].PID != os.Getpid() || all[0].UID != os.Getuid() {
		t.Errorf("%+v", all)
	}
}

// A file in the socket's place is somebody's.
func TestEventLogLeavesFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenLog(path); err == nil {
		t.Error("took the place of a file")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "x" {
		t.Errorf("the file holds %q (%v)", data, err)
	}
}

func TestRate(t *testing.T) {
	dir := t.TempDir()
	l := newLogger(t, dir)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l.now = func() time.Time { return at }
	for range userBurst + 500 {
		l.take([]byte("flood"), 1, 7)
	}
	l.take([]byte("quiet"), 2, 8) // another user is not held back
	at = at.Add(time.Second)
	l.take([]byte("again"), 1, 7)
	all, err := events.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, e := range all {
		count[e.Message]++
	}
	if count["flood"] != userBurst || count["quiet"] != 1 || count["again"] != 1 || count["500 events of user 7 were left out: more than 200 a second"] != 1 {
		t.Errorf("%v", count)
	}
	for uid := range 3 * mostUsers {
		l.take([]byte("x"), 1, uid)
	}
	if len(l.rates) > mostUsers {
		t.Errorf("%d users are remembered, at most %d", len(l.rates), mostUsers)
	}
}

func TestEventQuery(t *testing.T) {
	dir := t.TempDir()
	l := newLogger(t, dir)
	for _, uid := range []int{os.Getuid(), os.Getuid() + 1, os.Getuid()} {
		l.take([]byte("x"), 1, uid)
	}
	path := filepath.Join(dir, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	done := make(chan error, 1)
	go func() { done <- serveQueries(listener, dir, time.Second) }()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(conn)
	conn.Close()
	want := 2
	if os.Getuid() == 0 {
		want = 3
	}
	if got := events.Decode(data); err != nil || len(got) != want {
		t.Errorf("%d events (%v), want %d", len(got), err, want)
	}
	if err := <-done; err != nil { // nobody asks any more
		t.Errorf("ended with %v", err)
	}
}

// Without the supervisor's socket, or with another's environment, it does not
// take any descriptor that happens to be open.
func TestPassedRefuses(t *testing.T) {
	for _, env := range [][2]string{{"", ""}, {"1", "1"}, {"x", "1"}} {
		t.Setenv("LISTEN_PID", env[0])
		t.Setenv("LISTEN_FDS", env[1])
		if _, err := passed(); err == nil {
			t.Errorf("%q: took a socket", env)
		}
	}
}

func TestNotify(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := ready(); err != nil {
		t.Errorf("without a supervisor: %v", err)
	}
	path := filepath.Join(t.TempDir(), "n")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	if err := ready(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := conn.Read(buf); err != nil || string(buf[:n]) != "READY=1" {
		t.Errorf("%q %v", buf[:n], err)
	}
}

func TestStart(t *testing.T) {
	for _, args := range [][]string{nil, {"svcbox"}, {"svcbox", "nothing"}, {"nothing"}} {
		if code := start(args); code != 2 {
			t.Errorf("%q: exit %d, want 2", args, code)
		}
	}
}
