package engine

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"silo/internal/layer"
	"silo/internal/linux"
)

func detachedOverlay(base, disk *linux.FD) (*linux.FD, error) {
	upper, err := linux.OpenBeneath(disk, "upper", linux.OPath|linux.ODirectory, 0)
	if err != nil {
		return nil, err
	}
	defer upper.Close()
	work, err := linux.OpenBeneath(disk, "work", linux.OPath|linux.ODirectory, 0)
	if err != nil {
		return nil, err
	}
	defer work.Close()
	return linux.MountFS("overlay", []linux.FSOption{
		{Key: "lowerdir+", FD: base},
		{Key: "upperdir", FD: upper},
		{Key: "workdir", FD: work},
		{Key: "source", Value: "silo"},
	}, linux.AttrNoDev)
}

// attachedOverlay is overlay for kernels that take no descriptors (below
// 6.13) or no detached mounts (below 6.15). It runs in a room, where both are
// attached for the moment that the mount takes. A mount that was attached
// cannot be so again, so disk becomes a copy of itself.
func attachedOverlay(owner uint32, base, disk *linux.FD) (m *linux.FD, err error) {
	for at, fd := range map[string]*linux.FD{"/lower": base, "/disk": disk} {
		if err := os.MkdirAll(at, 0o700); err != nil {
			return nil, err
		}
		if err := linux.MoveMount(fd, nil, at); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, linux.UnmountDetach(at)) }()
	}
	again, err := linux.CloneTree(disk, "", false)
	if err != nil {
		return nil, err
	}
	if err := disk.Replace(again); err != nil {
		return nil, err
	}
	err = linux.WithFSUser(owner, func() error {
		m, err = linux.MountFS("overlay", []linux.FSOption{
			{Key: "lowerdir", Value: "/lower"},
			{Key: "upperdir", Value: "/disk/upper"},
			{Key: "workdir", Value: "/disk/work"},
			{Key: "source", Value: "silo"},
		}, linux.AttrNoDev)
		return err
	})
	return m, err
}

// lazyRoom is a room that is made when it is first needed.
type lazyRoom struct {
	run  string
	mu   sync.Mutex
	room *linux.Room
}

// do runs f in the room.
func (l *lazyRoom) do(f func() error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.room == nil {
		room, err := linux.NewRoom(l.run)
		if err != nil {
			return err
		}
		l.room = room
	}
	return l.room.Do(f)
}

// overlay lays a writable disk (with its folders upper and work) over a base,
// both detached mounts, and returns a detached mount of the whole. It makes
// what it makes as the host's user owner.
func (l *lazyRoom) overlay(owner uint32, base, disk *linux.FD) (m *linux.FD, err error) {
	err = linux.WithFSUser(owner, func() error {
		m, err = detachedOverlay(base, disk)
		return err
	})
	if err == nil || !linux.IsErrno(err, syscall.EINVAL, syscall.EBADF, syscall.EOPNOTSUPP) {
		return m, err
	}
	err = l.do(func() error {
		m, err = attachedOverlay(owner, base, disk)
		return err
	})
	return m, err
}

func (l *lazyRoom) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.room != nil {
		l.room.Close()
	}
	l.room = nil
}

// baseMounts keeps one detached mount for each image in use, and what is known
// of its base: a container clones the one and copies the other.
type baseMounts struct {
	layers *layer.Store
	room   lazyRoom
	mu     sync.Mutex
	mounts map[string]*baseMount
}

type baseMount struct {
	base     layer.Base
	fd       *linux.FD
	attached string // where in the room, if it had to be
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
	m.mounts[imageID] = &baseMount{base: base, fd: fd}
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
	m.mu.Lock()
	defer m.mu.Unlock()
	if b.attached == "" {
		clone, err := linux.CloneTree(b.fd, "", false)
		if !linux.IsErrno(err, syscall.EINVAL) {
			return clone, err
		}
	}
	var clone *linux.FD
	err = m.room.do(func() (err error) {
		if b.attached == "" {
			at := "/" + imageID
			if err := os.Mkdir(at, 0o700); err != nil {
				return err
			}
			if err := linux.MoveMount(b.fd, nil, at); err != nil {
				return err
			}
			b.attached = at
		}
		clone, err = linux.CloneTree(b.fd, "", false)
		return err
	})
	return clone, err
}

// drop closes the mount of an image that is removed.
func (m *baseMounts) drop(imageID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.mounts[imageID]
	if b == nil {
		return nil
	}
	delete(m.mounts, imageID)
	err := b.fd.Close()
	if b.attached != "" {
		err = errors.Join(err, m.room.do(func() error {
			return errors.Join(linux.UnmountDetach(b.attached), os.Remove(b.attached))
		}))
	}
	return err
}

func (m *baseMounts) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.mounts {
		b.fd.Close()
	}
	clear(m.mounts)
	m.room.close()
}
