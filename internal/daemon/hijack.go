package daemon

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/moby/moby/api/types"

	"silo/internal/engine"
)

// hijacker gives the engine a way to take the connection of a request. Until
// it does, errors are ordinary answers; afterwards the connection is its own,
// and the server neither reads, writes nor closes it.
func hijacker(w *response, r *request) engine.Hijack {
	return func(multiplexed bool) (net.Conn, []byte, error) {
		header := w.Header().Clone()
		conn, rw, err := w.hijack()
		if err != nil {
			return nil, nil, fmt.Errorf("take over the connection: %w", err)
		}
		w.hijacked = true
		w.status = http.StatusOK
		head := "HTTP/1.1 200 OK\r\n"
		header.Set("Content-Type", types.MediaTypeRawStream)
		if r.Header.Get("Upgrade") != "" {
			w.status = http.StatusSwitchingProtocols
			head = "HTTP/1.1 101 UPGRADED\r\n"
			header.Set("Connection", "Upgrade")
			header.Set("Upgrade", "tcp")
			if multiplexed && !r.version.before(42) {
				header.Set("Content-Type", types.MediaTypeMultiplexedStream)
			}
		}
		// Bytes after the head that the HTTP reader holds already: a client
		// need not wait for the answer before it sends input.
		buffered := make([]byte, rw.Reader.Buffered())
		if _, err = rw.Reader.Read(buffered); err == nil || len(buffered) == 0 {
			if _, err = rw.WriteString(head); err == nil {
				if err = header.Write(rw); err == nil {
					if _, err = rw.WriteString("\r\n"); err == nil {
						err = rw.Flush()
					}
				}
			}
		}
		if err != nil {
			conn.Close()
			return nil, nil, fmt.Errorf("take over the connection: %w", err)
		}
		return conn, buffered, nil
	}
}

// takeover gives the engine a way to hand a request's connection on before it
// is answered. settle, with what became of it, answers an error and closes this
// side's copy.
func takeover(w *response) (take engine.Takeover, settle func(error) error) {
	var conn net.Conn
	take = func(extra map[string]string) (net.Conn, []byte, []byte, error) {
		header := w.Header().Clone()
		var rw *bufio.ReadWriter
		var err error
		if conn, rw, err = w.hijack(); err != nil {
			return nil, nil, nil, fmt.Errorf("take over the connection: %w", err)
		}
		w.hijacked, w.status = true, http.StatusSwitchingProtocols
		header.Set("Connection", "Upgrade")
		header.Set("Upgrade", "tcp")
		header.Set("Content-Type", types.MediaTypeMultiplexedStream)
		for k, v := range extra {
			header.Set(k, v)
		}
		var head bytes.Buffer
		head.WriteString("HTTP/1.1 101 UPGRADED\r\n")
		_ = header.Write(&head) // memory takes it all
		head.WriteString("\r\n")
		buffered := make([]byte, rw.Reader.Buffered())
		_, err = io.ReadFull(rw, buffered)
		return conn, head.Bytes(), buffered, err
	}
	return take, func(err error) error {
		if conn == nil {
			return err
		}
		defer conn.Close()
		if err != nil {
			_ = conn.SetWriteDeadline(time.Now().Add(time.Second)) // it may read nothing
			_, _ = conn.Write(rawError(w, err))
		}
		return err
	}
}

// rawError is an error's answer on a connection that was taken over.
func rawError(w *response, err error) []byte {
	rec := &rawResponse{header: w.Header().Clone()}
	rec.header.Set("Connection", "close")
	writeError(rec, err)
	w.status = rec.status
	var out bytes.Buffer
	fmt.Fprintf(&out, "HTTP/1.1 %d %s\r\n", rec.status, http.StatusText(rec.status))
	_ = rec.header.Write(&out)
	out.WriteString("\r\n")
	out.Write(rec.body)
	return out.Bytes()
}

// rawResponse collects an answer.
type rawResponse struct {
	header http.Header
	status int
	body   []byte
}

func (r *rawResponse) Header() http.Header    { return r.header }
func (r *rawResponse) WriteHeader(status int) { r.status = status }
func (r *rawResponse) Write(p []byte) (int, error) {
	r.body = append(r.body, p...)
	return len(p), nil
}
