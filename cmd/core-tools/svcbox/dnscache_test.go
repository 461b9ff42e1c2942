package main

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"coretools.silo/dns"
)

// upstream is a name server that counts questions and answers as told.
type upstream struct {
	mu     sync.Mutex
	asked  int
	answer func(query []byte, tcp bool) [][]byte
}

func (u *upstream) take(query []byte, tcp bool) [][]byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.asked++
	return u.answer(query, tcp)
}

func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked
}

// start listens on UDP and TCP with one number and gives it.
func (u *upstream) start(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var wait sync.WaitGroup
	wait.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := p.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, m := range u.take(buf[:n], false) {
				_, _ = p.WriteTo(m, from)
			}
		}
	})
	wait.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if q, err := readFramed(conn); err == nil {
				for _, m := range u.take(q, true) {
					_ = writeFramed(conn, m)
				}
			}
			conn.Close()
		}
	})
	t.Cleanup(func() { l.Close(); p.Close(); wait.Wait() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// address is an answer with an A record.
func address(query []byte, ttl byte) []byte {
	m := dns.Refusal(query, dns.NoError)
	m[7] = 1
	return append(m, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 192, 0, 2, 7)
}

func ask(id uint16, name string) []byte {
	m := []byte{byte(id >> 8), byte(id), 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for l := range strings.SplitSeq(name, ".") {
		m = append(append(m, byte(len(l))), l...)
	}
	return append(m, 0, 0, 1, 0, 1)
}

func newServer(t *testing.T, u *upstream) (*cacheServer, *time.Time) {
	t.Helper()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	root := record(t, map[string]string{"etc/resolv.conf": "nameserver nonsense\nnameserver 127.0.0.53\nnameserver 127.0.0.1\n"})
	return &cacheServer{cache: newCache(func() time.Time { return now }), root: root, slots: make(chan struct{}, 4), port: u.start(t)}, &now
}

func TestCacheServer(t *testing.T) {
	u := &upstream{answer: func(q []byte, _ bool) [][]byte { return [][]byte{address(q, 60)} }}
	s, now := newServer(t, u)
	first := s.answer(ask(1, "Ex.org"), true)
	*now = now.Add(20 * time.Second)
	second := s.answer(ask(2, "eX.ORG"), true)
	if u.count() != 1 {
		t.Errorf("asked %d times for one name", u.count())
	}
	if dns.ID(second) != 2 || !strings.Contains(string(second), "eX\x03ORG") || dns.Lifetime(first) != 60 || dns.Lifetime(second) != 40 {
		t.Errorf("%x: %d seconds, then %x: %d", first, dns.Lifetime(first), second, dns.Lifetime(second))
	}
	*now = now.Add(40 * time.Second)
	if third := s.answer(ask(3, "ex.org"), true); u.count() != 2 || dns.Lifetime(third) != 60 {
		t.Errorf("after its time: asked %d times, %d seconds", u.count(), dns.Lifetime(third))
	}
	if m := s.answer([]byte{0, 9, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0}, true); dns.ID(m) != 9 || dns.Code(m) != dns.FormatError {
		t.Errorf("garbage: %x", m)
	}
	if m := s.answer([]byte("x"), true); m != nil {
		t.Errorf("what has no number is answered: %x", m)
	}
}

// What a server says that was not asked is not listened to; what is cut is
// asked again over TCP; what failed is not kept.
func TestCacheServerUpstream(t *testing.T) {
	u := &upstream{answer: func(q []byte, tcp bool) [][]byte {
		wrongID := address(q, 60)
		wrongID[0] ^= 1
		wrongName := address(q, 60)
		wrongName[13] ^= 1
		short := dns.Refusal(q, dns.NoError)
		short[2] |= 2 // cut
		if tcp {
			return [][]byte{address(q, 60)}
		}
		return [][]byte{wrongID, wrongName, []byte("x"), short}
	}}
	s, _ := newServer(t, u)
	if m := s.answer(ask(1, "a.b"), true); dns.Lifetime(m) != 60 || u.count() != 2 {
		t.Errorf("%x after %d questions", m, u.count())
	}
	u.answer = func(q []byte, _ bool) [][]byte { return [][]byte{dns.Refusal(q, dns.ServerFail)} }
	for range 2 {
		if m := s.answer(ask(2, "c.d"), true); dns.Code(m) != dns.ServerFail || dns.ID(m) != 2 {
			t.Errorf("%x", m)
		}
	}
	if u.count() != 4 {
		t.Errorf("asked %d times, want a failure to be asked again", u.count())
	}
	s.root = record(t, map[string]string{"etc/resolv.conf": "nameserver 127.0.0.53\n"})
	if m := s.answer(ask(3, "e.f"), true); dns.Code(m) != dns.ServerFail {
		t.Errorf("asked itself: %x", m)
	}
}

// Both ways in, and an answer too large for one of them.
func TestCacheServerSockets(t *testing.T) {
	u := &upstream{answer: func(q []byte, _ bool) [][]byte {
		m := address(q, 60)
		for range 40 {
			m[7]++
			m = append(m, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 8)
		}
		return [][]byte{m}
	}}
	s, _ := newServer(t, u)
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, packets, func() error { return s.servePackets(packets) })
	streams, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, streams, func() error { return s.serveStreams(streams) })
	conn, err := net.Dial("udp", packets.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(ask(5, "big.org")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2000)
	n, err := conn.Read(buf)
	if err != nil || !dns.Truncated(buf[:n]) || n > 512 || dns.ID(buf) != 5 {
		t.Errorf("over UDP: %x %v", buf[:n], err)
	}
	stream, err := net.Dial("tcp", streams.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	for id := range uint16(2) { // one connection, two questions
		if err := writeFramed(stream, ask(id, "big.org")); err != nil {
			t.Fatal(err)
		}
		m, err := readFramed(stream)
		if err != nil || dns.Truncated(m) || dns.ID(m) != id || dns.Lifetime(m) != 60 {
			t.Errorf("over TCP: %x %v", m, err)
		}
	}
	if u.count() != 1 {
		t.Errorf("asked %d times", u.count())
	}
}

func TestCacheBounds(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := newCache(func() time.Time { return now })
	m := func(ttl byte) []byte { return address(ask(1, "x.y"), ttl) }
	for i := range 5 * mostEntries {
		c.put(fmt.Sprint(i), m(60))
	}
	if len(c.entries) != mostEntries || c.get("0") != nil || c.get(fmt.Sprint(5*mostEntries-1)) == nil {
		t.Errorf("%d entries, want the newest %d", len(c.entries), mostEntries)
	}
	for range 10 * mostEntries { // the same one over and over
		c.put("same", m(60))
	}
	if len(c.order) > 2*mostEntries+1 {
		t.Errorf("%d names in the order", len(c.order))
	}
	c.put("none", m(0))
	c.put("long", append(m(60), make([]byte, mostEntry)...))
	if c.get("none") != nil || c.get("long") != nil {
		t.Error("kept what is not to be kept")
	}
	now = now.Add(time.Hour)
	for key := range c.entries {
		if c.get(key) != nil {
			t.Fatalf("%q holds for ever", key)
		}
	}
	if len(c.entries) != 0 || c.bytes != 0 {
		t.Errorf("%d entries and %d bytes left", len(c.entries), c.bytes)
	}
}
