package daemon

import (
	"net/http"
	"path/filepath"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"

	"silo/api"
	"silo/internal/errs"
	"silo/internal/filter"
)

func (s *Server) networkList(w *response, r *request) error {
	f, err := r.filters()
	if err != nil {
		return err
	}
	list, err := s.b.Networks(r.Context(), f)
	if err != nil {
		return err
	}
	if list == nil {
		list = []network.Summary{}
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *Server) networkInspect(w *response, r *request) error {
	n, err := s.b.NetworkInspect(r.Context(), r.name)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, n)
}

func (s *Server) volumeList(w *response, r *request) error {
	f, err := r.filters()
	if err != nil {
		return err
	}
	list, err := s.b.Volumes(r.Context(), f)
	if err != nil {
		return err
	}
	if list.Volumes == nil {
		list.Volumes = []volume.Volume{}
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *Server) volumeCreate(w *response, r *request) error {
	var req volume.CreateRequest
	if err := r.optionalJSON(w, &req); err != nil {
		return err
	}
	v, err := s.b.VolumeCreate(r.Context(), req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, v)
}

func (s *Server) volumeInspect(w *response, r *request) error {
	v, err := s.b.VolumeInspect(r.Context(), r.name)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, v)
}

func (s *Server) volumeRemove(w *response, r *request) error {
	return noContent(w, s.b.VolumeRemove(r.Context(), r.name, r.flag("force")))
}

func (s *Server) volumesPrune(w *response, r *request) error {
	f, err := r.filters()
	if err != nil {
		return err
	}
	if r.version.before(42) && len(f["all"]) == 0 {
		f = withFilter(f, "all", "true") // named volumes were pruned too, then
	}
	report, err := s.b.VolumesPrune(r.Context(), f)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, report)
}

func (s *Server) imagesPrune(w *response, r *request) error {
	f, err := r.filters()
	if err != nil {
		return err
	}
	report, err := s.b.ImagesPrune(r.Context(), f)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, report)
}

// networksPrune removes nothing: the networks that there are stay. It is asked
// for by `docker system prune`.
func (s *Server) networksPrune(w *response, r *request) error {
	f, err := r.filters()
	if err != nil {
		return err
	}
	if err := f.Validate("label", "label!", "until"); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, network.PruneReport{NetworksDeleted: []string{}})
}

// buildPrune removes nothing: no build keeps anything here. It ends `docker
// system prune`.
func (s *Server) buildPrune(w *response, _ *request) error {
	return writeJSON(w, http.StatusOK, build.CachePruneReport{CachesDeleted: []string{}})
}

// withFilter adds a value without changing f.
func withFilter(f filter.Args, key, value string) filter.Args {
	out := filter.Args{}
	for k, v := range f {
		out[k] = v
	}
	out[key] = append(append([]string{}, out[key]...), value)
	return out
}

func (s *Server) siloSessions(w *response, r *request) error {
	list, err := s.b.Sessions(r.Context())
	if err != nil {
		return err
	}
	if list == nil {
		list = []api.Session{}
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *Server) siloDisks(w *response, r *request) error {
	list, err := s.b.Disks(r.Context())
	if err != nil {
		return err
	}
	if list == nil {
		list = []api.Disk{}
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *Server) siloDiskMount(w *response, r *request) error {
	var req api.DiskMountRequest
	data, err := r.body(w)
	if err != nil {
		return err
	}
	if err := decodeJSON(data, &req); err != nil {
		return err
	}
	if err := absolute(req.Path); err != nil {
		return err
	}
	return noContent(w, s.b.DiskMount(r.Context(), r.name, req))
}

func (s *Server) siloDiskUnmount(w *response, r *request) error {
	if err := absolute(r.str("path")); err != nil {
		return err
	}
	return noContent(w, s.b.DiskUnmount(r.Context(), r.str("path")))
}

func absolute(path string) error {
	if !filepath.IsAbs(path) {
		return errs.Invalidf("path %q: give an absolute path on the host", path)
	}
	return nil
}

func (s *Server) siloDoctor(w *response, r *request) error {
	checks, err := s.b.Doctor(r.Context())
	if err != nil {
		return err
	}
	if checks == nil {
		checks = []api.Check{}
	}
	return writeJSON(w, http.StatusOK, checks)
}
