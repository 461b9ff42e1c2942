package main

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"coretools.silo/dns"
)

var s2026 = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// server accepts one connection and hands it to f.
func server(t *testing.T, f func(net.Conn)) (host, port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		f(conn)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	host, port, err = net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// watcher does something once when it has seen something.
type watcher struct {
	text strings.Builder
	seen func(string) bool
	then func()
}

func (w *watcher) Write(p []byte) (int, error) {
	w.text.Write(p)
	if w.then != nil && w.seen(w.text.String()) {
		go w.then()
		w.then = nil
	}
	return len(p), nil
}

// telnet refuses options, passes text both ways, and lets quoted bytes be.
func TestTelnet(t *testing.T) {
	got := make(chan string, 1)
	host, port := server(t, func(conn net.Conn) {
		_, _ = conn.Write([]byte("\xff\xfb\x01\xff\xfd\x03hel\xff\xfa\x18\x01\xff\xf0lo \xff\xff\xff\xf1!"))
		all, err := io.ReadAll(conn)
		if err != nil {
			all = []byte(err.Error())
		}
		got <- string(all)
	})
	// The keyboard is used when the greeting has been read.
	keys, typed := io.Pipe()
	screen := &watcher{seen: func(text string) bool { return strings.Contains(text, "!") }, then: func() {
		_, _ = typed.Write([]byte("line\nla\xffst"))
		typed.Close()
	}}
	c := call{in: keys, out: screen, errs: screen, getenv: os.Getenv}
	code := c.do("telnet", []string{host, port})
	out := screen.text.String()
	if code != 0 || !strings.Contains(out, "Connected to "+host+":"+port) || !strings.Contains(out, "hello \xff!Connection closed.\n") {
		t.Errorf("exit %d\n%q", code, out)
	}
	sent := <-got
	for _, want := range []string{"\xff\xfe\x01", "\xff\xfc\x03", "line\r\n", "la\xff\xffst\r\n"} {
		if !strings.Contains(sent, want) {
			t.Errorf("%q was not sent: %q", want, sent)
		}
	}
}

func TestTelnetEscape(t *testing.T) {
	host, port := server(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	r, w := io.Pipe() // stays open: only the escape ends it
	defer w.Close()
	go func() { _, _ = w.Write([]byte("x\n\x1d\n")) }()
	var out strings.Builder
	c := call{in: r, out: &out, errs: &out, getenv: os.Getenv}
	if code := c.do("telnet", []string{host, port}); code != 0 || !strings.HasSuffix(out.String(), "Connection closed.\n") {
		t.Errorf("exit %d\n%s", code, out.String())
	}
}

func TestTelnetRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if _, errs, code := run(t, "", "", "telnet", host, port); code != 1 || errs != "telnet: connect to 127.0.0.1 port "+port+": connect: connection refused\n" {
		t.Errorf("exit %d %q", code, errs)
	}
}

// nameServer answers every question for an A record with 192.0.2.7, and that
// there is nothing else.
func nameServer(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			q, err := dns.ParseQuery(buf[:n])
			if err != nil {
				continue
			}
			m := dns.Refusal(buf[:n], dns.NoError)
			if q.Type == 1 {
				m[7] = 1
				m = append(m, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7)
			}
			_, _ = conn.WriteTo(m, from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr().String()
}

func TestNSLookup(t *testing.T) {
	at := nameServer(t)
	host, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	r := record(t, recorded)
	golden(t, r, "Server:\t\t"+host+"\nAddress:\t"+host+"#"+port+"\n\nName:\tx.example\nAddress: 192.0.2.7\n", "nslookup", "x.example", at)
	golden(t, r, "NAME       TYPE  ANSWER\nx.example  A     192.0.2.7\n", "nslookup", "x.example", at, "--table")
	out, _, code := run(t, r, "", "nslookup", "192.0.2.9", at)
	if code != 1 || !strings.Contains(out, "** can't find 192.0.2.9: no such host") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if _, errs, code := run(t, "/nowhere", "", "nslookup", "x"); code != 1 || !strings.Contains(errs, "no name server") {
		t.Errorf("no server: exit %d %q", code, errs)
	}
}

// Whoever reads may go away: that is no mistake and nothing is said.
func TestClosedPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	var errs strings.Builder
	c := call{root: record(t, recorded), out: w, errs: &errs, getenv: os.Getenv}
	if code := c.do("get-process", nil); code != 0 || errs.String() != "" {
		t.Errorf("exit %d %q", code, errs.String())
	}
	// As a program it ends by the signal, as all do.
	if os.Getenv("SYSBOX_TEST") == "pipe" {
		os.Exit(start([]string{"sysbox", "route", "print"}))
	}
	self := exec.Command(os.Args[0], "-test.run=TestClosedPipe")
	self.Env = append(os.Environ(), "SYSBOX_TEST=pipe")
	var said strings.Builder
	self.Stdout, self.Stderr = w, &said
	err = self.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGPIPE || said.String() != "" {
		t.Errorf("%v, said %q", err, said.String())
	}
}
