package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
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
			name := path.Join(base.path, d.Name)
			owner := s.user
			if kind == unit.ConfigurationDirectory {
				owner = User{} // read by the service, written by root
			}
			if err := m.makeDir(name, mode, owner); err != nil {
				return fmt.Errorf("%s=%s: %w", kind, d.Name, err)
			}
			for _, link := range d.Links {
				if err := m.makeLink(path.Join(base.path, link), name); err != nil {
					return fmt.Errorf("%s=%s: %w", kind, d.Name, err)
				}
			}
		}
	}
	return nil
}

// makeDir makes one directory, its parents for everybody. What is in one that
// belonged to somebody else is given to its new owner too.
func (m *Manager) makeDir(name string, mode fs.FileMode, owner User) error {
	p := m.path(name)
	if err := os.MkdirAll(path.Dir(p), 0o755); err != nil {
		return err
	}
	if err := os.Mkdir(p, mode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// From here on by the open folder: its owner may change names below it.
	dir, err := os.OpenRoot(p)
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
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && st.Uid == owner.UID && st.Gid == owner.GID {
		return nil
	}
	return chown(dir, ".", owner, 0)
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
func (m *Manager) makeLink(name, target string) error {
	p := m.path(name)
	if err := os.MkdirAll(path.Dir(p), 0o755); err != nil {
		return err
	}
	err := os.Symlink(target, p)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// removeDirs removes what a service has below /run, unless its unit keeps it.
func (m *Manager) removeDirs(s *service, again bool) {
	set := s.u.Service.Run.Dirs[unit.RuntimeDirectory]
	if set.Preserve == "yes" || set.Preserve == "restart" && (again || s.restart || m.has(s.name, unit.JobStart)) {
		return
	}
	for _, d := range set.Dirs {
		for _, name := range append([]string{d.Name}, d.Links...) {
			if err := os.RemoveAll(m.path(path.Join("/run", name))); err != nil {
				m.tell(s.name, "remove: "+err.Error())
			}
		}
	}
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
