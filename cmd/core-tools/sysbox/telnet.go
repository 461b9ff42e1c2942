package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// escape is what a line of the keyboard starts with to end the connection:
// Ctrl-].
const escape = 0x1d

// connectLimit is how long a host may take to answer.
const connectLimit = 10 * time.Second

// telnet connects standard input and output with a TCP port, line by line.
// Requests of the other side for terminal options are refused.
func telnet(c *call, args []string) error {
	if len(args) < 1 || len(args) > 2 || strings.HasPrefix(args[0], "-") {
		return badUsage("needs a host, and may have a port")
	}
	host, port := args[0], "23"
	if len(args) == 2 {
		port = args[1]
	}
	fmt.Fprintf(c.out, "Trying %s...\n", host)
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, port), connectLimit)
	if err != nil {
		return fmt.Errorf("connect to %s port %s: %w", host, port, bareCause(err))
	}
	defer conn.Close()
	fmt.Fprintf(c.out, "Connected to %s.\nCtrl-] and Enter end the connection.\n", conn.RemoteAddr())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(stop)
	received := make(chan error, 1)
	go func() {
		_, err := io.Copy(c.out, &options{from: conn, to: conn})
		received <- err
	}()
	escaped := make(chan struct{})
	go func() {
		if send(conn, c.in) {
			close(escaped)
		}
	}()
	select {
	case err = <-received:
	case <-escaped:
	case <-stop:
	}
	if errors.Is(err, syscall.EPIPE) {
		return err
	}
	fmt.Fprintln(c.out, "Connection closed.")
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		return err
	}
	return nil
}

// bareCause leaves the operation and addresses out, which the message has.
func bareCause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// send copies lines to the connection and tells whether one was the escape.
// The end of the input is passed on.
func send(conn net.Conn, in io.Reader) bool {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 && line[0] == escape {
			return true
		}
		if len(line) > 0 {
			line = bytes.ReplaceAll(line, []byte{iac}, []byte{iac, iac})
			line = append(bytes.TrimRight(line, "\r\n"), "\r\n"...)
			if _, err := conn.Write(line); err != nil {
				return false
			}
		}
		if err != nil {
			if half, ok := conn.(*net.TCPConn); ok {
				half.CloseWrite()
			}
			return false
		}
	}
}

// The bytes of telnet's own protocol (RFC 854).
const (
	iac  = 255
	dont = 254
	do   = 253
	wont = 252
	will = 251
	sb   = 250
	se   = 240
)

// options reads from a connection and takes telnet's own protocol out: every
// option is refused, so that both sides stay at plain lines.
type options struct {
	from  io.Reader
	to    io.Writer
	state byte // what the next byte means: 0 data, else the command before it
}

func (o *options) Read(p []byte) (int, error) {
	for {
		n, err := o.from.Read(p)
		kept := 0
		for _, b := range p[:n] {
			if o.plain(b) {
				p[kept] = b
				kept++
			}
		}
		if kept > 0 || err != nil {
			return kept, err
		}
	}
}

// subIAC is the state within a subnegotiation after an IAC.
const subIAC = 1

func (o *options) plain(b byte) bool {
	switch o.state {
	case 0:
		if b == iac {
			o.state = iac
			return false
		}
		return true
	case iac:
		o.state = 0
		switch b {
		case iac:
			return true
		case do, dont, will, wont, sb:
			o.state = b
		}
	case do, will:
		answer := byte(wont)
		if o.state == will {
			answer = dont
		}
		// Not answering leaves the option off as well.
		_, _ = o.to.Write([]byte{iac, answer, b})
		o.state = 0
	case dont, wont:
		o.state = 0
	case sb:
		if b == iac {
			o.state = subIAC
		}
	case subIAC:
		if o.state = sb; b == se {
			o.state = 0
		}
	}
	return false
}
