package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"coretools.silo/getopt"
	"coretools.silo/table"
)

type pinger struct {
	out, errs      io.Writer
	target         *net.IPAddr
	fd             int
	v6, raw        bool
	id             uint16
	size           int
	wait           time.Duration
	sent, received int
	times          []time.Duration
}

// largestEcho is how much fits into an IPv4 packet beside the headers.
const largestEcho = 65507

// ping asks a host for echoes; its exit code is 1 if no answer came.
func ping(c *call, args []string) error {
	opt, err := getopt.Read("46nqc:i:W:w:s:", nil, args)
	if err != nil {
		return usageError{err}
	}
	if len(opt.Operands) != 1 {
		return badUsage("needs one host")
	}
	number := func(letter byte, otherwise string) float64 {
		v, bad := strconv.ParseFloat(opt.Value(letter, otherwise), 64)
		if bad != nil || v < 0 || v > math.MaxInt32 {
			err = badUsage("-%c: not a number from 0 up", letter)
		}
		return v
	}
	count, interval := int(number('c', "0")), number('i', "1")
	deadline := number('w', "0")
	p := &pinger{
		out: c.out, errs: c.errs, size: int(number('s', "56")),
		wait: time.Duration(number('W', "2") * float64(time.Second)), id: uint16(os.Getpid()),
	}
	if err != nil {
		return err
	}
	if p.size > largestEcho {
		return badUsage("-s %d: at most %d", p.size, largestEcho)
	}
	network := "ip"
	if opt.Has('6') {
		network = "ip6"
	} else if opt.Has('4') {
		network = "ip4"
	}
	host := opt.Operands[0]
	if p.target, err = net.ResolveIPAddr(network, host); err != nil {
		fmt.Fprintf(c.errs, "ping: %s: %s\n", table.Clean(host), resolveText(err))
		return exitCode(2)
	}
	p.v6 = p.target.IP.To4() == nil
	if err := p.open(); err != nil {
		return err
	}
	defer syscall.Close(p.fd)
	if _, err := fmt.Fprintf(c.out, "PING %s (%s): %d data bytes\n", host, p.target, p.size); err != nil {
		return err
	}
	p.series(count, interval, deadline, opt.Has('q'))
	return p.summary(host)
}

// series sends requests, interval seconds apart, until count, deadline or a
// signal ends it; 0 is no end.
func (p *pinger) series(count int, interval, deadline float64, quiet bool) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	begin := time.Now()
	for seq := 0; count == 0 || seq < count; seq++ {
		start := time.Now()
		if err := p.once(uint16(seq), quiet); err != nil {
			fmt.Fprintln(p.errs, "ping:", err)
		}
		if count > 0 && seq == count-1 || deadline > 0 && time.Since(begin).Seconds() >= deadline {
			break
		}
		select {
		case <-stop:
			count = seq + 1
		case <-time.After(time.Duration(interval*float64(time.Second)) - time.Since(start)):
		}
	}
}

func resolveText(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.Err
	}
	return err.Error()
}

// open takes a raw socket, or the kernel's echo socket where a raw one is not
// allowed.
func (p *pinger) open() error {
	family, proto := syscall.AF_INET, syscall.IPPROTO_ICMP
	if p.v6 {
		family, proto = syscall.AF_INET6, syscall.IPPROTO_ICMPV6
	}
	var err error
	p.raw = true
	if p.fd, err = syscall.Socket(family, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, proto); err != nil {
		p.raw = false
		if p.fd, err = syscall.Socket(family, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, proto); err != nil {
			return fmt.Errorf("open a socket for echo requests: %w: needs CAP_NET_RAW or net.ipv4.ping_group_range", err)
		}
	}
	return nil
}

func (p *pinger) address() syscall.Sockaddr {
	if !p.v6 {
		a := &syscall.SockaddrInet4{}
		copy(a.Addr[:], p.target.IP.To4())
		return a
	}
	a := &syscall.SockaddrInet6{}
	copy(a.Addr[:], p.target.IP)
	if ifi, err := net.InterfaceByName(p.target.Zone); err == nil {
		a.ZoneId = uint32(ifi.Index)
	}
	return a
}

// request is an echo request: type, code, checksum, id, sequence number, data.
func (p *pinger) request(seq uint16) []byte {
	m := make([]byte, 8+p.size)
	m[0] = 8
	if p.v6 {
		m[0] = 128
	}
	binary.BigEndian.PutUint16(m[4:], p.id)
	binary.BigEndian.PutUint16(m[6:], seq)
	for i := 8; i < len(m); i++ {
		m[i] = byte(i)
	}
	if !p.v6 { // the kernel fills it in for IPv6
		binary.BigEndian.PutUint16(m[2:], checksum(m))
	}
	return m
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// once sends one request and waits for its answer.
func (p *pinger) once(seq uint16, quiet bool) error {
	start := time.Now()
	p.sent++
	if err := syscall.Sendto(p.fd, p.request(seq), 0, p.address()); err != nil {
		return fmt.Errorf("send to %s: %w", p.target, err)
	}
	buf := make([]byte, 65536)
	for {
		left := p.wait - time.Since(start)
		if left <= 0 {
			return nil
		}
		tv := syscall.NsecToTimeval(left.Nanoseconds())
		if err := syscall.SetsockoptTimeval(p.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &tv); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		n, from, err := syscall.Recvfrom(p.fd, buf, 0)
		if err == syscall.EINTR || err == syscall.EAGAIN {
			continue
		}
		if err != nil {
			return fmt.Errorf("receive from %s: %w", p.target, err)
		}
		ttl, ok := p.answer(buf[:n], seq)
		if !ok {
			continue
		}
		took := time.Since(start)
		p.received++
		p.times = append(p.times, took)
		if !quiet {
			fmt.Fprintf(p.out, "%d bytes from %s: icmp_seq=%d%s time=%.3f ms\n", p.size+8, source(from), seq, ttl, float64(took.Microseconds())/1000)
		}
		return nil
	}
}

// answer checks that a message is the reply to seq. A raw IPv4 socket gives
// the IP header too, whose ninth byte is the time to live.
func (p *pinger) answer(m []byte, seq uint16) (ttl string, ok bool) {
	if p.raw && !p.v6 {
		head := int(m[0]&0xf) * 4
		if len(m) < head+8 {
			return "", false
		}
		ttl = fmt.Sprintf(" ttl=%d", m[8])
		m = m[head:]
	}
	if len(m) < 8 || m[0] != 0 && m[0] != 129 || m[1] != 0 || p.v6 != (m[0] == 129) {
		return "", false
	}
	if p.raw && binary.BigEndian.Uint16(m[4:]) != p.id {
		return "", false
	}
	return ttl, binary.BigEndian.Uint16(m[6:]) == seq
}

func source(a syscall.Sockaddr) string {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return net.IP(a.Addr[:]).String()
	case *syscall.SockaddrInet6:
		return net.IP(a.Addr[:]).String()
	}
	return "?"
}

func (p *pinger) summary(host string) error {
	fmt.Fprintf(p.out, "\n--- %s ping statistics ---\n", host)
	loss := 0
	if p.sent > 0 {
		loss = (p.sent - p.received) * 100 / p.sent
	}
	fmt.Fprintf(p.out, "%d packets transmitted, %d packets received, %d%% packet loss\n", p.sent, p.received, loss)
	if len(p.times) == 0 {
		return exitCode(1)
	}
	least, most, sum := time.Duration(math.MaxInt64), time.Duration(0), time.Duration(0)
	for _, t := range p.times {
		least, most, sum = min(least, t), max(most, t), sum+t
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	_, err := fmt.Fprintf(p.out, "round-trip min/avg/max = %.3f/%.3f/%.3f ms\n", ms(least), ms(sum/time.Duration(len(p.times))), ms(most))
	return err
}
