package agent

import (
	"fmt"
	"path"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/ipc"
	"silo/internal/linux"
)

// boundFile is a small file that lies over one of the image's.
type boundFile struct {
	fd   *linux.FD
	data string
}

func (f *boundFile) write(data string) error {
	if f.data == data {
		return nil
	}
	if err := f.fd.Rewrite([]byte(data)); err != nil {
		return err
	}
	f.data = data
	return nil
}

// bindFiles puts small files over the image's: they are kept in the stage's
// tmpfs, which lives on beneath the binds. Those that are there already get
// their present content.
func (a *agent) bindFiles(root *linux.FD, files []wire.File) error {
	for _, f := range files {
		bound := a.files[f.Path]
		if bound == nil && a.rooted { // the stage is out of reach
			return errs.Conflictf("agent: the file %s was not there when the root was laid", f.Path)
		}
		if bound == nil {
			name := "/files/" + strconv.Itoa(len(a.files))
			fd, err := linux.Open(name, linux.ORdwr|linux.OCreat|linux.OExcl, 0o644)
			if err != nil {
				return err
			}
			bound = &boundFile{fd: fd}
			a.files[f.Path] = bound
			m, err := linux.CloneTree(nil, name, false)
			if err != nil {
				return err
			}
			err = moveInto(root, m, f.Path, false)
			m.Close()
			if err != nil {
				return err
			}
		}
		if err := bound.write(f.Data); err != nil {
			return err
		}
	}
	return nil
}

// attachMounts attaches volumes and tmpfs, parents before children. The small
// files lie over what is attached, too.
func (a *agent) attachMounts(root *linux.FD, mounts []wire.Mount, fds *ipc.FDs) error {
	sources := make([]*linux.FD, len(mounts))
	defer func() {
		for _, s := range sources {
			s.Close()
		}
	}()
	for i, m := range mounts {
		var err error
		switch m.Source {
		case "fd":
			sources[i], err = fds.Next(m.Target)
		case "tmpfs":
			sources[i], err = tmpfsMount(m)
		default:
			err = errs.Invalidf("agent: unknown mount source %q", m.Source)
		}
		if err != nil {
			return err
		}
	}
	order := make([]int, len(mounts))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(x, y int) bool {
		return strings.Count(path.Clean(mounts[order[x]].Target), "/") < strings.Count(path.Clean(mounts[order[y]].Target), "/")
	})
	for _, i := range order {
		if err := a.attachMount(root, mounts[i], sources[i]); err != nil {
			return err
		}
	}
	return nil
}

func (a *agent) attachMount(root *linux.FD, m wire.Mount, source *linux.FD) error {
	covered := map[string]*linux.FD{}
	defer func() {
		for _, f := range covered {
			f.Close()
		}
	}()
	for name := range a.files {
		if !strings.HasPrefix(name, path.Clean(m.Target)+"/") {
			continue
		}
		at, err := linux.OpenIn(root, name, linux.OPath, 0)
		if err != nil {
			continue // it is covered already
		}
		tree, err := linux.CloneTree(at, "", false)
		at.Close()
		if err != nil {
			return err
		}
		covered[name] = tree
	}
	if m.Populate {
		if err := populate(root, m.Target, source); err != nil {
			return fmt.Errorf("fill volume with the image's %s: %w", m.Target, err)
		}
	}
	if err := moveOutsideProc(root, source, m.Target, m.IsDir); err != nil {
		return err
	}
	for name, tree := range covered {
		if err := moveInto(root, tree, name, false); err != nil && !linux.IsErrno(err, syscall.EROFS) { // no room to lie there
			return err
		}
	}
	if m.Source == "fd" && m.Attrs != 0 {
		return linux.SetMountAttr(source, m.Attrs, 0, true)
	}
	return nil
}

// moveOutsideProc is moveInto for a target that links of the container may lead
// to the kernel's own files, which silod has refused by name.
func moveOutsideProc(root, mount *linux.FD, target string, dir bool) error {
	to, err := linux.TargetIn(root, target, dir)
	if err != nil {
		return fmt.Errorf("mount at %s in the container: %w", target, err)
	}
	defer to.Close()
	proc, err := to.OnProc()
	if err == nil && proc && !strings.HasPrefix(path.Clean(target), "/proc/") {
		err = errs.Invalidf("it leads into /proc by a link: nothing can be mounted there")
	}
	if err == nil {
		var same bool
		if same, err = to.SameAs(root); same { // it would be below the root that everybody has
			err = errs.Invalidf("it leads to the root by a link: nothing can be mounted there")
		}
	}
	if err == nil {
		var isDir bool
		if isDir, err = to.IsDir(); err == nil && isDir != dir {
			err = errs.Invalidf("not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type")
		}
	}
	if err == nil {
		err = linux.MoveMount(mount, to, "")
	}
	if err != nil {
		return fmt.Errorf("mount at %s in the container: %w", target, err)
	}
	return nil
}

// sealFiles makes the small files read-only, as their root is.
func (a *agent) sealFiles(root *linux.FD) error {
	for name := range a.files {
		at, err := linux.OpenIn(root, name, linux.OPath, 0)
		if err != nil {
			return err
		}
		err = linux.SetMountAttr(at, linux.AttrReadOnly, 0, false)
		at.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func tmpfsMount(m wire.Mount) (*linux.FD, error) {
	var options []linux.FSOption
	for _, o := range strings.Split(m.Options, ",") {
		if o == "" {
			continue
		}
		key, value, _ := strings.Cut(o, "=")
		options = append(options, linux.FSOption{Key: key, Value: value})
	}
	fd, err := linux.MountFS("tmpfs", options, int(m.Attrs))
	if err != nil {
		return nil, errs.Invalidf("tmpfs at %s: %v", m.Target, err)
	}
	return fd, nil
}
