package main

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
	"time"

	"coretools.silo/dns"
	"coretools.silo/procfs"
)

const (
	cacheAddress = "127.0.0.53:53"
	cacheQueries = 64 // at once; more are left to ask again
	upstreamWait = 2 * time.Second
	upstreamSize = 1232 // bytes over UDP that no network cuts
	mostMessage  = 65535
	clientIdle   = 10 * time.Second
	cacheTCP     = 16
)

// cacheServer answers queries from its cache, else asks the servers of
// /etc/resolv.conf.
type cacheServer struct {
	cache *cache
	root  procfs.Root
	slots chan struct{}
	port  string // of the servers; tests have another
}

func runCache(ctx context.Context) error {
	s := &cacheServer{cache: newCache(time.Now), slots: make(chan struct{}, cacheQueries), port: "53"}
	packets, err := net.ListenPacket("udp", cacheAddress)
	if err != nil {
		return hostsPort("dnscache", err)
	}
	closeAt(ctx, packets)
	streams, err := net.Listen("tcp", cacheAddress)
	if err != nil {
		return err
	}
	closeAt(ctx, streams)
	if err := ready(); err != nil {
		return err
	}
	done := make(chan error, 2)
	go func() { done <- s.servePackets(packets) }()
	go func() { done <- s.serveStreams(streams) }()
	return ended(ctx, <-done)
}

func (s *cacheServer) servePackets(conn net.PacketConn) error {
	buf := make([]byte, mostMessage)
	for {
		n, from, err := conn.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			return err
		}
		if err != nil {
			continue // an earlier answer that nobody took
		}
		select {
		case s.slots <- struct{}{}:
		default:
			continue
		}
		query := slices.Clone(buf[:n])
		go func() {
			defer func() { <-s.slots }()
			if answer := s.answer(query, true); answer != nil {
				_, _ = conn.WriteTo(answer, from) // a lost answer is asked for again
			}
		}()
	}
}

func (s *cacheServer) serveStreams(l net.Listener) error {
	return acceptEach(l, cacheTCP, func(conn net.Conn) {
		for s.stream(conn) == nil {
		}
	})
}

// stream answers one query of a connection.
func (s *cacheServer) stream(conn net.Conn) error {
	if err := conn.SetDeadline(time.Now().Add(clientIdle)); err != nil {
		return err
	}
	query, err := readFramed(conn)
	if err != nil {
		return err
	}
	answer := s.answer(query, false)
	if answer == nil {
		return errors.New("not a query")
	}
	return writeFramed(conn, answer)
}

// readFramed reads a message of a stream, which has its length before it.
func readFramed(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	m := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, m)
	return m, err
}

func writeFramed(w io.Writer, m []byte) error {
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(m))), m...))
	return err
}

// answer gives the answer of a query, nil for what is none.
func (s *cacheServer) answer(query []byte, udp bool) []byte {
	q, err := dns.ParseQuery(query)
	if err != nil {
		return dns.Refusal(query, dns.FormatError)
	}
	m := s.cache.get(q.Key())
	if m == nil {
		if m, err = s.ask(q); err != nil {
			fmt.Fprintln(os.Stderr, "dnscache:", err)
			return dns.Refusal(query, dns.ServerFail)
		}
		s.cache.put(q.Key(), m)
	}
	dns.Restore(m, q, dns.ID(query))
	if udp {
		m = dns.Fit(m, q, q.Size)
	}
	return m
}

var errNoServer = errors.New("/etc/resolv.conf names no server but this one")

// ask asks the servers in turn, over TCP what does not fit.
func (s *cacheServer) ask(q dns.Question) ([]byte, error) {
	err := errNoServer
	for _, server := range s.root.Resolver().Servers {
		a, bad := netip.ParseAddr(server)
		if bad != nil || a.IsUnspecified() || server+":53" == cacheAddress { // itself, over and over
			continue
		}
		var m []byte
		if m, err = s.askOne(q, net.JoinHostPort(server, s.port), "udp"); err == nil && dns.Truncated(m) {
			m, err = s.askOne(q, net.JoinHostPort(server, s.port), "tcp")
		}
		if err == nil && dns.Code(m) != dns.ServerFail {
			return m, nil
		}
		if err == nil {
			err = fmt.Errorf("server %s has no answer", server)
		}
	}
	return nil, err
}

func (s *cacheServer) askOne(q dns.Question, address, network string) ([]byte, error) {
	conn, err := net.DialTimeout(network, address, upstreamWait)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(upstreamWait)); err != nil {
		return nil, err
	}
	var random [2]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, err
	}
	id := binary.BigEndian.Uint16(random[:])
	query := q.Query(id, upstreamSize)
	if network == "tcp" {
		if err := writeFramed(conn, query); err != nil {
			return nil, err
		}
		m, err := readFramed(conn)
		if err == nil && !q.Answers(m, id) {
			err = fmt.Errorf("server %s answered something else", address)
		}
		return m, err
	}
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	// Who guesses the port but not number and name is not listened to.
	for buf := make([]byte, mostMessage); ; {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if q.Answers(buf[:n], id) {
			return slices.Clone(buf[:n]), nil
		}
	}
}
