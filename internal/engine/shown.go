package engine

import (
	"context"
	"os"
	"path/filepath"

	"github.com/moby/moby/api/types/container"

	"silo/api"
	"silo/internal/disk"
	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/record"
)

// shownRecord is shown.json of a container: where on the host its file system
// is shown.
type shownRecord struct {
	Format int
	Paths  []string
}

func (e *Engine) shownPath(id string) string {
	return filepath.Join(e.containersDir(), id, "shown.json")
}

func (e *Engine) shown(id string) []string {
	var r shownRecord
	_ = record.Read(e.shownPath(id), &r) // none is none
	return r.Paths
}

// DiskMount shows the file system of a container at a host path: of a running
// one the very mount it has, with its owners as the host knows them; of one
// that does not run its base and disk, with plain owners.
func (e *Engine) DiskMount(ctx context.Context, ref string, r api.DiskMountRequest) error {
	if !filepath.IsAbs(r.Path) {
		return errs.Invalidf("mount disk: %q is not an absolute path", r.Path)
	}
	if info, err := os.Stat(r.Path); err != nil || !info.IsDir() {
		return errs.Invalidf("mount disk: %s is not an existing folder: make it first", r.Path)
	}
	c, err := e.find(ref)
	if err != nil {
		return err
	}
	if !c.lock(ctx.Done()) {
		return ctx.Err()
	}
	defer c.unlock()
	m, err := e.rootOf(ctx, c)
	if err != nil {
		return err
	}
	defer m.Close()
	attrs := uint64(linux.AttrNoSuid | linux.AttrNoDev)
	if !r.Writable {
		attrs |= linux.AttrReadOnly
	}
	if err := linux.SetMountAttr(m, attrs, 0, false); err != nil {
		return err
	}
	id := c.record().ID
	rec := shownRecord{Format: recordFormat, Paths: append(e.shown(id), r.Path)}
	if err := record.Write(e.shownPath(id), rec, record.Durable); err != nil { // first, so that a sweep finds it
		return err
	}
	if err := linux.MoveMount(m, nil, r.Path); err != nil {
		e.hide(id, r.Path)
		return err
	}
	return nil
}

// rootOf gives a detached mount of a container's file system.
func (e *Engine) rootOf(ctx context.Context, c *Container) (*linux.FD, error) {
	st := c.state()
	switch st.State {
	case container.StateRunning, container.StatePaused:
		return linux.CloneRootOf(st.Agent)
	case container.StateDead, container.StateRemoving:
		return nil, errs.Conflictf("mount disk: container %s is %s", c.record().Name, st.State)
	}
	base, err := e.bases.clone(c.record().ImageID)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	c.mu.Lock()
	b := c.box
	c.mu.Unlock()
	if b != nil { // made with a standby, not started: its disk is attached
		return nil, errs.Conflictf("mount disk: container %s was never started: start it first", c.record().Name)
	}
	a, err := disk.Attach(ctx, filepath.Join(c.dir, "sandbox.vhdx"))
	if err != nil {
		return nil, err
	}
	defer a.Close()
	return e.overlay(0, base, a)
}

// DiskUnmount takes away what DiskMount has put at a path.
func (e *Engine) DiskUnmount(_ context.Context, path string) error {
	for _, c := range e.all() {
		id := c.record().ID
		for _, p := range e.shown(id) {
			if p == filepath.Clean(path) {
				err := linux.UnmountDetach(p)
				e.hide(id, p)
				return err
			}
		}
	}
	return errs.NotFoundf("unmount disk: no container's file system is shown at %s: see silo disk ls", path)
}

// hide forgets one place where a container was shown.
func (e *Engine) hide(id, path string) {
	var rest []string
	for _, p := range e.shown(id) {
		if p != path {
			rest = append(rest, p)
		}
	}
	if err := record.Write(e.shownPath(id), shownRecord{Format: recordFormat, Paths: rest}, record.Durable); err != nil {
		e.log.Error("write where a disk is shown", "container", id, "err", err)
	}
}

// unmountShown takes away all places where a container is shown.
func (e *Engine) unmountShown(id string) {
	for _, p := range e.shown(id) {
		if err := linux.UnmountDetach(p); err != nil {
			e.log.Debug("unmount", "path", p, "err", err)
		}
	}
}
