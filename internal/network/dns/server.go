// Package dns is the resolver at a network's gateway: it answers the names and
// addresses of containers itself and hands everything else, unchanged but for
// the message number, to the name servers of the host. It keeps no cache; the
// host's servers have one. Only clients of the network are answered.
package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"silo/internal/linux"
	"silo/internal/share"
)

// Config says what to serve.
type Config struct {
	Listen     netip.AddrPort // the gateway's port 53
	Clients    netip.Prefix   // who is answered
	Names      *Names
	ResolvConf string    // the host's resolver configuration, followed as it changes
	Netns      *linux.FD // where to listen and to ask from; nil: where the process is
	Log        *slog.Logger
	// UDP and TCP are sockets bound to Listen already, from Files; or nil.
	// Listen takes ownership.
	UDP, TCP *linux.FD

	port uint16 // of the host's name servers, 53 if zero; tests cannot bind that
}

// Bounds of what clients can make us do at once: queries being forwarded, TCP
// connections, both for one client and for all, and the time a silent connection
// stays open.
const (
	maxForward     = 256
	maxForwardEach = 32
	maxConns       = 64
	maxConnsEach   = 8
	idleTime       = 10 * time.Second
)

// Server is a running resolver.
type Server struct {
	cfg     Config
	up      upstream
	udp     *net.UDPConn
	tcp     *net.TCPListener
	forward chan struct{} // holds one element a forwarded query
	conns   chan struct{} // holds one element a TCP connection

	forwardEach, connsEach *share.Each[netip.Addr]

	stop context.CancelFunc
	wg   sync.WaitGroup
}

// Listen binds the addresses, or takes over the sockets given, and serves
// until Close.
func Listen(cfg Config) (*Server, error) {
	if cfg.port == 0 {
		cfg.port = 53
	}
	s := &Server{
		cfg: cfg, up: upstream{path: cfg.ResolvConf, port: cfg.port, self: cfg.Listen, ns: cfg.Netns},
		forward: make(chan struct{}, maxForward), conns: make(chan struct{}, maxConns),
		forwardEach: share.New[netip.Addr](maxForwardEach), connsEach: share.New[netip.Addr](maxConnsEach),
	}
	if !s.adopt() {
		if err := s.bind(); err != nil {
			return nil, fmt.Errorf("serve DNS on %s: %w", cfg.Listen, err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.wg.Go(func() { s.serveUDP(ctx) })
	s.wg.Go(func() { s.serveTCP(ctx) })
	return s, nil
}

// adopt takes over the sockets of Config if they are for our address.
func (s *Server) adopt() bool {
	if s.cfg.UDP == nil || s.cfg.TCP == nil {
		s.cfg.UDP.Close()
		s.cfg.TCP.Close()
		return false
	}
	fu, ft := s.cfg.UDP.File(), s.cfg.TCP.File()
	defer fu.Close() // the net package works on copies
	defer ft.Close()
	pc, err := net.FilePacketConn(fu)
	if err == nil {
		var l net.Listener
		if l, err = net.FileListener(ft); err == nil {
			udp, ok1 := pc.(*net.UDPConn)
			tcp, ok2 := l.(*net.TCPListener)
			if ok1 && ok2 && isAt(udp.LocalAddr(), s.cfg.Listen) && isAt(tcp.Addr(), s.cfg.Listen) {
				s.udp, s.tcp = udp, tcp
				return true
			}
			l.Close()
		}
		pc.Close()
	}
	s.cfg.Log.Warn("the resolver's kept sockets do not fit: binding new ones", "address", s.cfg.Listen, "err", err)
	return false
}

func isAt(a net.Addr, want netip.AddrPort) bool {
	have, err := netip.ParseAddrPort(a.String())
	return err == nil && have == want
}

func (s *Server) bind() error {
	return linux.InNetNS(s.cfg.Netns, func() (err error) {
		if s.udp, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(s.cfg.Listen)); err != nil {
			return err
		}
		if s.tcp, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(s.cfg.Listen)); err != nil {
			s.udp.Close()
		}
		return err
	})
}

// Files gives second descriptors of the listening sockets. The caller closes
// them.
func (s *Server) Files() (udp, tcp *linux.FD, err error) {
	if udp, err = second(s.udp, "DNS over UDP"); err != nil {
		return nil, nil, err
	}
	if tcp, err = second(s.tcp, "DNS over TCP"); err != nil {
		udp.Close()
		return nil, nil, err
	}
	return udp, tcp, nil
}

// second duplicates a socket's descriptor. An os.File would not do: its Fd
// makes the socket, which is one for both descriptors, a blocking one.
func second(c syscall.Conn, name string) (dup *linux.FD, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	if e := raw.Control(func(fd uintptr) {
		own := linux.NewFD(int(fd), name)
		dup, err = own.Dup()
		own.Release() // it stays the connection's
	}); e != nil {
		return nil, e
	}
	return dup, err
}

// Close stops serving.
func (s *Server) Close() error {
	s.stop()
	err := errors.Join(s.udp.Close(), s.tcp.Close())
	s.wg.Wait()
	return err
}

// allowed tells whether a client is answered.
func (s *Server) allowed(a netip.AddrPort) bool { return s.cfg.Clients.Contains(a.Addr().Unmap()) }

func (s *Server) serveUDP(ctx context.Context) {
	buf := make([]byte, maxMessage)
	for ctx.Err() == nil {
		n, client, err := s.udp.ReadFromUDPAddrPort(buf)
		if err != nil {
			pause(ctx, err)
			continue
		}
		if !s.allowed(client) {
			continue
		}
		reply, forward := answer(buf[:n], s.cfg.Names, s.cfg.Clients)
		if reply != nil {
			s.udp.WriteToUDPAddrPort(reply, client) // a lost answer is asked for again
		}
		if !forward {
			continue
		}
		if !s.forwardEach.Enter(client.Addr()) {
			continue // too many at once: the client asks again
		}
		select {
		case s.forward <- struct{}{}:
		default:
			s.forwardEach.Leave(client.Addr())
			continue
		}
		query := append([]byte(nil), buf[:n]...)
		s.wg.Go(func() {
			defer func() { <-s.forward; s.forwardEach.Leave(client.Addr()) }()
			s.udp.WriteToUDPAddrPort(s.up.exchange(ctx, query, false), client)
		})
	}
}

func (s *Server) serveTCP(ctx context.Context) {
	for ctx.Err() == nil {
		c, err := s.tcp.AcceptTCP()
		if err != nil {
			pause(ctx, err)
			continue
		}
		client, err := netip.ParseAddrPort(c.RemoteAddr().String())
		if err != nil || !s.allowed(client) || !s.connsEach.Enter(client.Addr()) {
			c.Close()
			continue
		}
		select {
		case s.conns <- struct{}{}:
		default:
			s.connsEach.Leave(client.Addr())
			c.Close()
			continue
		}
		s.wg.Go(func() {
			defer func() { <-s.conns; s.connsEach.Leave(client.Addr()) }()
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			s.serveConn(ctx, c)
		})
	}
}

func (s *Server) serveConn(ctx context.Context, c *net.TCPConn) {
	buf := make([]byte, maxMessage)
	for {
		c.SetDeadline(time.Now().Add(idleTime))
		query, err := readTCP(c, buf)
		if err != nil {
			return
		}
		reply, forward := answer(query, s.cfg.Names, s.cfg.Clients)
		if forward {
			select {
			case s.forward <- struct{}{}:
			case <-ctx.Done():
				return
			}
			reply = s.up.exchange(ctx, query, true)
			<-s.forward
			c.SetDeadline(time.Now().Add(idleTime))
		}
		if reply == nil || writeTCP(c, reply) != nil {
			return
		}
	}
}

// pause keeps a listening loop from spinning on an error that stays.
func pause(ctx context.Context, err error) {
	if errors.Is(err, net.ErrClosed) {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(10 * time.Millisecond):
	}
}
