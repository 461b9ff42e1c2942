package daemon

import (
	"net/http"

	"silo/api"
)

func (s *Server) siloServices(w *response, r *request) error {
	list, err := s.b.Services(r.Context(), r.name)
	return writeServices(w, list, err)
}

func (s *Server) siloServiceAction(w *response, r *request) error {
	var req api.ServiceRequest
	data, err := r.body(w)
	if err != nil {
		return err
	}
	if err := decodeJSON(data, &req); err != nil {
		return err
	}
	list, err := s.b.ServiceAction(r.Context(), r.name, req)
	return writeServices(w, list, err)
}

func writeServices(w *response, list []api.Service, err error) error {
	if err != nil {
		return err
	}
	if list == nil {
		list = []api.Service{}
	}
	return writeJSON(w, http.StatusOK, list)
}
