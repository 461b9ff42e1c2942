package dns

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"silo/internal/linux"
)

// Bounds of a forwarded query: how long one server may take, how often the
// list is gone through, how long all of it may take, and how often the
// configuration may be looked at.
const (
	tryTime    = 2 * time.Second
	rounds     = 2
	totalTime  = 8 * time.Second
	checkEvery = time.Second
	// preferTime is how long the server that answered when the ones before it
	// did not is asked first.
	preferTime = 30 * time.Second
	maxServers = 8
)

// Upstreams reads the name servers of a resolver configuration, none if it
// cannot be read.
func Upstreams(path string) []netip.AddrPort { return upstreams(path, 53) }

func upstreams(path string, port uint16) []netip.AddrPort {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var list []netip.AddrPort
	for _, line := range strings.Split(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" || len(list) == maxServers {
			continue
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			list = append(list, netip.AddrPortFrom(a.Unmap(), port))
		}
	}
	return list
}

// upstream forwards queries to the host's name servers. The host asks them
// itself, so one on a loopback address (systemd-resolved) works as well.
type upstream struct {
	path string
	port uint16         // of the servers
	self netip.AddrPort // never asked: that would go round
	ns   *linux.FD

	mu          sync.Mutex
	servers     []netip.AddrPort
	stamp       string // of the configuration that servers is from
	checked     time.Time
	preferred   netip.AddrPort
	preferUntil time.Time
}

// list gives the servers to ask, in order.
func (u *upstream) list() []netip.AddrPort {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now := time.Now(); now.Sub(u.checked) >= checkEvery {
		u.checked = now
		stamp := "missing"
		if st, err := os.Stat(u.path); err == nil {
			stamp = fmt.Sprint(st.ModTime().UnixNano(), st.Size())
		}
		if stamp != u.stamp {
			u.stamp = stamp
			u.servers = slices.DeleteFunc(upstreams(u.path, u.port), func(a netip.AddrPort) bool { return a == u.self })
			u.preferUntil = time.Time{}
		}
	}
	list := slices.Clone(u.servers)
	if i := slices.Index(list, u.preferred); i > 0 && time.Now().Before(u.preferUntil) {
		list = slices.Insert(slices.Delete(list, i, i+1), 0, u.preferred)
	}
	return list
}

// exchange asks the servers one after the other until one gives an answer; a
// server that cannot answer (SERVFAIL, REFUSED, NOTIMP) is passed over while
// there is another. No server or no answer gives SERVFAIL.
func (u *upstream) exchange(ctx context.Context, query []byte, tcp bool) []byte {
	ctx, cancel := context.WithTimeout(ctx, totalTime)
	defer cancel()
	var poor []byte
	for range rounds {
		for i, server := range u.list() {
			if ctx.Err() != nil {
				break
			}
			reply, err := u.ask(ctx, server, query, tcp)
			if err != nil {
				continue
			}
			switch dnsmessage.RCode(reply[3] & 0xf) {
			case dnsmessage.RCodeServerFailure, dnsmessage.RCodeRefused, dnsmessage.RCodeNotImplemented:
				poor = reply
				continue
			}
			if i > 0 {
				u.prefer(server)
			}
			return reply
		}
		if poor != nil {
			return poor // asking again would not help
		}
	}
	return refuse(query, dnsmessage.RCodeServerFailure)
}

func (u *upstream) prefer(server netip.AddrPort) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.preferred != server || time.Now().After(u.preferUntil) {
		u.preferred, u.preferUntil = server, time.Now().Add(preferTime)
	}
}

// ask sends a query to one server under a random number, from a random port of
// a connected socket, and takes only an answer to it. The reply bears the
// client's number.
func (u *upstream) ask(ctx context.Context, server netip.AddrPort, query []byte, tcp bool) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	network := "udp"
	if tcp {
		network = "tcp"
	}
	var c net.Conn
	err := linux.InNetNS(u.ns, func() (err error) {
		var d net.Dialer
		c, err = d.DialContext(ctx, network, server.String())
		return err
	})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	asked := slices.Clone(query)
	if _, err := rand.Read(asked[:2]); err != nil {
		return nil, err
	}
	if tcp {
		err = writeTCP(c, asked)
	} else {
		_, err = c.Write(asked)
	}
	if err != nil {
		return nil, err
	}
	buf := make([]byte, maxMessage)
	for {
		var reply []byte
		if tcp {
			reply, err = readTCP(c, buf)
		} else {
			var n int
			n, err = c.Read(buf)
			reply = buf[:n]
		}
		if err != nil {
			return nil, err
		}
		if replyTo(asked, reply) {
			copy(reply, query[:2])
			return reply, nil
		}
		if tcp {
			return nil, errNotOurs
		}
	}
}

var errNotOurs = errors.New("the answer is not to our question")

// maxMessage is the largest DNS message in bytes.
const maxMessage = 65535

func writeTCP(w io.Writer, msg []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...))
	return err
}

func readTCP(r io.Reader, buf []byte) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, buf[:n])
	return buf[:n], err
}
