package daemon

import (
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"silo/internal/errs"
	"silo/internal/linux"
)

func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "silo.sock")
	l, err := Listen("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(path)
	if err != nil || fi.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
	if _, err := Listen("unix://" + path); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "another daemon answers") {
		t.Errorf("second daemon: %v", err)
	}
	// A daemon that was killed leaves its socket.
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if l, err = Listen("unix://" + path); err != nil {
		t.Fatalf("stale socket: %v", err)
	}
	l.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix://" + path); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("file in the way: %v", err)
	}
}

func TestListenRefuses(t *testing.T) {
	for host, want := range map[string]string{
		"tcp://0.0.0.0:2375":  "give unix:///path or fd://",
		"/run/x.sock":         "give unix:///path or fd://",
		"unix://relative":     "give an absolute path",
		"fd://":               "no socket was handed over",
		"unix:///dev/null/x":  "not a directory",
		"unix:///proc/x/sock": "no such file or directory",
	} {
		if l, err := Listen(host); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v %v", host, l, err)
		}
	}
}

func TestPickFD(t *testing.T) {
	for _, tt := range []struct {
		which string
		n     int
		names []string
		want  int
	}{
		{"", 1, nil, 3},
		{"", 2, nil, 0},
		{"4", 2, nil, 4},
		{"5", 2, nil, 0},
		{"2", 2, nil, 0},
		{"api", 2, []string{"x", "api"}, 4},
		{"api", 1, []string{"x", "api"}, 0},
		{"nope", 2, []string{"x", "api"}, 0},
	} {
		if got, err := pickFD(tt.which, tt.n, tt.names); got != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("%q of %d: %d %v", tt.which, tt.n, got, err)
		}
	}
}

// dup gives a descriptor that nothing else will close.
func dup(t *testing.T, f *os.File) int {
	t.Helper()
	fd, err := syscall.Dup(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func TestListenFD(t *testing.T) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := fileListener(dup(t, f))
	if err != nil {
		t.Fatal(err)
	}
	if got.Addr().String() != l.Addr().String() {
		t.Errorf("listens on %v", got.Addr())
	}
	got.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	tf, err := tcp.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer tf.Close()
	if _, err := fileListener(dup(t, tf)); !errs.Is(err, errs.Invalid) {
		t.Errorf("a network socket: %v", err)
	}
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()+1))
	if _, err := Listen("fd://"); !errs.Is(err, errs.Invalid) {
		t.Errorf("sockets of another process: %v", err)
	}
}

func TestAccess(t *testing.T) {
	s := &Server{group: 900}
	none := &Server{group: -1}
	me := uint32(os.Geteuid())
	for _, tt := range []struct {
		s    *Server
		p    *linux.Peer
		want bool
	}{
		{s, &linux.Peer{UID: 0}, true},
		{s, &linux.Peer{UID: me}, true},
		{s, &linux.Peer{UID: 12345, GID: 12345}, false},
		{s, &linux.Peer{UID: 12345, GID: 900}, true},
		{s, &linux.Peer{UID: 12345, GID: 1, Groups: []uint32{4, 900}}, true},
		{none, &linux.Peer{UID: 12345, GID: 900, Groups: []uint32{900}}, false},
		{none, &linux.Peer{UID: 12345, GID: 0xffffffff, Groups: []uint32{0xffffffff}}, false},
		{s, nil, false},
	} {
		for _, rule := range []access{readAccess{}, writeAccess{}} {
			if err := rule.allow(tt.p, tt.s); (err == nil) != tt.want || err != nil && !errs.Is(err, errs.Forbidden) {
				t.Errorf("%+v: %v", tt.p, err)
			}
		}
		if err := (openAccess{}).allow(tt.p, tt.s); err != nil {
			t.Error(err)
		}
	}
}

// TestNoPeerNoAccess: a request that did not come through a unix socket gets
// no further than /_ping.
func TestNoPeerNoAccess(t *testing.T) {
	b := &stub{}
	s := NewServer(b, discard(), Build{})
	for _, r := range routes {
		path := strings.NewReplacer("{name}", "x", "{id}", "x", "{container}", "x").Replace(r.path)
		rec := httptest.NewRecorder()
		s.ServeHTTP(rec, httptest.NewRequest(r.method, path, nil))
		want := 403
		if r.path == "/_ping" {
			want = 200
		}
		if rec.Code != want {
			t.Errorf("%s %s: %d", r.method, path, rec.Code)
		}
	}
	if len(b.calls) > 0 {
		t.Errorf("the backend was asked: %v", b.calls)
	}
}

func TestPeerGroups(t *testing.T) {
	a, b, err := linux.Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	fa, fb := os.NewFile(uintptr(a), "a"), os.NewFile(uintptr(b), "b")
	defer fa.Close()
	defer fb.Close()
	p, err := linux.PeerOf(fa)
	if err != nil {
		t.Fatal(err)
	}
	groups, _ := os.Getgroups()
	if int(p.PID) != os.Getpid() || int(p.UID) != os.Geteuid() || len(p.Groups) != len(groups) {
		t.Errorf("%+v, groups %v", p, groups)
	}
}
