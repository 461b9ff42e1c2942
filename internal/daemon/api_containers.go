package daemon

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/moby/moby/api/types/container"

	"silo/internal/engine"
	"silo/internal/errs"
)

// noContent answers that it is done.
func noContent(w *response, err error) error {
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (s *Server) containerList(w *response, r *request) error {
	f, err := r.filters()
	if err != nil {
		return err
	}
	limit, err := r.integer("limit")
	if err != nil {
		return err
	}
	o := engine.ListOptions{All: r.flag("all"), Size: r.flag("size"), Filters: f}
	if limit != nil && *limit > 0 {
		o.Limit = *limit
	}
	// since and before have been filters for long; the parameters remain.
	for _, key := range []string{"since", "before"} {
		if v := r.str(key); v != "" {
			o.Filters = withFilter(o.Filters, key, v)
		}
	}
	list, err := s.b.Containers(r.Context(), o)
	if err != nil {
		return err
	}
	if r.wantsText() {
		return writeContainers(w, r, list)
	}
	if list == nil {
		list = []container.Summary{}
	}
	for i := range list {
		oldContainerSummary(r.version, &list[i])
	}
	return writeJSON(w, http.StatusOK, list)
}

func (s *Server) containerCreate(w *response, r *request) error {
	data, err := r.body(w)
	if err != nil {
		return err
	}
	c, err := decodeCreate(r.version, data)
	if err != nil {
		return err
	}
	o := engine.CreateOptions{Name: r.str("name"), Config: c.Config, HostConfig: c.HostConfig, NetworkingConfig: c.NetworkingConfig}
	if !r.version.before(41) {
		o.Platform = r.str("platform")
	}
	resp, err := s.b.ContainerCreate(r.Context(), o)
	if err != nil {
		return err
	}
	resp.Warnings = append(append([]string{}, resp.Warnings...), c.warnings...)
	return writeJSON(w, http.StatusCreated, resp)
}

func (s *Server) containerInspect(w *response, r *request) error {
	c, err := s.b.ContainerInspect(r.Context(), r.name, r.flag("size"))
	if err != nil {
		return err
	}
	v, err := oldContainerInspect(r.version, c)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, v)
}

func (s *Server) containerStart(w *response, r *request) error {
	// A body of "{}" or "null" has always been let through.
	if r.ContentLength > 7 || r.ContentLength == -1 {
		return errs.Invalidf("starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24")
	}
	if err := r.refuse("checkpoint", "checkpoint-dir"); err != nil {
		return err
	}
	return noContent(w, s.b.ContainerStart(r.Context(), r.name))
}

func stopOptions(r *request) (o engine.StopOptions, err error) {
	if !r.version.before(42) {
		o.Signal = r.str("signal")
	}
	o.Timeout, err = r.integer("t")
	return o, err
}

func (s *Server) containerStop(w *response, r *request) error {
	o, err := stopOptions(r)
	if err != nil {
		return err
	}
	return noContent(w, s.b.ContainerStop(r.Context(), r.name, o))
}

func (s *Server) containerRestart(w *response, r *request) error {
	o, err := stopOptions(r)
	if err != nil {
		return err
	}
	return noContent(w, s.b.ContainerRestart(r.Context(), r.name, o))
}

func (s *Server) containerKill(w *response, r *request) error {
	return noContent(w, s.b.ContainerKill(r.Context(), r.name, r.str("signal")))
}

func (s *Server) containerPause(w *response, r *request) error {
	return noContent(w, s.b.ContainerPause(r.Context(), r.name))
}

func (s *Server) containerUnpause(w *response, r *request) error {
	return noContent(w, s.b.ContainerUnpause(r.Context(), r.name))
}

func (s *Server) containerWait(w *response, r *request) error {
	condition := container.WaitConditionNotRunning
	switch c := container.WaitCondition(r.str("condition")); c {
	case "":
	case container.WaitConditionNotRunning, container.WaitConditionNextExit, container.WaitConditionRemoved:
		condition = c
	default:
		return errs.Invalidf("invalid condition: %q", string(c))
	}
	ctx, cancel := s.streaming(r)
	defer cancel()
	result, err := s.b.ContainerWait(ctx, r.name, condition)
	if err != nil {
		return err
	}
	select {
	case got, ok := <-result: // it has ended already
		if !ok {
			return ctx.Err()
		}
		return writeJSON(w, http.StatusOK, waitResponse(got))
	default:
	}
	// The client starts the container when it has this answer's head.
	w.begin("application/json")
	select {
	case got, ok := <-result:
		if !ok {
			return ctx.Err()
		}
		return json.NewEncoder(w).Encode(waitResponse(got))
	case <-ctx.Done():
		return ctx.Err() // cuts the connection: no exit code is better than a wrong one
	}
}

func waitResponse(r engine.WaitResult) container.WaitResponse {
	out := container.WaitResponse{StatusCode: int64(r.ExitCode)}
	if r.Err != nil {
		out.Error = &container.WaitExitError{Message: r.Err.Error()}
	}
	return out
}

func (s *Server) containerAttach(w *response, r *request) error {
	// A body means nothing here (clients put the options of the query in it too);
	// left there it would be the container's input.
	if r.ContentLength > 0 {
		if _, err := io.CopyN(io.Discard, r.Body, min(r.ContentLength, 1<<20)); err != nil {
			return errs.Invalidf("read the body of the request: %v", err)
		}
	}
	return s.b.ContainerAttach(unbound(r), r.name, engine.AttachOptions{
		Stdin: r.flag("stdin"), Stdout: r.flag("stdout"), Stderr: r.flag("stderr"),
		Stream: r.flag("stream"), Logs: r.flag("logs"), DetachKeys: r.str("detachKeys"),
	}, hijacker(w, r))
}

func (s *Server) containerResize(w *response, r *request) error {
	height, width, err := r.size()
	if err != nil {
		return err
	}
	if err := s.b.ContainerResize(r.Context(), r.name, height, width); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) containerRename(w *response, r *request) error {
	name := strings.TrimPrefix(r.str("name"), "/")
	if name == "" {
		return errs.Invalidf("rename container %s: no new name: give the parameter name", r.name)
	}
	return noContent(w, s.b.ContainerRename(r.Context(), r.name, name))
}

func (s *Server) containerRemove(w *response, r *request) error {
	if r.flag("link") {
		return errs.New(errs.NotSupported, "remove container %s: links are not supported", r.name)
	}
	return noContent(w, s.b.ContainerRemove(r.Context(), r.name, engine.RemoveOptions{Force: r.flag("force"), Volumes: r.flag("v")}))
}

func (s *Server) containerTop(w *response, r *request) error {
	top, err := s.b.ContainerTop(r.Context(), r.name, r.str("ps_args"))
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, top)
}

func (s *Server) containerStats(w *response, r *request) error {
	stream := r.flagOr("stream", true)
	oneShot := !r.version.before(41) && r.flag("one-shot")
	if stream && oneShot {
		return errs.Invalidf("cannot have stream=true and one-shot=true")
	}
	ctx, cancel := s.streaming(r)
	defer cancel()
	samples, err := s.b.ContainerStats(ctx, r.name, stream, oneShot)
	if err != nil {
		return err
	}
	if stream {
		w.begin("application/json")
	}
	enc := json.NewEncoder(w)
	for {
		select {
		case sample, ok := <-samples:
			if !ok {
				return nil
			}
			if !stream {
				return writeJSON(w, http.StatusOK, sample)
			}
			if err := enc.Encode(sample); err != nil {
				return err
			}
			w.flush()
		case <-ctx.Done():
			return nil // a stream without end has no wrong one
		}
	}
}

func (s *Server) containerUpdate(w *response, r *request) error {
	var u container.UpdateConfig
	data, err := r.body(w)
	if err != nil {
		return err
	}
	if err := decodeJSON(data, &u); err != nil {
		return err
	}
	if u.PidsLimit != nil && *u.PidsLimit < 0 {
		u.PidsLimit = new(int64) // every negative number has always meant no limit
	}
	resp, err := s.b.ContainerUpdate(r.Context(), r.name, u)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, resp)
}

func (s *Server) containersPrune(w *response, r *request) error {
	f, err := r.filters()
	if err != nil {
		return err
	}
	report, err := s.b.ContainersPrune(r.Context(), f)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, report)
}
