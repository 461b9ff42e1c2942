// Package client speaks the Docker Engine API, and Silo's own under /silo/…,
// to silod over a unix socket. It holds no state but idle connections.
//
// It has its own HTTP/1.1 instead of net/http: the command line pays for every
// package at each start, and net/http with TLS behind it costs as much as a
// whole container does (2.8 ms of an 11 ms start where this was measured).
package client

//go:generate go run ./gen ..

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"

	"silo/internal/linux"
)

// DefaultHost is where silod listens if nothing else is said.
const DefaultHost = "unix:///run/silo/silo.sock"

// Client talks to one daemon. It is safe for concurrent use.
type Client struct {
	host   string
	socket string

	// OnUnreachable is called once, when the first connection cannot be made.
	// If it returns nil the connection is tried once more; else its error is
	// the answer.
	OnUnreachable func(cause error) error

	mu      sync.Mutex
	idle    []*conn
	reached bool
	closed  bool
	sent    *conn // see Resume
}

// New makes a client of the daemon at host, unix:///path or an absolute path.
// Nothing is connected yet.
func New(host string) (*Client, error) {
	path, isURL := strings.CutPrefix(host, "unix://")
	if !isURL && strings.Contains(host, "://") {
		return nil, fmt.Errorf("host %q: only unix sockets are supported: use unix:///path", host)
	}
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("host %q: not an absolute path: use unix:///path", host)
	}
	return &Client{host: "unix://" + path, socket: path}, nil
}

// Resume gives the client a connection over which the request of the next
// ContainerRun or ExecRun has been sent already, and what was read of its
// answer. The client owns fd.
func (c *Client) Resume(fd int, read []byte) {
	k := newConn(linux.NewStream(fd, c.socket))
	k.r = bufio.NewReader(io.MultiReader(bytes.NewReader(read), k.socket))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent, c.reached = k, true
}

// resumed gives the connection of Resume, once.
func (c *Client) resumed() *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.sent
	c.sent = nil
	return k
}

// Host names the daemon as unix:///path.
func (c *Client) Host() string { return c.host }

// Close closes the idle connections; streams in use are not touched.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, k := range c.idle {
		k.end()
	}
	c.idle = nil
}

// Error is an answer of the daemon that is not a success.
type Error struct {
	Status  int    // the HTTP status
	Message string // one line, as the daemon wrote it
}

func (e *Error) Error() string { return e.Message }

// Status gives the HTTP status of err if it is an Error of the daemon, else 0.
func Status(err error) int {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status
	}
	return 0
}

// ConnectError tells that the daemon could not be reached.
type ConnectError struct {
	Host string
	Err  error
}

func (e *ConnectError) Error() string {
	switch {
	case errors.Is(e.Err, os.ErrPermission):
		return fmt.Sprintf("permission denied on %s: run as root or join group silo", e.Host)
	case errors.Is(e.Err, syscall.ENOENT), errors.Is(e.Err, syscall.ECONNREFUSED):
		return fmt.Sprintf("no daemon answers at %s: is silod running?", e.Host)
	}
	return fmt.Sprintf("connect to %s: %v", e.Host, e.Err)
}

func (e *ConnectError) Unwrap() error { return e.Err }

// LostError tells that the daemon went away before it answered in full.
type LostError struct{ Err error }

func (e *LostError) Error() string { return fmt.Sprintf("the daemon went away: %v", e.Err) }
func (e *LostError) Unwrap() error { return e.Err }

// Unreachable tells whether err is of the connection, not of the request: the
// same request may work once the daemon is back.
func Unreachable(err error) bool {
	_, refused := errors.AsType[*ConnectError](err)
	_, lost := errors.AsType[*LostError](err)
	return refused || lost
}

// dial makes a connection.
func (c *Client) dial(ctx context.Context) (*conn, error) {
	n, err := c.connect(ctx)
	if err == nil || ctx.Err() != nil {
		return n, err
	}
	c.mu.Lock()
	first := !c.reached
	c.reached = true
	c.mu.Unlock()
	if first && c.OnUnreachable != nil {
		if err := c.OnUnreachable(err); err != nil {
			return nil, err
		}
		return c.connect(ctx)
	}
	return nil, err
}

func (c *Client) connect(ctx context.Context) (*conn, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	n, err := linux.DialStream(c.socket)
	if err != nil {
		return nil, &ConnectError{Host: c.host, Err: err}
	}
	c.mu.Lock()
	c.reached = true
	c.mu.Unlock()
	return newConn(n), nil
}

// take gives an idle connection or a new one.
func (c *Client) take(ctx context.Context) (*conn, error) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		k := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return k, nil
	}
	c.mu.Unlock()
	return c.dial(ctx)
}

func (c *Client) release(k *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= 4 {
		k.end()
		return
	}
	c.idle = append(c.idle, k)
}

// do sends a request and gives its answer, an *Error if it is no success. The
// caller closes the body. A GET is sent again if a kept connection turns out
// to be dead.
func (c *Client) do(ctx context.Context, r *request) (*response, error) {
	if err := r.named(); err != nil {
		return nil, err
	}
	for {
		k, err := c.take(ctx)
		if err != nil {
			return nil, err
		}
		used := k.used
		sent := k.sendAll(r)
		resp, err := c.answer(ctx, k, r, sent)
		if _, lost := errors.AsType[*LostError](err); lost && used && r.method == "GET" && ctx.Err() == nil {
			continue
		}
		return resp, err
	}
}

// answer reads the head of the answer to a request that was sent.
func (c *Client) answer(ctx context.Context, k *conn, r *request, sent chan error) (*response, error) {
	resp, err := k.answer(ctx, r, sent)
	if err != nil {
		k.end()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &LostError{Err: fmt.Errorf("%s %s: %w", r.method, r.path, err)}
	}
	resp.release = func() { c.release(k) }
	if resp.status < 200 || resp.status > 299 {
		return nil, answerError(resp)
	}
	return resp, nil
}

// answerError reads Docker's error body.
func answerError(resp *response) error {
	defer resp.end()
	body, _ := io.ReadAll(io.LimitReader(resp, 1<<20))
	var m struct{ Message string }
	if json.Unmarshal(body, &m) != nil || m.Message == "" {
		m.Message = strings.TrimSpace(string(body))
	}
	if m.Message == "" {
		m.Message = fmt.Sprintf("the daemon answered with status %d", resp.status)
	}
	return &Error{Status: resp.status, Message: m.Message}
}

// call sends in (nil: no body) as JSON and decodes the answer into out (nil:
// ignored).
func (c *Client) call(ctx context.Context, method, path string, q url.Values, in, out any) error {
	r := &request{method: method, path: path, query: q}
	if in != nil {
		if err := r.json(in); err != nil {
			return err
		}
	}
	resp, err := c.do(ctx, r)
	if err != nil {
		return err
	}
	defer resp.end()
	data, err := io.ReadAll(resp)
	if err != nil {
		return &LostError{Err: fmt.Errorf("%s %s: %w", method, path, err)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(data, out); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}

func (c *Client) get(ctx context.Context, path string, q url.Values, out any) error {
	return c.call(ctx, "GET", path, q, nil, out)
}

func (c *Client) post(ctx context.Context, path string, q url.Values, in, out any) error {
	return c.call(ctx, "POST", path, q, in, out)
}

// stream sends a request and gives the body of the answer, to be closed.
func (c *Client) stream(ctx context.Context, r *request) (io.ReadCloser, error) {
	resp, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// Decode calls f with each JSON value of a stream until it ends, which is no
// error, or f returns one.
func Decode[T any](r io.Reader, f func(T) error) error {
	d := json.NewDecoder(r)
	for {
		var v T
		if err := d.Decode(&v); err == io.EOF {
			return nil
		} else if err != nil {
			return &LostError{Err: err}
		}
		if err := f(v); err != nil {
			return err
		}
	}
}

// Raw is the JSON of an object as the daemon sent it, and as a type.
type Raw[T any] struct {
	JSON  []byte
	Value T
}

// answerOf sends in as JSON and gives the fields of the answer, an object.
// Answers that a short command waits for are read so: encoding/json needs no
// tables for it.
func (c *Client) answerOf(ctx context.Context, method, path string, q url.Values, in any) (map[string]any, error) {
	var v any
	if err := c.call(ctx, method, path, q, in, &v); err != nil {
		return nil, err
	}
	m, _ := v.(map[string]any)
	return m, nil
}

func raw[T any](ctx context.Context, c *Client, path string, q url.Values) (Raw[T], error) {
	var m json.RawMessage
	if err := c.get(ctx, path, q, &m); err != nil {
		return Raw[T]{}, err
	}
	r := Raw[T]{JSON: bytes.TrimSpace(m)}
	if err := json.Unmarshal(m, &r.Value); err != nil {
		return r, fmt.Errorf("GET %s: read the answer: %w", path, err)
	}
	return r, nil
}
