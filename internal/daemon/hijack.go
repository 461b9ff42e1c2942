package daemon

import (
	"fmt"
	"net"
	"net/http"

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
