package daemon

import (
	"github.com/moby/moby/api/types/container"

	"silo/internal/engine"
)

// siloRun is POST /silo/run: create, attach, start and wait in one request.
func (s *Server) siloRun(w *response, r *request) error {
	data, err := r.body(w)
	if err != nil {
		return err
	}
	c, err := decodeCreate(r.version, data)
	if err != nil {
		return err
	}
	take, settle := takeover(w)
	return settle(s.b.ContainerRun(unbound(r), engine.RunOptions{
		CreateOptions: engine.CreateOptions{
			Name: r.str("name"), Platform: r.str("platform"), Config: c.Config, HostConfig: c.HostConfig, NetworkingConfig: c.NetworkingConfig,
		},
		Stdin: r.flag("stdin"), Stdout: r.flag("stdout"), Stderr: r.flag("stderr"), DetachKeys: r.str("detachKeys"),
		Warnings: c.warnings, Takeover: take,
	}))
}

// siloExec is POST /silo/exec/{container}: exec create, start and inspect in
// one request.
func (s *Server) siloExec(w *response, r *request) error {
	var req container.ExecCreateRequest
	if err := r.optionalJSON(w, &req); err != nil {
		return err
	}
	take, settle := takeover(w)
	return settle(s.b.ExecRun(unbound(r), r.name, req, take))
}
