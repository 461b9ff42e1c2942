package dns

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/dns/dnsmessage"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var clients = netip.MustParsePrefix("172.16.0.0/20")

func names() *Names {
	n := NewNames()
	n.Set("1", netip.MustParseAddr("172.16.0.2"), "Web", "0123456789ab", "app")
	n.Set("2", netip.MustParseAddr("172.16.0.3"), "db", "app")
	return n
}

// question makes a query, with EDNS if size is not 0.
func question(t testing.TB, name string, typ dnsmessage.Type, size int) []byte {
	t.Helper()
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: 4711, RecursionDesired: true})
	check(t, b.StartQuestions())
	check(t, b.Question(dnsmessage.Question{Name: dnsmessage.MustNewName(name), Type: typ, Class: dnsmessage.ClassINET}))
	if size != 0 {
		check(t, b.StartAdditionals())
		var h dnsmessage.ResourceHeader
		check(t, h.SetEDNS0(size, 0, true))
		check(t, b.OPTResource(h, dnsmessage.OPTResource{}))
	}
	msg, err := b.Finish()
	check(t, err)
	return msg
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// show writes a reply as text: code, then the records.
func show(t testing.TB, msg []byte) string {
	t.Helper()
	if msg == nil {
		return "no reply"
	}
	var m dnsmessage.Message
	check(t, m.Unpack(msg))
	out := []string{strings.TrimPrefix(m.RCode.String(), "RCode")}
	if m.ID != 4711 || !m.Response {
		out = append(out, "wrong header "+m.GoString())
	}
	for _, r := range m.Answers {
		switch b := r.Body.(type) {
		case *dnsmessage.AResource:
			out = append(out, netip.AddrFrom4(b.A).String())
		case *dnsmessage.PTRResource:
			out = append(out, b.PTR.String())
		}
	}
	if len(m.Additionals) > 0 {
		out = append(out, "edns")
	}
	return strings.Join(out, " ")
}

func TestAnswer(t *testing.T) {
	n := names()
	for _, tt := range []struct {
		name string
		typ  dnsmessage.Type
		edns int
		want string
	}{
		{"web.", dnsmessage.TypeA, 0, "Success 172.16.0.2"},
		{"WEB.", dnsmessage.TypeA, 1232, "Success 172.16.0.2 edns"},
		{"0123456789ab.", dnsmessage.TypeA, 0, "Success 172.16.0.2"},
		{"app.", dnsmessage.TypeA, 0, "Success 172.16.0.2 172.16.0.3"},
		{"db.", dnsmessage.TypeALL, 0, "Success 172.16.0.3"},
		{"db.", dnsmessage.TypeAAAA, 0, "Success"},
		{"db.", dnsmessage.TypeMX, 0, "Success"},
		{"2.0.16.172.in-addr.arpa.", dnsmessage.TypePTR, 0, "Success web."},
		{"9.0.16.172.in-addr.arpa.", dnsmessage.TypePTR, 0, "NameError"},
		{"9.0.32.172.in-addr.arpa.", dnsmessage.TypePTR, 0, "forward"},
		{"x.9.0.16.172.in-addr.arpa.", dnsmessage.TypePTR, 0, "forward"},
		{"db.example.org.", dnsmessage.TypeA, 0, "forward"},
		{".", dnsmessage.TypeNS, 0, "forward"},
	} {
		reply, forward := answer(question(t, tt.name, tt.typ, tt.edns), n, clients)
		got := "forward"
		if !forward {
			got = show(t, reply)
		}
		if got != tt.want {
			t.Errorf("%s %s: got %q, want %q", tt.name, tt.typ, got, tt.want)
		}
	}
}

func TestAnswerToNonsense(t *testing.T) {
	good := question(t, "web.", dnsmessage.TypeA, 0)
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return b
	}
	for _, tt := range []struct {
		name  string
		query []byte
		want  string
	}{
		{"empty", nil, "no reply"},
		{"half a header", good[:7], "no reply"},
		{"a response", change(2, 0x80), "no reply"},
		{"another opcode", change(2, 5<<3), "NotImplemented"},
		{"no question", change(5, 0), "FormatError"},
		{"two questions", change(5, 2), "FormatError"},
		{"cut short", good[:len(good)-3], "FormatError"},
	} {
		reply, forward := answer(tt.query, names(), clients)
		if got := show(t, reply); got != tt.want || forward {
			t.Errorf("%s: got %q, forward %v, want %q", tt.name, got, forward, tt.want)
		}
	}
}

func TestNamesChange(t *testing.T) {
	n := names()
	n.Set("1", netip.MustParseAddr("172.16.0.9"), "api", "bad..name", strings.Repeat("x", 64))
	n.Clear("2")
	n.Clear("2")
	for name, want := range map[string]int{"web": 0, "app": 0, "api.": 1, "db": 0, "bad..name": 0} {
		if got := n.addresses(name); len(got) != want {
			t.Errorf("%s: %v, want %d addresses", name, got, want)
		}
	}
	if got := n.nameOf(netip.MustParseAddr("172.16.0.2")); got != "" {
		t.Errorf("old address still is %q", got)
	}
}

func TestReplyTo(t *testing.T) {
	q := question(t, "example.org.", dnsmessage.TypeA, 1232)
	good := refuse(q, dnsmessage.RCodeSuccess)
	bad := func(f func(b []byte)) []byte {
		b := bytes.Clone(good)
		f(b)
		return b
	}
	for _, tt := range []struct {
		name  string
		reply []byte
		want  bool
	}{
		{"good", good, true},
		{"other case", bad(func(b []byte) { copy(b[13:], "EXAMPLE") }), true},
		{"other number", bad(func(b []byte) { b[0]++ }), false},
		{"a query", bad(func(b []byte) { b[2] &= 0x7f }), false},
		{"other name", bad(func(b []byte) { b[14]++ }), false},
		{"other type", bad(func(b []byte) { b[len(b)-3]++ }), false},
		{"no question", bad(func(b []byte) { b[5] = 0 }), false},
		{"short", good[:11], false},
	} {
		if got := replyTo(q, tt.reply); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, name := range []string{"web.", "2.0.16.172.in-addr.arpa.", "."} {
		f.Add(question(f, name, dnsmessage.TypeA, 0))
		f.Add(question(f, name, dnsmessage.TypePTR, 512))
	}
	n := names()
	f.Fuzz(func(t *testing.T, query []byte) {
		reply, forward := answer(query, n, clients)
		if forward {
			if reply != nil {
				t.Error("a forwarded query has a reply")
			}
			reply = refuse(query, dnsmessage.RCodeServerFailure)
		}
		if reply == nil {
			return
		}
		var p dnsmessage.Parser
		h, err := p.Start(reply)
		if err != nil || !h.Response || len(query) < 2 || !bytes.Equal(query[:2], reply[:2]) {
			t.Errorf("bad reply % x to % x: %v", reply, query, err)
		}
		if err := p.SkipAllQuestions(); err != nil {
			t.Errorf("bad question in % x: %v", reply, err)
		}
	})
}

func FuzzReplyTo(f *testing.F) {
	q := question(f, "web.example.", dnsmessage.TypeA, 0)
	f.Add(q, refuse(q, 0))
	f.Fuzz(func(_ *testing.T, query, reply []byte) {
		if len(query) >= headerLen { // answer lets no less through
			replyTo(query, reply)
		}
	})
}

// server is a name server of the host, on a loopback address of its own.
type server struct {
	port    uint16
	asked   chan string
	handler func(query []byte) [][]byte
}

// upstreamAt serves UDP and TCP at an address until the test ends.
func upstreamAt(t *testing.T, ip string, port uint16, handler func(query []byte) [][]byte) *server {
	t.Helper()
	s := &server{asked: make(chan string, 100), handler: handler}
	at := netip.AddrPortFrom(netip.MustParseAddr(ip), port)
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	check(t, err)
	tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(netip.MustParseAddrPort(udp.LocalAddr().String())))
	check(t, err)
	s.port = netip.MustParseAddrPort(udp.LocalAddr().String()).Port()
	t.Cleanup(func() { udp.Close(); tcp.Close() })
	go func() {
		buf := make([]byte, maxMessage)
		for {
			n, from, err := udp.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			s.asked <- "udp"
			for _, r := range s.handler(buf[:n]) {
				udp.WriteToUDPAddrPort(r, from)
			}
		}
	}()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, maxMessage)
			if q, err := readTCP(c, buf); err == nil {
				s.asked <- "tcp"
				for _, r := range s.handler(q) {
					writeTCP(c, r)
				}
			}
			c.Close()
		}
	}()
	return s
}

// resolver runs a Server whose upstreams are at the given addresses.
func resolver(t *testing.T, port uint16, servers ...string) *Server {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	text := "# comment\nsearch example.org\noptions ndots:1\n"
	for _, s := range servers {
		text += "nameserver " + s + "\n"
	}
	check(t, os.WriteFile(conf, []byte(text), 0o600))
	l, err := net.Listen("tcp4", "127.0.0.53:0") // a port that is free
	check(t, err)
	check(t, l.Close())
	s, err := Listen(Config{
		Listen: netip.MustParseAddrPort(l.Addr().String()), Clients: netip.MustParsePrefix("127.0.0.0/8"),
		Names: names(), ResolvConf: conf, Log: slog.New(slog.DiscardHandler), port: port,
	})
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// ask asks a resolver.
func ask(t *testing.T, s *Server, network string, query []byte) []byte {
	t.Helper()
	addr := s.udp.LocalAddr()
	if network == "tcp" {
		addr = s.tcp.Addr()
	}
	c, err := net.Dial(network, addr.String())
	check(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, maxMessage)
	if network == "tcp" {
		check(t, writeTCP(c, query))
		reply, err := readTCP(c, buf)
		check(t, err)
		return reply
	}
	_, err = c.Write(query)
	check(t, err)
	n, err := c.Read(buf)
	check(t, err)
	return buf[:n]
}

// echo answers with a code and the query's own records, as they were.
func echo(code dnsmessage.RCode) func([]byte) [][]byte {
	return func(q []byte) [][]byte {
		r := bytes.Clone(q)
		r[2] |= 0x80
		r[3] |= byte(code)
		return [][]byte{r}
	}
}

func TestForward(t *testing.T) {
	port := upstreamAt(t, "127.0.0.61", 0, echo(0)).port
	upstreamAt(t, "127.0.0.62", port, func(q []byte) [][]byte {
		wrong := echo(0)(q)[0]
		wrong[0] ^= 0xff
		return [][]byte{{1, 2, 3}, wrong, echo(dnsmessage.RCodeNameError)(q)[0]}
	})
	upstreamAt(t, "127.0.0.63", port, echo(dnsmessage.RCodeServerFailure))
	for _, tt := range []struct {
		name    string
		servers []string
		want    string
	}{
		{"one server", []string{"127.0.0.61"}, "Success edns"},
		{"wrong answers before the right one", []string{"127.0.0.62"}, "NameError edns"},
		{"next after failure", []string{"127.0.0.63", "127.0.0.61"}, "Success edns"},
		{"next after nobody", []string{"127.0.0.69", "127.0.0.61"}, "Success edns"},
		{"only failure", []string{"127.0.0.63"}, "ServerFailure edns"},
		{"no server", nil, "ServerFailure"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := resolver(t, port, tt.servers...)
			q := question(t, "example.org.", dnsmessage.TypeA, 4096)
			if got := show(t, ask(t, s, "udp", q)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestBothTransports(t *testing.T) {
	up := upstreamAt(t, "127.0.0.64", 0, echo(0))
	s := resolver(t, up.port, "127.0.0.64")
	for _, network := range []string{"udp", "tcp"} {
		if got := show(t, ask(t, s, network, question(t, "web.", dnsmessage.TypeA, 0))); got != "Success 172.16.0.2" {
			t.Errorf("%s: %s", network, got)
		}
		q := question(t, "example.org.", dnsmessage.TypeA, 1400)
		if diff := cmp.Diff(echo(0)(q)[0], ask(t, s, network, q)); diff != "" {
			t.Errorf("%s: changed on the way: %s", network, diff)
		}
		if by := <-up.asked; by != network {
			t.Errorf("asked by %s, want %s", by, network)
		}
	}
}

func TestFollowsResolvConf(t *testing.T) {
	a := upstreamAt(t, "127.0.0.65", 0, echo(0))
	upstreamAt(t, "127.0.0.66", a.port, echo(dnsmessage.RCodeNameError))
	s := resolver(t, a.port, "127.0.0.65")
	q := question(t, "example.org.", dnsmessage.TypeA, 0)
	if got := show(t, ask(t, s, "udp", q)); got != "Success" {
		t.Fatal(got)
	}
	check(t, os.WriteFile(s.cfg.ResolvConf, []byte("nameserver 127.0.0.66"), 0o600))
	s.up.mu.Lock()
	s.up.checked = time.Time{} // as if a second had passed
	s.up.mu.Unlock()
	if got := show(t, ask(t, s, "udp", q)); got != "NameError" {
		t.Errorf("after the change: %s", got)
	}
}

func TestPrefersWhoAnswers(t *testing.T) {
	up := upstream{path: "/nonexistent", servers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort("127.0.0.1:2")}, stamp: "missing"}
	up.prefer(up.servers[1])
	if got := up.list()[0].Port(); got != 2 {
		t.Errorf("first is %d", got)
	}
	up.preferUntil = time.Time{}
	if got := up.list()[0].Port(); got != 1 {
		t.Errorf("later, first is %d", got)
	}
}

func TestStrangersGetNoAnswer(t *testing.T) {
	first := resolver(t, 53)
	check(t, first.Close())
	cfg := first.cfg
	cfg.Clients = clients
	s, err := Listen(cfg)
	check(t, err)
	defer s.Close()
	c, err := net.Dial("tcp", s.tcp.Addr().String())
	check(t, err)
	defer c.Close()
	writeTCP(c, question(t, "web.", dnsmessage.TypeA, 0))
	if data, _ := io.ReadAll(c); len(data) > 0 {
		t.Errorf("got % x", data)
	}
}

func TestSocketsOutliveTheServer(t *testing.T) {
	first := resolver(t, 53)
	udp, tcp, err := first.Files()
	check(t, err)
	at := netip.MustParseAddrPort(first.udp.LocalAddr().String())
	check(t, first.Close())
	// What comes while nobody serves waits.
	c, err := net.Dial("udp", at.String())
	check(t, err)
	defer c.Close()
	_, err = c.Write(question(t, "db.", dnsmessage.TypeA, 0))
	check(t, err)
	cfg := first.cfg
	cfg.UDP, cfg.TCP = udp, tcp
	second, err := Listen(cfg)
	check(t, err)
	defer second.Close()
	buf := make([]byte, 512)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	n, err := c.Read(buf)
	check(t, err)
	if got := show(t, buf[:n]); got != "Success 172.16.0.3" {
		t.Error(got)
	}
}

func TestQueryOfTooManyIsRefusedNotQueued(t *testing.T) {
	s := resolver(t, 53)
	for range maxForward {
		s.forward <- struct{}{}
	}
	c, err := net.Dial("udp", s.udp.LocalAddr().String())
	check(t, err)
	defer c.Close()
	// The forwarded one is dropped; the local one after it is answered.
	for _, name := range []string{"example.org.", "web."} {
		_, err := c.Write(question(t, name, dnsmessage.TypeA, 0))
		check(t, err)
	}
	buf := make([]byte, 512)
	c.SetDeadline(time.Now().Add(10 * time.Second))
	n, err := c.Read(buf)
	check(t, err)
	if got := show(t, buf[:n]); got != "Success 172.16.0.2" {
		t.Error(got)
	}
	for range maxForward {
		<-s.forward
	}
}

func TestExchangeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	u := upstream{path: "/nonexistent", stamp: "missing", servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53")}}
	if got := show(t, u.exchange(ctx, question(t, "example.org.", dnsmessage.TypeA, 0), false)); got != "ServerFailure" {
		t.Error(got)
	}
}
