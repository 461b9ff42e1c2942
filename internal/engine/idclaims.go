package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"silo/internal/linux"
	"silo/internal/record"
)

// defaultClaims is where all daemons of a host say which ranges they use.
const defaultClaims = "/run/silo-ids"

// hostClaims is a folder with one symbolic link for each range of user ids in
// use on this host, by whatever daemon: its name is the range's first id, its
// target the folder of the container. A claim holds as long as that folder is
// there, so it needs no daemon, and `ls -l` shows whose it is. One with no
// folder behind it is free to be taken over.
//
// A link is made without a lock, as only one of many can make it. Taking one
// away is done under a lock on the folder, or a claim that was just made anew
// could go.
type hostClaims string

func (h hostClaims) path(first uint32) string {
	return filepath.Join(string(h), strconv.FormatUint(uint64(first), 10))
}

// make claims a range for the folder dir, which is there; false if it is
// another's.
func (h hostClaims) make(first uint32, dir string) (ok bool, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	err = os.Symlink(dir, h.path(first))
	if errors.Is(err, fs.ErrNotExist) { // the first claim since the host started
		if err := os.MkdirAll(string(h), 0o755); err != nil {
			return false, fmt.Errorf("claim user ids: %w", err)
		}
		err = os.Symlink(dir, h.path(first))
	}
	if err == nil {
		return true, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("claim user ids: %w", err)
	}
	if owner, err := os.Readlink(h.path(first)); err == nil && (owner == dir || exists(owner)) {
		return owner == dir, nil
	}
	err = h.locked(func() error {
		owner, err := os.Readlink(h.path(first))
		if err == nil && exists(owner) {
			ok = owner == dir
			return nil
		}
		if err == nil {
			err = os.Remove(h.path(first))
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = os.Symlink(dir, h.path(first))
		}
		ok = err == nil
		if errors.Is(err, fs.ErrExist) { // another was first
			return nil
		}
		return err
	})
	return ok, err
}

// drop takes away the claim of dir, if it is still its.
func (h hostClaims) drop(first uint32, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	return h.locked(func() error {
		if owner, err := os.Readlink(h.path(first)); err != nil || owner != dir {
			return nil
		}
		return os.Remove(h.path(first))
	})
}

// sweep takes away the claims that no folder is behind.
func (h hostClaims) sweep() error {
	entries, err := os.ReadDir(string(h))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("sweep user ids: %w", err)
	}
	return h.locked(func() error {
		var list []error
		for _, e := range entries {
			path := filepath.Join(string(h), e.Name())
			if owner, err := os.Readlink(path); err == nil && !exists(owner) {
				list = append(list, os.Remove(path))
			}
		}
		return errors.Join(list...)
	})
}

// locked runs f while no other process is in here.
func (h hostClaims) locked(f func() error) error {
	fd, err := linux.Open(string(h), os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return fmt.Errorf("claim user ids: %w", err)
	}
	defer fd.Close()
	if err := linux.LockWait(fd); err != nil {
		return fmt.Errorf("claim user ids: lock %s: %w", string(h), err)
	}
	if err := f(); err != nil {
		return fmt.Errorf("claim user ids: %w", err)
	}
	return nil
}

// claimIDs claims the range of a record. Another daemon may have taken it since
// the host was started: the container then gets another, which nothing inside
// shows, as its disk holds plain ids.
func (e *Engine) claimIDs(c *Container) error {
	old := c.rec.FirstID
	ok, err := e.ids.claim(old, c.dir)
	if err != nil || ok {
		return err
	}
	r := *c.rec
	if r.FirstID, err = e.ids.take(c.dir); err != nil {
		return err
	}
	e.log.Warn("user ids are in use by another container: it gets others", "container", r.ID, "from", old, "to", r.FirstID)
	c.rec = &r
	return record.Write(c.configPath(), r, record.Durable)
}

// releaseIDs gives a container's range back.
func (e *Engine) releaseIDs(id string, first uint32) {
	if err := e.ids.release(first); err != nil {
		e.log.Error("release user ids", "container", id, "err", err)
	}
}

// exists tells whether there is something at path; if that cannot be found
// out, there is.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
