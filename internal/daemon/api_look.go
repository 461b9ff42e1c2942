package daemon

import (
	"io"
	"net/http"
	"strconv"

	"github.com/moby/moby/api/types/container"

	"silo/api"
	"silo/internal/errs"
	"silo/internal/listing"
)

func (s *Server) siloProperties(w *response, r *request) error {
	p, err := s.b.Properties(r.Context(), r.name)
	if err != nil {
		return err
	}
	if r.wantsText() {
		return writeText(w, func(w io.Writer) error { return listing.Properties(w, &p) })
	}
	return writeJSON(w, http.StatusOK, p)
}

func (s *Server) siloSession(w *response, r *request) error {
	n, err := sessionNumber(r.name)
	if err != nil {
		return err
	}
	d, err := s.b.Session(r.Context(), n)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, d)
}

func (s *Server) siloSessionLog(w *response, r *request) error {
	n, err := sessionNumber(r.name)
	if err != nil {
		return err
	}
	list, err := s.b.SessionLog(r.Context(), n)
	if err != nil {
		return err
	}
	if list == nil {
		list = []api.SessionRecord{}
	}
	return writeJSON(w, http.StatusOK, list)
}

func sessionNumber(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, errs.Invalidf("session %q: give a number, see silo session ls", text)
	}
	return uint32(n), nil
}

func (s *Server) siloTool(w *response, r *request) error {
	var req container.ExecCreateRequest
	if err := r.optionalJSON(w, &req); err != nil {
		return err
	}
	if len(req.Cmd) == 0 {
		return errs.Invalidf("no tool specified")
	}
	id, err := s.b.ToolCreate(r.Context(), r.name, req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, container.ExecCreateResponse{ID: id})
}
