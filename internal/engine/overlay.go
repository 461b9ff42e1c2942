package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"silo/internal/layer"
	"silo/internal/linux"
)

// overlay lays a writable disk (with its folders upper and work) over a base,
// both detached mounts, and returns a detached mount of the whole.
func overlay(run, id string, base, upperDisk *linux.FD) (*linux.FD, error) {
	upper, err := linux.OpenBeneath(upperDisk, "upper", linux.OPath|linux.ODirectory, 0)
	if err != nil {
		return nil, err
	}
	defer upper.Close()
	work, err := linux.OpenBeneath(upperDisk, "work", linux.OPath|linux.ODirectory, 0)
	if err != nil {
		return nil, err
	}
	defer work.Close()
	m, err := linux.MountFS("overlay", []linux.FSOption{
		{Key: "lowerdir+", FD: base},
		{Key: "upperdir", FD: upper},
		{Key: "workdir", FD: work},
		{Key: "source", Value: "silo"},
	}, linux.AttrNoDev)
	if err == nil || !linux.IsErrno(err, syscall.EINVAL, syscall.EBADF) {
		return m, err
	}
	return attachedOverlay(run, id, base, upperDisk)
}

// attachedOverlay is overlay for kernels that take no descriptors (below
// 6.13) or no detached mounts (below 6.15): both are attached for the moment
// that the mount takes.
func attachedOverlay(run, id string, base, upperDisk *linux.FD) (*linux.FD, error) {
	dir := filepath.Join(run, "overlay", id)
	lower, disk := filepath.Join(dir, "base"), filepath.Join(dir, "disk")
	defer os.RemoveAll(dir)
	for _, x := range []struct {
		at string
		m  *linux.FD
	}{{lower, base}, {disk, upperDisk}} {
		if err := os.MkdirAll(x.at, 0o700); err != nil {
			return nil, err
		}
		clone, err := linux.CloneTree(x.m, "", false)
		if err != nil {
			return nil, err
		}
		err = linux.MoveMount(clone, nil, x.at)
		clone.Close()
		if err != nil {
			return nil, err
		}
		defer func() { _ = linux.UnmountDetach(x.at) }()
	}
	return linux.MountFS("overlay", []linux.FSOption{
		{Key: "lowerdir", Value: lower},
		{Key: "upperdir", Value: disk + "/upper"},
		{Key: "workdir", Value: disk + "/work"},
		{Key: "source", Value: "silo"},
	}, linux.AttrNoDev)
}

// baseMounts keeps one detached mount for each image in use, and what is known
// of its base: a container clones the one and copies the other.
type baseMounts struct {
	layers *layer.Store
	mu     sync.Mutex
	mounts map[string]*baseMount
}

type baseMount struct {
	base layer.Base
	fd   *linux.FD
}

// of gives an image's base, mounted; it stays m's.
func (m *baseMounts) of(imageID string) (*baseMount, error) {
	m.mu.Lock()
	b := m.mounts[imageID]
	m.mu.Unlock()
	if b != nil {
		return b, nil
	}
	base, err := m.layers.Base(imageID)
	if err != nil {
		return nil, fmt.Errorf("mount image: %w", err)
	}
	fd, err := layer.MountBase(base.Path)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if other := m.mounts[imageID]; other != nil {
		fd.Close()
		return other, nil
	}
	if m.mounts == nil {
		m.mounts = map[string]*baseMount{}
	}
	m.mounts[imageID] = &baseMount{base, fd}
	return m.mounts[imageID], nil
}

// mounted tells whether an image's base is in use.
func (m *baseMounts) mounted(imageID string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mounts[imageID] != nil
}

// clone gives a mount of an image's base to the caller.
func (m *baseMounts) clone(imageID string) (*linux.FD, error) {
	b, err := m.of(imageID)
	if err != nil {
		return nil, err
	}
	return linux.CloneTree(b.fd, "", false)
}

// drop closes the mount of an image that is removed.
func (m *baseMounts) drop(imageID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b := m.mounts[imageID]; b != nil {
		b.fd.Close()
	}
	delete(m.mounts, imageID)
}

func (m *baseMounts) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.mounts {
		b.fd.Close()
	}
	clear(m.mounts)
}
