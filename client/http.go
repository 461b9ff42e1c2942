package client

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxHead bounds the head of an answer, in bytes.
const maxHead = 64 << 10

var (
	errHead  = errors.New("the answer is not HTTP")
	errChunk = errors.New("the answer's chunks are broken")
)

// request is one HTTP request. Either body is sent with its length, or stream
// in chunks, or neither.
type request struct {
	method, path string
	query        url.Values
	header       []string // key, value, key, value …
	body         []byte
	stream       io.Reader
}

// named refuses a path without the container it is about: of the daemon it would
// be no path at all.
func (r *request) named() error {
	if strings.HasPrefix(r.path, "/containers//") {
		return errors.New("invalid container name or ID: value is empty")
	}
	return nil
}

func (r *request) set(key, value string) { r.header = append(r.header, key, value) }

// json makes v the body.
func (r *request) json(v any) (err error) {
	if r.body, err = appendJSON(make([]byte, 0, 1<<10), reflect.ValueOf(v)); err != nil {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	r.set("Content-Type", "application/json")
	return nil
}

// head writes the request line and headers, and body if it has a length.
func (r *request) head() []byte {
	b := make([]byte, 0, 512+len(r.body))
	b = append(b, r.method...)
	b = append(b, ' ')
	b = append(b, r.path...)
	if len(r.query) > 0 {
		b = append(b, '?')
		b = append(b, r.query.Encode()...)
	}
	b = append(b, " HTTP/1.1\r\nHost: silo\r\nUser-Agent: silo\r\n"...)
	for i := 0; i+1 < len(r.header); i += 2 {
		b = append(b, r.header[i]...)
		b = append(b, ": "...)
		b = append(b, r.header[i+1]...)
		b = append(b, "\r\n"...)
	}
	switch {
	case r.stream != nil:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case r.body != nil || r.method == "POST" || r.method == "PUT":
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(r.body)), 10)
		b = append(b, "\r\n"...)
	}
	b = append(b, "\r\n"...)
	return append(b, r.body...)
}

// conn is one connection, used by one request at a time.
type conn struct {
	socket
	r    *bufio.Reader
	used bool // at least one request went over it
}

// socket is one end of a connection.
type socket interface {
	io.ReadWriteCloser
	CloseWrite() error
}

func newConn(n socket) *conn { return &conn{socket: n, r: bufio.NewReaderSize(n, 8<<10)} }

// end closes the connection; there is nothing to be done about an error.
func (k *conn) end() { _ = k.Close() }

// send writes a request that has no stream.
func (k *conn) send(r *request) error {
	k.used = true
	_, err := k.Write(r.head())
	return err
}

// sendAll writes a request. What goes wrong, or how sending a stream ends, is
// told on the channel, which is nil if all is sent.
func (k *conn) sendAll(r *request) chan error {
	err := k.send(r)
	if err == nil && r.stream == nil {
		return nil
	}
	sent := make(chan error, 1)
	if err != nil {
		k.end()
		sent <- err
	} else {
		go func() { sent <- k.sendChunks(r.stream) }()
	}
	return sent
}

// answer reads the head of the answer. The connection belongs to the response
// until its body has been read.
func (k *conn) answer(ctx context.Context, r *request, sent chan error) (*response, error) {
	stop := context.AfterFunc(ctx, k.end)
	resp, err := k.readHead(r)
	if err != nil {
		stop()
		if sent != nil {
			select {
			case serr := <-sent: // that it could not be sent is the better reason
				if serr != nil {
					err = serr
				}
			default:
			}
		}
		return nil, err
	}
	resp.sent, resp.stop = sent, stop
	return resp, nil
}

func (k *conn) sendChunks(src io.Reader) error {
	buf := make([]byte, 128<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			if _, werr := fmt.Fprintf(k, "%x\r\n", n); werr != nil {
				return nil // the answer tells why
			}
			if _, werr := k.Write(buf[:n]); werr != nil {
				return nil
			}
			if _, werr := io.WriteString(k, "\r\n"); werr != nil {
				return nil
			}
		}
		if err == io.EOF {
			_, _ = io.WriteString(k, "0\r\n\r\n")
			return nil
		}
		if err != nil {
			k.end() // half a body must not look whole
			return err
		}
	}
}

// readHead reads up to the body, past interim answers.
func (k *conn) readHead(r *request) (*response, error) {
	for {
		resp, err := k.readOneHead(r.method)
		if err != nil {
			return nil, err
		}
		if resp.status >= 200 || resp.status == 101 {
			return resp, nil
		}
	}
}

func (k *conn) readOneHead(method string) (*response, error) {
	budget := maxHead
	line, err := k.line(&budget)
	if err != nil {
		return nil, err
	}
	proto, rest, ok := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, nerr := strconv.Atoi(code)
	if !ok || !strings.HasPrefix(proto, "HTTP/1.") || nerr != nil || status < 100 || status > 999 {
		return nil, errHead
	}
	resp := &response{status: status, conn: k, header: map[string]string{}, left: -1, keep: proto != "HTTP/1.0"}
	for {
		line, err := k.line(&budget)
		if err != nil {
			return nil, err
		}
		if line == "" {
			break
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, errHead
		}
		resp.header[strings.ToLower(key)] = strings.TrimSpace(value)
	}
	return resp, resp.frame(method)
}

// line reads one line of a head without its end.
func (k *conn) line(budget *int) (string, error) {
	var out []byte
	for {
		part, err := k.r.ReadSlice('\n')
		if *budget -= len(part); *budget < 0 {
			return "", errHead
		}
		out = append(out, part...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			if err == io.EOF && len(out) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		return strings.TrimRight(string(out), "\r\n"), nil
	}
}

// response is the answer to a request; reading it reads the body.
type response struct {
	status  int
	header  map[string]string // keys in lower case
	conn    *conn
	chunked bool
	left    int64 // bytes left of the body or of the chunk, -1: until the end of the connection
	keep    bool
	stop    func() bool
	sent    chan error
	release func() // gives the connection back

	once sync.Once
	done bool // the body has been read to its end
	err  error
}

// frame finds out how the body ends (RFC 9112, 6.3).
func (r *response) frame(method string) error {
	if strings.EqualFold(r.header["connection"], "close") {
		r.keep = false
	}
	switch {
	case r.status == 101:
		return nil
	case method == "HEAD" || r.status < 200 || r.status == 204 || r.status == 304:
		r.left, r.done = 0, true
	case strings.EqualFold(r.header["transfer-encoding"], "chunked"):
		r.chunked, r.left = true, 0
	case r.header["content-length"] != "":
		n, err := strconv.ParseInt(r.header["content-length"], 10, 64)
		if err != nil || n < 0 {
			return errHead
		}
		r.left, r.done = n, n == 0
	default:
		r.keep = false
	}
	return nil
}

func (r *response) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.read(p)
	if err != nil {
		r.err = err
		r.finish()
	}
	return n, err
}

func (r *response) read(p []byte) (int, error) {
	if r.done {
		return 0, io.EOF
	}
	if r.chunked && r.left == 0 {
		if err := r.nextChunk(); err != nil {
			return 0, err
		}
	}
	if r.left >= 0 && int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.conn.r.Read(p)
	if r.left < 0 {
		r.done = errors.Is(err, io.EOF)
		return n, err
	}
	r.left -= int64(n)
	if errors.Is(err, io.EOF) && r.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && r.left == 0 {
		if r.chunked {
			err = r.endChunk()
		} else {
			r.done = true
		}
	}
	return n, err
}

// nextChunk reads the size of a chunk, and the trailers after the last one.
func (r *response) nextChunk() error {
	budget := maxHead
	line, err := r.conn.line(&budget)
	if err != nil {
		return unexpected(err)
	}
	size, _, _ := strings.Cut(line, ";")
	n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 63)
	if err != nil {
		return errChunk
	}
	if n > 0 {
		r.left = int64(n)
		return nil
	}
	for {
		line, err := r.conn.line(&budget)
		if err != nil {
			return unexpected(err)
		}
		if line == "" {
			r.done = true
			return io.EOF
		}
	}
}

func (r *response) endChunk() error {
	budget := 2
	line, err := r.conn.line(&budget)
	if err != nil {
		return unexpected(err)
	}
	if line != "" {
		return errChunk
	}
	return nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Close is end.
func (r *response) Close() error {
	r.end()
	return nil
}

// end gives the connection back if the body was read to its end, else closes
// it.
func (r *response) end() {
	if r.done && r.err == nil {
		r.err = io.EOF
	}
	r.finish()
}

func (r *response) finish() {
	r.once.Do(func() {
		running := r.stop != nil && !r.stop()
		if r.sent != nil {
			select {
			case err := <-r.sent:
				r.keep = r.keep && err == nil
			case <-time.After(time.Second): // the daemon answered without reading it all
				r.keep = false
			}
		}
		if r.done && r.keep && !running && r.release != nil && r.conn.r.Buffered() == 0 {
			r.release()
			return
		}
		r.conn.end()
	})
}
