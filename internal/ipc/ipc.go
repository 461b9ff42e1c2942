// Package ipc carries JSON messages and descriptors between Silo's own
// programs over a unix stream socket: 4 bytes of length, 4 bytes of descriptor
// count (both little-endian), then the JSON; the descriptors ride on the first
// byte. It knows nothing of what the messages mean.
package ipc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"silo/internal/linux"
)

// MaxMessage limits the JSON of one message, in bytes. A command line with its
// environment is at most 2 MiB on Linux (MAX_ARG_STRLEN × …); JSON may double
// it.
const MaxMessage = 8 << 20

// head is the length of what goes before the JSON, in bytes.
const head = 8

// Conn sends and receives messages. Send may be called from several
// goroutines, Receive from one.
type Conn struct {
	sock    *linux.Socket
	mu      sync.Mutex
	stopped atomic.Bool
	waiting bool // for the rest of a message after Stop
}

// New takes ownership of a socket.
func New(sock *linux.Socket) *Conn { return &Conn{sock: sock} }

// Socket gives the socket beneath, still owned by c.
func (c *Conn) Socket() *linux.Socket { return c.sock }

// Stop makes Receive return an error that is Interrupted, at once or when the
// message that it is in the midst of has been returned. That message must end
// within restTime, or Receive fails.
func (c *Conn) Stop() {
	c.stopped.Store(true)
	_ = c.sock.File().SetReadDeadline(time.Now())
}

// Resume undoes Stop, once Receive has returned.
func (c *Conn) Resume() {
	c.stopped.Store(false)
	c.waiting = false
	_ = c.sock.File().SetReadDeadline(time.Time{})
}

// restTime is how long the rest of a message may take after Stop.
const restTime = 2 * time.Second

// Close closes the connection.
func (c *Conn) Close() error { return c.sock.Close() }

// Send writes a message and passes copies of the descriptors, which stay the
// caller's.
func (c *Conn) Send(m Message, fds ...int) error {
	b, err := m.appendTo(make([]byte, head, head+len(m.Body)+64))
	if err != nil {
		return fmt.Errorf("encode message: %w", err)
	}
	size := len(b) - head
	if size > MaxMessage {
		return fmt.Errorf("message of %d bytes: the limit is %d", size, MaxMessage)
	}
	binary.LittleEndian.PutUint32(b, uint32(size))
	binary.LittleEndian.PutUint32(b[4:], uint32(len(fds)))
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sock.Send(b, fds...)
}

// Receive reads one message into m and returns its descriptors, close-on-exec
// and owned by the caller. The other end's orderly close is io.EOF. After any
// error the connection is of no more use.
func (c *Conn) Receive(m *Message) (fds []int, err error) {
	defer func() {
		if err != nil {
			linux.CloseAll(fds)
			fds = nil
		}
	}()
	if c.stopped.Load() {
		return nil, os.ErrDeadlineExceeded
	}
	var h [head]byte
	if fds, err = c.readFull(h[:], nil, false); err != nil {
		return fds, err
	}
	size := binary.LittleEndian.Uint32(h[:])
	want := binary.LittleEndian.Uint32(h[4:])
	if size > MaxMessage || want > linux.MaxFDs {
		return fds, fmt.Errorf("message claims %d bytes and %d descriptors: refused", size, want)
	}
	body := make([]byte, size)
	if fds, err = c.readFull(body, fds, true); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fds, err
	}
	if len(fds) != int(want) {
		return fds, fmt.Errorf("message claims %d descriptors, %d came", want, len(fds))
	}
	if err := m.parse(body); err != nil {
		return fds, fmt.Errorf("decode message: %w", err)
	}
	return fds, nil
}

// readFull fills b; inside tells that a message has begun before b.
func (c *Conn) readFull(b []byte, fds []int, inside bool) ([]int, error) {
	for got := 0; got < len(b); {
		n, more, err := c.sock.Recv(b[got:])
		fds = append(fds, more...)
		if len(fds) > linux.MaxFDs {
			return fds, errors.New("more descriptors than a message may carry: refused")
		}
		if err != nil && Interrupted(err) && (got > 0 || inside) {
			if c.stopped.Load() && !c.waiting {
				c.waiting = true
				_ = c.sock.File().SetReadDeadline(time.Now().Add(restTime))
				continue
			}
			return fds, errors.New("a message did not come to its end in time")
		}
		if err != nil {
			if errors.Is(err, io.EOF) && got > 0 {
				err = io.ErrUnexpectedEOF
			}
			return fds, err
		}
		got += n
	}
	return fds, nil
}

// Interrupted tells whether Receive was stopped by Stop or a read deadline of
// the socket. Nothing is lost then: it happens only between messages.
func Interrupted(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
