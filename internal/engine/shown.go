package engine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/moby/moby/api/types/container"

	"silo/api"
	"silo/internal/disk"
	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/record"
)

// shownRecord is shown.json of a container: where on the host its file system
// is shown, and as which mount.
type shownRecord struct {
	Format int
	Paths  []string
	Mounts []uint64 // linux.MountID of each
}

func (e *Engine) shownPath(id string) string {
	return filepath.Join(e.containersDir(), id, "shown.json")
}

func (e *Engine) readShown(id string) (r shownRecord) {
	_ = record.Read(e.shownPath(id), &r) // none is none
	r.Format = recordFormat
	for len(r.Mounts) < len(r.Paths) { // written by an earlier Silo
		r.Mounts = append(r.Mounts, 0)
	}
	return r
}

// shown lists where a container's file system is shown.
func (e *Engine) shown(id string) []string { return e.readShown(id).Paths }

// checkNotShown refuses a start while the container is shown somewhere: its disk
// is in use there.
func (e *Engine) checkNotShown(c *Container) error {
	r := c.record()
	if list := e.shown(r.ID); len(list) > 0 {
		return errs.Conflictf("container %s is shown at %s: silo disk unmount %s first", r.Name, list[0], list[0])
	}
	return nil
}

// takeAway unmounts one of the places: what we have put there, nothing else. One
// that somebody has unmounted already is no error.
func (r *shownRecord) takeAway(i int) error {
	var err error
	if r.Mounts[i] == 0 {
		err = linux.UnmountDetach(r.Paths[i])
	} else {
		err = linux.UnmountOverlay(r.Paths[i], r.Mounts[i])
	}
	if errors.Is(err, linux.ErrAbsent) || linux.IsErrno(err, syscall.EINVAL) { // umount(2): not a mount point
		return nil
	}
	return err
}

// DiskMount shows the file system of a container at a host path: of a running
// one the very mount it has, with its owners as the host knows them; of one
// that does not run its base and disk, with plain owners.
func (e *Engine) DiskMount(ctx context.Context, ref string, r api.DiskMountRequest) error {
	if !filepath.IsAbs(r.Path) {
		return errs.Invalidf("mount disk: %q is not an absolute path", r.Path)
	}
	path, err := filepath.EvalSymlinks(r.Path) // a mount is put on a folder, not on a link to one
	if info, serr := os.Stat(path); err != nil || serr != nil || !info.IsDir() {
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
	e.showing.Lock()
	defer e.showing.Unlock()
	for _, other := range e.all() {
		if slices.Contains(e.shown(other.record().ID), path) {
			return errs.Conflictf("mount disk: container %s is shown at %s: silo disk unmount %s first", other.record().Name, r.Path, r.Path)
		}
	}
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
	mount, err := linux.MountID(m)
	if err != nil {
		return err
	}
	id := c.record().ID
	rec := e.readShown(id)
	rec.Paths, rec.Mounts = append(rec.Paths, path), append(rec.Mounts, mount)
	if err := record.Write(e.shownPath(id), rec, record.Durable); err != nil { // first, so that a sweep finds it
		return err
	}
	if err := linux.MoveMount(m, nil, path); err != nil {
		e.hide(id, path)
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
		if shown := e.checkNotShown(c); shown != nil { // it is attached there
			err = shown
		}
		return nil, err
	}
	defer a.Close()
	return e.overlay(0, base, a)
}

// DiskUnmount takes away what DiskMount has put at a path.
func (e *Engine) DiskUnmount(ctx context.Context, path string) error {
	path = filepath.Clean(path)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	for _, c := range e.all() {
		if !slices.Contains(e.shown(c.record().ID), path) {
			continue
		}
		if !c.lock(ctx.Done()) {
			return ctx.Err()
		}
		defer c.unlock()
		id := c.record().ID
		r := e.readShown(id)
		if i := slices.Index(r.Paths, path); i >= 0 {
			if err := r.takeAway(i); err != nil {
				return errs.Conflictf("%v", err)
			}
			e.hide(id, path)
			return nil
		}
		break
	}
	return errs.NotFoundf("unmount disk: no container's file system is shown at %s: see silo disk ls", path)
}

// hide forgets a place where a container was shown. The caller holds the lock
// of the container's life.
func (e *Engine) hide(id, path string) {
	r := e.readShown(id)
	for i := slices.Index(r.Paths, path); i >= 0; i = slices.Index(r.Paths, path) {
		r.Paths, r.Mounts = slices.Delete(r.Paths, i, i+1), slices.Delete(r.Mounts, i, i+1)
	}
	if err := record.Write(e.shownPath(id), r, record.Durable); err != nil {
		e.log.Error("write where a disk is shown", "container", id, "err", err)
	}
}

// unmountShown takes away all places where a container is shown.
func (e *Engine) unmountShown(id string) {
	r := e.readShown(id)
	for i, p := range r.Paths {
		if err := r.takeAway(i); err != nil {
			e.log.Warn("unmount where a container was shown", "path", p, "err", err)
		}
	}
}
