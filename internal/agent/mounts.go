package agent

import (
	"fmt"
	"path"
	"sort"
	"strconv"
	"strings"

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

// attachMounts attaches volumes and tmpfs, parents before children.
func attachMounts(root *linux.FD, mounts []wire.Mount, fds *ipc.FDs) error {
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
		if mounts[i].Populate {
			if err := populate(root, mounts[i].Target, sources[i]); err != nil {
				return fmt.Errorf("fill volume with the image's %s: %w", mounts[i].Target, err)
			}
		}
		if err := moveInto(root, sources[i], mounts[i].Target, mounts[i].IsDir); err != nil {
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
