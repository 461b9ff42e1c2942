package daemon

import (
	"encoding/json"
	"net/http"
	"os"
	"runtime"
	"strings"

	"github.com/moby/moby/api/types"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/system"

	"silo/internal/errs"
)

func (s *Server) ping(w *response, r *request) error {
	h := w.Header()
	h.Set("Cache-Control", "no-cache, no-store, must-revalidate")
	h.Set("Pragma", "no-cache")
	h.Set("Builder-Version", "1") // there is no BuildKit to talk to
	h.Set("Swarm", "inactive")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method == http.MethodHead {
		h.Set("Content-Length", "0")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	_, err := w.Write([]byte("OK"))
	return err
}

func (s *Server) versionInfo(w *response, _ *request) error {
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	v := system.VersionResponse{
		Platform: system.PlatformInfo{Name: "Silo"},
		Version:  s.build.Version, APIVersion: MaxAPIVersion, MinAPIVersion: MinAPIVersion,
		Os: runtime.GOOS, Arch: runtime.GOARCH,
		GitCommit: s.build.Commit, GoVersion: runtime.Version(), BuildTime: s.build.Time,
		KernelVersion: strings.TrimSpace(string(kernel)),
	}
	details := map[string]string{
		"ApiVersion": v.APIVersion, "MinAPIVersion": v.MinAPIVersion, "Os": v.Os, "Arch": v.Arch,
		"GitCommit": v.GitCommit, "GoVersion": v.GoVersion, "BuildTime": v.BuildTime, "KernelVersion": v.KernelVersion, "Experimental": "false",
	}
	v.Components = []system.ComponentVersion{{Name: "Engine", Version: v.Version, Details: details}}
	return writeJSON(w, http.StatusOK, v)
}

func (s *Server) info(w *response, r *request) error {
	info, err := s.b.Info(r.Context())
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, info)
}

func (s *Server) diskUsage(w *response, r *request) error {
	want := map[system.DiskUsageObject]bool{}
	all := []system.DiskUsageObject{system.ContainerObject, system.ImageObject, system.VolumeObject, system.BuildCacheObject}
	for _, o := range all {
		want[o] = r.version.before(42) || !r.query.Has("type")
	}
	for _, t := range r.query["type"] {
		if _, ok := want[system.DiskUsageObject(t)]; !ok {
			return errs.Invalidf("unknown object type: %s", t)
		}
		want[system.DiskUsageObject(t)] = true
	}
	du, err := s.b.DiskUsage(r.Context())
	if err != nil {
		return err
	}
	if !want[system.ContainerObject] {
		du.ContainerUsage = nil
	}
	if !want[system.ImageObject] {
		du.ImageUsage = nil
	}
	if !want[system.VolumeObject] {
		du.VolumeUsage = nil
	}
	if !want[system.BuildCacheObject] {
		du.BuildCacheUsage = nil
	}
	return writeJSON(w, http.StatusOK, oldDiskUsage(r.version, du, !r.version.before(52) && r.flag("verbose")))
}

// eventTypes are the forms of an event stream that a client may ask for, in
// the order of our preference.
var eventTypes = []string{types.MediaTypeJSONLines, types.MediaTypeNDJSON, types.MediaTypeJSONSequence}

func (s *Server) events(w *response, r *request) error {
	since, err := r.time("since")
	if err != nil {
		return err
	}
	until, err := r.time("until")
	if err != nil {
		return err
	}
	if !until.IsZero() && until.Before(since) {
		return errs.Invalidf("`since` time (%s) cannot be after `until` time (%s)", r.str("since"), r.str("until"))
	}
	f, err := r.filters()
	if err != nil {
		return err
	}
	ctx, cancel := s.streaming(r)
	defer cancel()
	stream, err := s.b.Events(ctx, since, until, f)
	if err != nil {
		return err
	}
	contentType := types.MediaTypeJSON // not true of a stream, but the default since the beginning
	for _, t := range eventTypes {
		if strings.Contains(strings.Join(r.Header["Accept"], ","), t) {
			contentType = t
			break
		}
	}
	w.begin(contentType)
	for {
		select {
		case m, ok := <-stream:
			if !ok {
				return nil
			}
			if err := writeEvent(w, r.version, contentType, m); err != nil {
				return nil // the client has gone
			}
			if len(stream) == 0 {
				w.flush()
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func writeEvent(w *response, v version, contentType string, m events.Message) error {
	out, err := json.Marshal(oldEvent(v, m))
	if err != nil {
		return err
	}
	if contentType == types.MediaTypeJSONSequence {
		out = append([]byte{0x1e}, out...) // RFC 7464
	}
	_, err = w.Write(append(out, '\n'))
	return err
}
