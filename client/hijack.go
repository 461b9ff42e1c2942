package client

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"syscall"

	"github.com/moby/moby/api/types"

	"silo/api"
	"silo/client/container"
)

// Stream is a connection that was taken out of HTTP: standard input one way,
// output the other.
type Stream struct {
	// Multiplexed tells that output carries Docker's 8-byte frame headers.
	Multiplexed bool
	// Container or Exec is the id of what runs, if it was made with the stream.
	Container, Exec string
	// Warnings are the daemon's, for the user to read.
	Warnings []string

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
	k, sent, err := c.begin(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := k.answer(ctx, r, sent)
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
	s := &Stream{
		Multiplexed: resp.header["content-type"] == types.MediaTypeMultiplexedStream,
		Container:   resp.header[containerHeader],
		Exec:        resp.header[execHeader],
		conn:        k.socket,
		r:           k.r,
	}
	if w := resp.header[warningsHeader]; w != "" {
		_ = json.Unmarshal([]byte(w), &s.Warnings) // a text that cannot be read warns nobody
	}
	return s, nil
}

// begin sends a request, unless that has been done.
func (c *Client) begin(ctx context.Context, r *request) (*conn, chan error, error) {
	if k := c.resumed(); k != nil {
		return k, nil, nil
	}
	k, err := c.take(ctx)
	if err != nil {
		return nil, nil, err
	}
	return k, k.sendAll(r), nil
}

// Keys of package api's headers as response keeps them.
var (
	containerHeader = strings.ToLower(api.ContainerHeader)
	execHeader      = strings.ToLower(api.ExecHeader)
	warningsHeader  = strings.ToLower(api.WarningsHeader)
)

// ErrNoEnd is what Copy gives if a stream ends without telling the exit code:
// the client was detached, or the daemon's keeper has ended.
var ErrNoEnd = errors.New("the stream ended without an exit code")

// maxFrame bounds a frame, in bytes.
const maxFrame = 1 << 20

// Copy copies the output of a stream of ContainerRun or ExecRun until it ends,
// and gives the exit code.
func (s *Stream) Copy(out, err io.Writer) (code int, e error) {
	var head [8]byte
	for {
		if _, e := io.ReadFull(s.r, head[:]); e != nil {
			return 0, ErrNoEnd
		}
		size := binary.BigEndian.Uint32(head[4:])
		if size > maxFrame {
			return 0, fmt.Errorf("a frame of %d bytes of output: the limit is %d", size, maxFrame)
		}
		to := out
		switch head[0] {
		case api.EndStream:
			var b [4]byte
			if size != uint32(len(b)) {
				return 0, ErrNoEnd
			}
			if _, e := io.ReadFull(s.r, b[:]); e != nil {
				return 0, ErrNoEnd
			}
			return int(binary.BigEndian.Uint32(b[:])), nil
		case 2:
			to = err
		}
		if _, e := io.CopyN(to, s.r, int64(size)); e != nil {
			if errors.Is(e, io.EOF) || errors.Is(e, syscall.ECONNRESET) {
				e = ErrNoEnd
			}
			return 0, e
		}
	}
}

// ContainerRun makes and starts a container with the chosen streams joined; see
// Copy.
func (c *Client) ContainerRun(ctx context.Context, name, platform string, o AttachOptions, r *container.CreateRequest) (*Stream, error) {
	req := &request{method: "POST", path: "/silo/run", query: query("name", name, "platform", platform,
		"stdin", flag(o.Stdin), "stdout", flag(o.Stdout), "stderr", flag(o.Stderr), "detachKeys", o.DetachKeys)}
	if err := req.json(r); err != nil {
		return nil, err
	}
	return c.hijack(ctx, req)
}

// ExecRun runs a command in a running container with its streams joined; see
// Copy.
func (c *Client) ExecRun(ctx context.Context, ref string, r container.ExecCreateRequest) (*Stream, error) {
	req := &request{method: "POST", path: "/silo/exec/" + url.PathEscape(ref)}
	if err := req.json(r); err != nil {
		return nil, err
	}
	return c.hijack(ctx, req)
}

var _ io.ReadWriteCloser = (*Stream)(nil)
