package dns

import (
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// One client's connections do not keep out another's, and are closed beyond
// its share.
func TestConnectionsOfOneClient(t *testing.T) {
	s := resolver(t, 53)
	at := s.tcp.Addr().String()
	var open []net.Conn
	defer func() {
		for _, c := range open {
			c.Close()
		}
	}()
	dial := func(from string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
		c, err := d.Dial("tcp", at)
		check(t, err)
		open = append(open, c)
		return c
	}
	for range maxConnsEach {
		dial("127.0.0.1")
	}
	last := dial("127.0.0.1")
	check(t, last.SetDeadline(time.Now().Add(5*time.Second))) // before idleTime
	if n, err := last.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one connection too many is kept: %d, %v", n, err)
	}
	other := dial("127.0.0.2")
	check(t, writeTCP(other.(*net.TCPConn), question(t, "web.", 1, 0)))
	check(t, other.SetDeadline(time.Now().Add(10*time.Second)))
	if _, err := readTCP(other.(*net.TCPConn), make([]byte, maxMessage)); err != nil {
		t.Errorf("another client is kept out: %v", err)
	}
}
