package client

import (
	"bufio"
	"context"
	"io"

	"github.com/moby/moby/api/types"
)

// Stream is a connection that was taken out of HTTP: standard input one way,
// output the other.
type Stream struct {
	// Multiplexed tells that output carries Docker's 8-byte frame headers.
	Multiplexed bool

	conn socket
	r    *bufio.Reader
}

// Read reads output, framed if Multiplexed.
func (s *Stream) Read(p []byte) (int, error) { return s.r.Read(p) }

// Write writes standard input.
func (s *Stream) Write(p []byte) (int, error) { return s.conn.Write(p) }

// CloseWrite ends standard input; output goes on.
func (s *Stream) CloseWrite() error { return s.conn.CloseWrite() }

// Close ends both directions.
func (s *Stream) Close() error { return s.conn.Close() }

// hijack sends a request and takes the connection over once the daemon agrees.
func (c *Client) hijack(ctx context.Context, r *request) (*Stream, error) {
	r.header = append(r.header, "Connection", "Upgrade", "Upgrade", "tcp")
	k, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := k.answer(ctx, r, k.sendAll(r))
	if err != nil {
		k.end()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &LostError{Err: err}
	}
	if resp.status != 101 && resp.status != 200 {
		return nil, answerError(resp)
	}
	if !resp.stop() {
		k.end()
		return nil, context.Cause(ctx)
	}
	return &Stream{
		Multiplexed: resp.header["content-type"] == types.MediaTypeMultiplexedStream,
		conn:        k.socket,
		r:           k.r,
	}, nil
}

var _ io.ReadWriteCloser = (*Stream)(nil)
