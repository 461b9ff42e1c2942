package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"silo/internal/service/unit"
)

// dirBase is where the directories of a kind are, and the variable that tells
// a service.
type dirBase struct{ path, env string }

var dirBases = map[unit.DirKind]dirBase{
	unit.RuntimeDirectory:       {"/run", "RUNTIME_DIRECTORY"},
	unit.StateDirectory:         {"/var/lib", "STATE_DIRECTORY"},
	unit.CacheDirectory:         {"/var/cache", "CACHE_DIRECTORY"},
	unit.LogsDirectory:          {"/var/log", "LOGS_DIRECTORY"},
	unit.ConfigurationDirectory: {"/etc", "CONFIGURATION_DIRECTORY"},
}

// makeDirs makes the directories of a service, its own user their owner.
func (m *Manager) makeDirs(s *service) error {
	for kind, set := range s.u.Service.Run.Dirs {
		base, ok := dirBases[kind]
		if !ok {
			return fmt.Errorf("%s= is not known", kind)
		}
		mode := fs.FileMode(set.Mode)
		if mode == 0 {
			mode = 0o755
		}
		for _, d := range set.Dirs {
			owner := s.user
			if kind == unit.ConfigurationDirectory {
				owner = User{} // read by the service, written by root
			}
			if err := m.makeDir(base.path, d.Name, mode, owner); err != nil {
				return fmt.Errorf("%s=%s: %w", kind, d.Name, err)
			}
			for _, link := range d.Links {
				if err := m.makeLink(base.path, link, path.Join(base.path, d.Name)); err != nil {
					return fmt.Errorf("%s=%s: %w", kind, d.Name, err)
				}
			}
		}
	}
	return nil
}

// makeDir makes one directory, its parents for everybody. What is in one that
// belonged to somebody else is given to its new owner too.
func (m *Manager) makeDir(base, name string, mode fs.FileMode, owner User) error {
	dir, err := m.folder(base, name, true)
	if err != nil {
		return err
	}
	defer dir.Close()
	fi, err := dir.Stat(".")
	if err != nil {
		return err
	}
	if fi.Mode().Perm() != mode.Perm() {
		if err := dir.Chmod(".", mode); err != nil {
			return err
		}
	}
	if uid, gid := ownerOf(fi); uid == owner.UID && gid == owner.GID {
		return nil
	}
	return chown(dir, ".", owner, 0)
}

// folder opens a directory below one of root's, and makes it if that is wanted.
// A service may own a part of the way and put a link there that leads to what is
// not its own; so each step is taken by the open folder before it, and no link
// is followed but one that only root can have made.
func (m *Manager) folder(base, name string, create bool) (*os.Root, error) {
	p := m.path(base)
	if create {
		if err := os.MkdirAll(p, 0o755); err != nil {
			return nil, err
		}
	}
	dir, err := os.OpenRoot(p)
	if err != nil {
		return nil, err
	}
	return walk(dir, name, create, 0)
}

// walk is folder from an open directory on, which it closes.
func walk(dir *os.Root, name string, create bool, links int) (*os.Root, error) {
	for _, part := range strings.Split(path.Clean(name), "/") {
		if create {
			if err := dir.Mkdir(part, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
				dir.Close()
				return nil, err
			}
		}
		next, err := step(dir, part, links)
		dir.Close()
		if err != nil {
			return nil, err
		}
		dir = next
	}
	return dir, nil
}

// maxLinks bounds the links on the way to a directory.
const maxLinks = 8

// step opens one directory in another.
func step(dir *os.Root, part string, links int) (*os.Root, error) {
	fi, err := dir.Lstat(part)
	if err != nil {
		return nil, err
	}
	if fi.Mode()&fs.ModeSymlink != 0 {
		target, err := dir.Readlink(part)
		if err != nil {
			return nil, err
		}
		if !rootsOwn(dir, fi) || !filepath.IsLocal(target) || links >= maxLinks {
			return nil, fmt.Errorf("%s is a link to %s, which is not followed: remove it", path.Join(dir.Name(), part), target)
		}
		start, err := dir.OpenRoot(".")
		if err != nil {
			return nil, err
		}
		return walk(start, target, false, links+1)
	}
	next, err := dir.OpenRoot(part)
	if err != nil {
		return nil, err
	}
	if opened, err := next.Stat("."); err != nil || !os.SameFile(fi, opened) {
		next.Close()
		return nil, fmt.Errorf("%s was replaced meanwhile", path.Join(dir.Name(), part))
	}
	return next, nil
}

// rootsOwn tells that only root can have made what is in a folder.
func rootsOwn(dir *os.Root, made fs.FileInfo) bool {
	fi, err := dir.Stat(".")
	if err != nil {
		return false
	}
	self := uint32(os.Getuid())
	folderOwner, _ := ownerOf(fi)
	owner, _ := ownerOf(made)
	return folderOwner == self && owner == self && fi.Mode().Perm()&0o022 == 0
}

func ownerOf(fi fs.FileInfo) (uid, gid uint32) {
	st := fi.Sys().(*syscall.Stat_t)
	return st.Uid, st.Gid
}

// maxDepth bounds how deep a folder is given to another owner.
const maxDepth = 64

func chown(dir *os.Root, name string, owner User, depth int) error {
	fi, err := dir.Lstat(name)
	if err != nil {
		return err
	}
	if fi.IsDir() && depth < maxDepth {
		f, err := dir.Open(name)
		if err != nil {
			return err
		}
		names, err := f.Readdirnames(-1)
		f.Close()
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := chown(dir, path.Join(name, n), owner, depth+1); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return dir.Lchown(name, int(owner.UID), int(owner.GID))
}

// makeLink makes a symbolic link unless one of that name is there.
func (m *Manager) makeLink(base, name, target string) error {
	dir, err := m.folder(base, path.Dir(path.Clean(name)), true)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Symlink(target, path.Base(name)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// removeDirs removes what a service has below /run, unless its unit keeps it.
func (m *Manager) removeDirs(s *service, again bool) {
	set := s.u.Service.Run.Dirs[unit.RuntimeDirectory]
	if set.Preserve == "yes" || set.Preserve == "restart" && (again || s.restart || m.has(s.name, unit.JobStart)) {
		return
	}
	for _, d := range set.Dirs {
		for _, name := range append([]string{d.Name}, d.Links...) {
			if err := m.removeDir("/run", name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				m.tell(s.name, "remove: "+err.Error())
			}
		}
	}
}

func (m *Manager) removeDir(base, name string) error {
	dir, err := m.folder(base, path.Dir(path.Clean(name)), false)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.RemoveAll(path.Base(name))
}

// link carries out one change to the links that enable units.
func (m *Manager) link(l unit.Link) error {
	name := m.path(l.Path)
	if l.Target == "" {
		err := os.Remove(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := os.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if have, err := os.Readlink(name); err == nil {
		if have == l.Target {
			return nil
		}
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return os.Symlink(l.Target, name)
}

// unitFS is the file system that package unit reads. Opening a FIFO does not
// wait for its other end.
type unitFS struct{ root *os.Root }

// Open opens a file for reading.
func (f unitFS) Open(name string) (fs.File, error) {
	return f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// ReadLink gives the target of a link.
func (f unitFS) ReadLink(name string) (string, error) { return f.root.Readlink(name) }

// Lstat describes a file or link.
func (f unitFS) Lstat(name string) (fs.FileInfo, error) { return f.root.Lstat(name) }

// noteText shows a note with its place.
func noteText(n unit.Note) string {
	if n.Line == 0 {
		return strings.TrimSpace(n.Path + ": " + n.Text)
	}
	return fmt.Sprintf("%s:%d: %s", n.Path, n.Line, n.Text)
}
