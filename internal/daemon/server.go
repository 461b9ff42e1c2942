package daemon

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os/user"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"silo/internal/errs"
	"silo/internal/linux"
)

// Group is the system group whose members may use the API beside root.
const Group = "silo"

// readHeaderTimeout is how long a client may take over its request's head.
const readHeaderTimeout = 30 * time.Second

// Build says what GET /version tells about the program.
type Build struct {
	Version string // such as 0.1.0
	Commit  string // of its source, may be empty
	Time    string // RFC 3339, may be empty
}

// Server is the API over a Backend.
type Server struct {
	b     Backend
	log   *slog.Logger
	build Build
	group int // id of Group, -1 if there is none

	http     http.Server
	stopping context.Context // ends when streams must end
	stop     context.CancelFunc
}

// NewServer makes a server; it serves nothing until Serve.
func NewServer(b Backend, log *slog.Logger, build Build) *Server {
	s := &Server{b: b, log: log, build: build, group: groupID()}
	s.stopping, s.stop = context.WithCancel(context.Background())
	s.http = http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if sc, ok := c.(syscall.Conn); ok && c.LocalAddr().Network() == "unix" {
				if p, err := linux.PeerOf(sc); err == nil {
					return context.WithValue(ctx, peerKey{}, p)
				}
			}
			return ctx
		},
	}
	return s
}

func groupID() int {
	g, err := user.LookupGroup(Group)
	if err != nil {
		return -1
	}
	id, err := strconv.Atoi(g.Gid)
	if err != nil {
		return -1
	}
	return id
}

type peerKey struct{}

// Serve answers requests on l until Shutdown; then it gives nil. It may run
// for several listeners at once.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown takes no new requests, ends streams (events, followed logs, waits),
// lets other requests finish until ctx ends, and then cuts them. Connections
// that the engine took over stay as they are.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stop()
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
		return fmt.Errorf("shut down the API: requests were cut: %w", err)
	}
	return nil
}

// streaming gives a context that ends with the request or with the server.
func (s *Server) streaming(r *request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(r.Context())
	unlink := context.AfterFunc(s.stopping, cancel)
	return ctx, func() { unlink(); cancel() }
}

// response notes what has been answered.
type response struct {
	http.ResponseWriter
	status   int // 0: nothing yet
	hijacked bool
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

func (w *response) flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

func (w *response) hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(rw http.ResponseWriter, hr *http.Request) {
	w := &response{ResponseWriter: rw}
	start := time.Now()
	id := requestID(hr)
	log := s.log.With("request", id)
	h := w.Header()
	h.Set("Api-Version", MaxAPIVersion)
	h.Set("Docker-Experimental", "false")
	h.Set("Ostype", runtime.GOOS)
	h.Set("Server", "Silo/"+s.build.Version+" ("+runtime.GOOS+")")
	h.Set("X-Request-Id", id)

	err := s.guarded(w, hr, log)
	abort := false
	if err != nil {
		switch {
		case w.hijacked:
			// The engine has the connection: nothing can be said on it here.
		case w.status == 0:
			writeError(w, err)
		default:
			abort = true // or the answer would look complete
		}
	}
	s.logRequest(log, hr, w, err, time.Since(start))
	if abort {
		panic(http.ErrAbortHandler)
	}
}

func (s *Server) logRequest(log *slog.Logger, hr *http.Request, w *response, err error, took time.Duration) {
	level := slog.LevelDebug
	if err != nil && errs.KindOf(err) == errs.Internal && hr.Context().Err() == nil {
		level = slog.LevelError
	}
	if !log.Enabled(hr.Context(), level) {
		return
	}
	attrs := []slog.Attr{slog.String("method", hr.Method), slog.String("path", hr.URL.Path), slog.Int("status", w.status), slog.Duration("took", took)}
	if p, ok := hr.Context().Value(peerKey{}).(*linux.Peer); ok {
		attrs = append(attrs, slog.Int("pid", int(p.PID)), slog.Int("uid", int(p.UID)))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", err.Error()))
	}
	log.LogAttrs(hr.Context(), level, "request", attrs...)
}

// guarded turns a panic of a handler into an error.
func (s *Server) guarded(w *response, hr *http.Request, log *slog.Logger) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("a handler panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = fmt.Errorf("internal fault in %s %s: see the daemon's log, request %s", hr.Method, hr.URL.Path, w.Header().Get("X-Request-Id"))
		}
	}()
	return s.serve(w, hr)
}

func (s *Server) serve(w *response, hr *http.Request) error {
	v, path, err := splitVersion(hr.URL.Path)
	if err != nil {
		return err
	}
	route, name := find(hr.Method, path)
	if route == nil {
		if what := notSupported(path); what != "" {
			return errs.New(errs.NotSupported, "%s is not supported", what)
		}
		return errs.NotFoundf("page not found")
	}
	peer, _ := hr.Context().Value(peerKey{}).(*linux.Peer)
	if err := route.access.allow(peer, s); err != nil {
		return err
	}
	query, err := url.ParseQuery(hr.URL.RawQuery)
	if err != nil {
		return errs.Invalidf("invalid query: %v", err)
	}
	return route.handle(s, w, &request{Request: hr, version: v, name: name, query: query})
}

// requestID is the client's own, if it is fit for a log, or a new one.
func requestID(r *http.Request) string {
	if id := r.Header.Get("X-Request-Id"); id != "" && len(id) <= 64 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == "" {
		return id
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, see crypto/rand
	return hex.EncodeToString(b[:])
}
