package daemon

import (
	"context"
	"net/http"

	"github.com/moby/moby/api/types/container"

	"silo/internal/engine"
	"silo/internal/errs"
)

// unbound is the context of a request whose connection will be handed over:
// a client that has sent all its input may close that direction at once,
// which looks to the HTTP server like hanging up.
func unbound(r *request) context.Context { return context.WithoutCancel(r.Context()) }

func (s *Server) execCreate(w *response, r *request) error {
	var req container.ExecCreateRequest
	data, err := r.body(w)
	if err == nil && (len(data) > 0 || r.ContentLength > 0) {
		err = decodeCommand(data, &req)
	}
	if err != nil {
		return err
	}
	if len(req.Cmd) == 0 {
		return errs.Invalidf("No exec command specified")
	}
	if r.version.before(42) {
		req.ConsoleSize = nil
	}
	id, err := s.b.ExecCreate(r.Context(), r.name, req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, container.ExecCreateResponse{ID: id})
}

func (s *Server) execStart(w *response, r *request) error {
	var req container.ExecStartRequest
	if err := r.optionalJSON(w, &req); err != nil {
		return err
	}
	o := engine.ExecStartOptions{Detach: req.Detach, TTY: req.Tty}
	if req.Tty && !r.version.before(42) {
		o.ConsoleSize = req.ConsoleSize
	}
	if req.Detach {
		if err := s.b.ExecStart(r.Context(), r.name, o); err != nil {
			return err
		}
		w.WriteHeader(http.StatusOK)
		return nil
	}
	o.Hijack = hijacker(w, r)
	return s.b.ExecStart(unbound(r), r.name, o)
}

func (s *Server) execResize(w *response, r *request) error {
	height, width, err := r.size()
	if err != nil {
		return err
	}
	if err := s.b.ExecResize(r.Context(), r.name, height, width); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) execInspect(w *response, r *request) error {
	info, err := s.b.ExecInspect(r.Context(), r.name)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, info)
}
