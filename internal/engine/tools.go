package engine

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/moby/moby/api/types/container"

	"silo/images"
	"silo/internal/errs"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
	"silo/internal/record"
)

// toolBox is the one program of the image core that is every tool, by the name
// it is called with.
const toolBox = "bin/sysbox"

// toolImage is the built-in image that has it.
const toolImage = "core"

// ToolCreate prepares a tool of the image core in a running container of any
// image. ExecStart runs it as it runs other commands.
func (e *Engine) ToolCreate(ctx context.Context, ref string, r container.ExecCreateRequest) (string, error) {
	box, err := e.openTools()
	if err != nil {
		return "", err
	}
	box.Close()
	id, err := e.ExecCreate(ctx, ref, r)
	if err != nil {
		return "", err
	}
	x, err := e.findExec(id)
	if err != nil {
		return "", err
	}
	x.mu.Lock()
	x.tool = true
	x.mu.Unlock()
	return id, nil
}

// openTools opens the box in the base of the built-in image, not in what a
// user may have tagged with its name.
func (e *Engine) openTools() (*linux.FD, error) {
	var r builtinRecord
	if err := record.Read(filepath.Join(e.o.Data, "builtin.json"), &r); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	id := ""
	for _, a := range images.Builtin() {
		for _, ref := range []string{r.IDs[a.Name], a.Reference()} {
			if img, err := e.images.Resolve(ref); id == "" && a.Name == toolImage && err == nil && img.Builtin == a.Reference() {
				id = img.ID
			}
		}
	}
	if id == "" {
		return nil, errs.New(errs.Unavailable, "tools: the built-in image %s is not here: restart silod, which brings it back", toolImage)
	}
	base, err := e.bases.clone(id)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	box, err := linux.OpenIn(base, toolBox, linux.ORdonly, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.New(errs.NotSupported, "tools: the image %s has no /%s", toolImage, toolBox)
	}
	return box, err
}

// runProgram starts an exec: of the container's image, or of the tools.
func (e *Engine) runProgram(ctx context.Context, x *execution, req wire.Exec, conn *linux.FD) (wire.Started, error) {
	x.mu.Lock()
	tool := x.tool
	x.mu.Unlock()
	if !tool {
		return e.keep().Exec(ctx, req, conn)
	}
	box, err := e.openTools()
	if err != nil {
		return wire.Started{}, err
	}
	defer box.Close()
	return e.keep().ExecProgram(ctx, req, box, conn)
}
