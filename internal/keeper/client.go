package keeper

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"time"

	"silo/internal/keeper/wire"
	"silo/internal/linux"
)

// frameHeader is the size of Docker's frame header on a stream that carries
// several: stream number, three zero bytes, big-endian length.
const frameHeader = 8

// lastWords is how long a client may take for the rest of the output of a
// command that has ended.
const lastWords = 10 * time.Minute

// client is a connection joined to a command.
type client struct {
	p      *process
	conn   *os.File
	attach wire.Attach

	write   sync.Mutex // whole frames only
	pending []byte     // what a deadline kept from being sent; goes before all else

	once sync.Once
}

func newClient(p *process, conn *linux.FD, a wire.Attach) (*client, error) {
	if err := linux.SetNonblock(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return &client{p: p, conn: conn.PollFile(), attach: a}, nil
}

// start begins to take in standard input.
func (c *client) start() {
	c.p.keeper.pumps.Add(1)
	go c.read()
}

// send writes what is in buf behind the room for its header.
func (c *client) send(stream byte, buf []byte) error {
	c.write.Lock()
	defer c.write.Unlock()
	out := buf[frameHeader:]
	if c.attach.Mux {
		clear(buf[:frameHeader])
		buf[0] = stream
		binary.BigEndian.PutUint32(buf[4:], uint32(len(buf)-frameHeader))
		out = buf
	}
	if len(c.pending) > 0 {
		out = append(c.pending, out...)
	}
	return c.put(out)
}

// greet sends what goes before all output, once.
func (c *client) greet() {
	c.write.Lock()
	defer c.write.Unlock()
	if g := c.attach.Greeting; len(g) > 0 {
		c.attach.Greeting = nil
		_ = c.put(g) // a client that is gone is noticed by its reader
	}
}

// endPatience is how long a client's full buffer holds up the end of its
// command; hangUp sends the rest in the background.
const endPatience = 50 * time.Millisecond

// sendEnd tells the exit code to a client who asked for it.
func (c *client) sendEnd(code int) {
	if !c.attach.End {
		return
	}
	frame := make([]byte, frameHeader+4)
	binary.BigEndian.PutUint32(frame[frameHeader:], uint32(code))
	_ = c.conn.SetWriteDeadline(time.Now().Add(endPatience))
	_ = c.send(wire.EndStream, frame)
}

// put sends out; what a deadline cuts off is kept for the next program, or
// for hangUp. The caller holds c.write.
func (c *client) put(out []byte) error {
	n, err := c.conn.Write(out)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.pending = append([]byte(nil), out[n:]...)
		return nil
	}
	c.pending = nil
	return err
}

// flush sends what was kept, soon.
func (c *client) flush() {
	c.write.Lock() // before any pump
	if len(c.pending) == 0 {
		c.write.Unlock()
		return
	}
	c.p.keeper.pumps.Add(1)
	go func() {
		defer c.p.keeper.pumps.Done()
		defer c.write.Unlock()
		if err := c.put(c.pending); err != nil {
			c.p.keeper.log.Debug("client after upgrade", "err", err)
		}
	}()
}

// read moves standard input from the client to the command.
func (c *client) read() {
	p := c.p
	defer p.keeper.pumps.Done()
	keys := detacher{keys: c.attach.DetachKeys}
	if len(c.attach.Buffered) > 0 {
		data := c.attach.Buffered
		c.attach.Buffered = nil
		if !c.take(&keys, data) {
			return
		}
	}
	buf := make([]byte, 4<<10)
	for {
		n, err := c.conn.Read(buf)
		if n > 0 && !c.take(&keys, buf[:n]) {
			return
		}
		switch {
		case err == nil:
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.attach.Buffered = append(c.attach.Buffered, keys.held...) // for the next program
			return
		}
		if len(keys.held) > 0 {
			c.forward(keys.held)
		}
		// The end of the client's input, or of the client.
		if c.attach.Stdin && p.tty == nil && (p.stdio.StdinOnce || p.exec != "") {
			p.closeStdin()
		}
		return
	}
}

// take handles input; false means that the client is to be read no more.
func (c *client) take(keys *detacher, data []byte) bool {
	if !c.attach.Stdin {
		return true // read and dropped, so that the end is noticed
	}
	out, detached := keys.scan(data)
	if len(out) > 0 && !c.forward(out) {
		c.attach.Buffered = append(c.attach.Buffered, keys.held...)
		return false
	}
	if detached {
		c.p.keeper.tell("detach", wire.Target{ID: c.p.id, Exec: c.p.exec})
		c.p.leave(c)
		return false
	}
	return true
}

func (c *client) forward(data []byte) bool {
	in := c.p.input()
	if in == nil {
		return true // nobody reads; the client is drained
	}
	n, err := in.Write(data)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.attach.Buffered = append([]byte(nil), data[n:]...)
		return false
	}
	return true
}

// hangUp sends the end of output and closes.
func (c *client) hangUp() {
	c.once.Do(func() {
		_ = c.conn.SetWriteDeadline(time.Now().Add(time.Second)) // of a write in progress
		c.write.Lock()
		rest := c.pending
		c.write.Unlock()
		if len(rest) > 0 { // one that reads slowly holds up nobody
			c.p.keeper.owe(&debt{c.conn, rest, time.Now().Add(lastWords)})
			return
		}
		linux.EndFile(c.conn)
		c.conn.Close()
	})
}

// drop closes this copy of the connection only.
func (c *client) drop() { c.once.Do(func() { c.conn.Close() }) }

// detacher finds the detach keys in a stream; bytes that may be their
// beginning are held back until the next ones decide.
type detacher struct {
	keys []byte
	held []byte
}

// scan returns what is to be passed on, and whether the keys were complete;
// the keys themselves are never passed on.
func (d *detacher) scan(data []byte) (out []byte, detached bool) {
	if len(d.keys) == 0 {
		return data, false
	}
	for i, b := range data {
		if b == d.keys[len(d.held)] {
			d.held = append(d.held, b)
			if len(d.held) == len(d.keys) {
				d.held = d.held[:0]
				return out, true
			}
			continue
		}
		if len(d.held) > 0 {
			out = append(out, d.held...)
			d.held = d.held[:0]
			if b == d.keys[0] {
				d.held = append(d.held, b)
				continue
			}
		}
		out = append(out, data[i])
	}
	return out, false
}
