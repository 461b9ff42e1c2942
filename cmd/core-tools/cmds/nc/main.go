// Command nc connects standard input and output with a TCP or UDP port, or
// with a Unix socket: nc host port, nc -l -p port, nc -z host port to see
// whether a port answers.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"coretools.silo/getopt"
)

type config struct {
	opt     *getopt.Set
	network string
	wait    time.Duration
}

func main() {
	opt := getopt.Parse("46lkuUvznNp:w:s:e:q:", "nc [-46uvzN] [-w seconds] host port | nc -l [-kuv] [-p port] [host] [port] [-e command]", nil)
	c := config{opt: opt, network: "tcp"}
	switch {
	case opt.Has('U'):
		c.network = "unix"
	case opt.Has('u'):
		c.network = "udp"
	}
	if c.network != "unix" {
		if opt.Has('4') {
			c.network += "4"
		} else if opt.Has('6') {
			c.network += "6"
		}
	}
	seconds, err := strconv.ParseFloat(opt.Value('w', "0"), 64)
	if err != nil {
		opt.Usage("-w: not a number")
	}
	c.wait = time.Duration(seconds * float64(time.Second))
	if opt.Has('l') {
		err = c.listen()
	} else {
		err = c.connect()
	}
	if err != nil {
		if !errors.Is(err, errQuiet) {
			fmt.Fprintln(os.Stderr, "nc:", err)
		}
		os.Exit(1)
	}
}

var errQuiet = errors.New("no port answered")

func (c config) say(format string, args ...any) {
	if c.opt.Has('v') {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
	}
}

// ports reads "80", "20-25" or a name.
func ports(word string) ([]string, error) {
	from, to, isRange := strings.Cut(word, "-")
	if !isRange {
		return []string{word}, nil
	}
	a, errA := strconv.Atoi(from)
	b, errB := strconv.Atoi(to)
	if errA != nil || errB != nil || a > b || b > 65535 {
		return nil, fmt.Errorf("%s: not a range of ports", word)
	}
	var list []string
	for p := a; p <= b; p++ {
		list = append(list, strconv.Itoa(p))
	}
	return list, nil
}

func (c config) connect() error {
	args := c.opt.Operands
	if c.network == "unix" {
		if len(args) != 1 {
			c.opt.Usage("-U: needs the path of a socket")
		}
		return c.dial(args[0])
	}
	if len(args) != 2 {
		c.opt.Usage("needs a host and a port")
	}
	list, err := ports(args[1])
	if err != nil {
		return err
	}
	if !c.opt.Has('z') && len(list) == 1 {
		return c.dial(net.JoinHostPort(args[0], list[0]))
	}
	result := errQuiet
	for _, p := range list {
		address := net.JoinHostPort(args[0], p)
		conn, err := net.DialTimeout(c.network, address, c.wait)
		if err != nil {
			c.say("%v", err)
			continue
		}
		fmt.Fprintf(os.Stderr, "%s: open\n", address)
		conn.Close()
		result = nil
	}
	return result
}

func (c config) dial(address string) error {
	d := net.Dialer{Timeout: c.wait}
	if p := c.opt.Value('p', ""); p != "" || c.opt.Has('s') {
		local, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(c.opt.Value('s', ""), p))
		if err != nil {
			return err
		}
		d.LocalAddr = local
		if strings.HasPrefix(c.network, "udp") {
			d.LocalAddr = &net.UDPAddr{IP: local.IP, Port: local.Port}
		}
	}
	conn, err := d.Dial(c.network, address)
	if err != nil {
		return err
	}
	c.say("connected to %s", conn.RemoteAddr())
	return c.talk(conn)
}

func (c config) listen() error {
	host, port := "", c.opt.Value('p', "")
	switch args := c.opt.Operands; {
	case len(args) == 1 && (port != "" || c.network == "unix"):
		host = args[0]
	case len(args) == 1:
		port = args[0]
	case len(args) == 2:
		host, port = args[0], args[1]
	}
	address := net.JoinHostPort(host, port)
	if c.network == "unix" {
		address = host
	} else if port == "" {
		c.opt.Usage("-l: needs a port")
	}
	if strings.HasPrefix(c.network, "udp") {
		return c.listenUDP(address)
	}
	l, err := net.Listen(c.network, address)
	if err != nil {
		return err
	}
	defer l.Close()
	c.say("listening on %s", l.Addr())
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		c.say("connection from %s", conn.RemoteAddr())
		if !c.opt.Has('k') {
			l.Close()
			return c.talk(conn)
		}
		if err := c.talk(conn); err != nil {
			c.say("%v", err)
		}
	}
}

// listenUDP answers whoever sent the first datagram.
func (c config) listenUDP(address string) error {
	local, err := net.ResolveUDPAddr(c.network, address)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP(c.network, local)
	if err != nil {
		return err
	}
	defer conn.Close()
	c.say("listening on %s", conn.LocalAddr())
	buf := make([]byte, 65536)
	var once sync.Once
	for {
		if c.wait > 0 {
			_ = conn.SetReadDeadline(time.Now().Add(c.wait))
		}
		n, peer, err := conn.ReadFromUDP(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		}
		if err != nil {
			return err
		}
		os.Stdout.Write(buf[:n])
		once.Do(func() {
			c.say("datagram from %s", peer)
			go func() {
				in := make([]byte, 1400)
				for {
					n, err := os.Stdin.Read(in)
					if n > 0 {
						_, _ = conn.WriteToUDP(in[:n], peer)
					}
					if err != nil {
						return
					}
				}
			}()
		})
	}
}

// talk copies both ways until the peer ends; the end of standard input is
// passed on. With -e a command talks instead.
func (c config) talk(conn net.Conn) error {
	defer conn.Close()
	if command := c.opt.Value('e', ""); command != "" {
		cmd := exec.Command("sh", "-c", command)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = conn, conn, os.Stderr
		return cmd.Run()
	}
	go func() {
		_, _ = io.Copy(conn, os.Stdin)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
		if q := c.opt.Value('q', ""); q != "" {
			d, err := getopt.Duration(q)
			if err == nil {
				time.Sleep(d)
				conn.Close()
			}
		}
	}()
	var r io.Reader = conn
	if c.wait > 0 {
		r = idle{conn, c.wait}
	}
	_, err := io.Copy(os.Stdout, r)
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// idle is a connection that ends after a time with nothing to read.
type idle struct {
	conn net.Conn
	wait time.Duration
}

func (i idle) Read(p []byte) (int, error) {
	_ = i.conn.SetReadDeadline(time.Now().Add(i.wait))
	return i.conn.Read(p)
}
