package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	agent "silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/linux"
)

// resolveMounts turns the mounts of a request into records, making the
// volumes they name. made lists volumes that did not exist before.
func (e *Engine) resolveMounts(c *container.Config, h *container.HostConfig) (out []mountRecord, made []string, err error) {
	defer func() {
		if err != nil {
			for _, v := range made {
				_ = e.volumes.remove(v)
			}
		}
	}()
	for _, b := range h.Binds {
		m, err := parseBind(b)
		if err != nil {
			return nil, made, err
		}
		out = append(out, m)
	}
	labels := map[string]map[string]string{} // by target
	for _, spec := range h.Mounts {
		m, err := parseMount(spec)
		if err != nil {
			return nil, made, err
		}
		if o := spec.VolumeOptions; o != nil {
			labels[path.Clean(m.Target)] = o.Labels
		}
		out = append(out, m)
	}
	for target, options := range h.Tmpfs {
		out = append(out, mountRecord{Type: "tmpfs", Target: target, Options: options})
	}
	for target := range c.Volumes {
		if !hasTarget(out, target) {
			out = append(out, mountRecord{Type: "volume", Target: target, Anon: true})
		}
	}
	if h.ReadonlyRootfs && wantsServices(c, h) && !hasTarget(out, "/run") {
		// Services keep their sockets, locks and numbers there.
		out = append(out, mountRecord{Type: "tmpfs", Target: "/run", Options: "mode=755"})
	}
	seen := map[string]bool{}
	for i := range out {
		m := &out[i]
		if err := checkTarget(m, seen); err != nil {
			return nil, made, err
		}
		created, err := e.resolveSource(m, labels[m.Target])
		if created {
			made = append(made, m.Name)
		}
		if err != nil {
			return nil, made, err
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Target < out[j].Target })
	return out, made, nil
}

func hasTarget(list []mountRecord, target string) bool {
	for _, m := range list {
		if path.Clean(m.Target) == path.Clean(target) {
			return true
		}
	}
	return false
}

// procFiles are the places below /proc that may be covered: what tools like
// lxcfs show in the kernel's place, as runc lets them.
var procFiles = []string{
	"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg", "/proc/slabinfo", "/proc/net/dev",
}

func checkTarget(m *mountRecord, seen map[string]bool) error {
	if !path.IsAbs(m.Target) {
		return errs.Invalidf("invalid mount config: mount path must be absolute: %q", m.Target)
	}
	m.Target = path.Clean(m.Target)
	if m.Target == "/" {
		return errs.Invalidf("invalid mount config: destination can't be '/'")
	}
	if (m.Target == "/proc" || strings.HasPrefix(m.Target, "/proc/")) && !slices.Contains(procFiles, m.Target) {
		return errs.Invalidf("invalid mount config: %s is the kernel's: nothing can be mounted there but %s", m.Target, strings.Join(procFiles, ", "))
	}
	if seen[m.Target] {
		return errs.Invalidf("Duplicate mount point: %s", m.Target)
	}
	seen[m.Target] = true
	return nil
}

// resolveSource checks a bind's source, or finds a volume or makes it with
// labels.
func (e *Engine) resolveSource(m *mountRecord, labels map[string]string) (created bool, err error) {
	switch m.Type {
	case "bind":
		if _, err := os.Stat(m.Source); err != nil {
			return false, errs.Invalidf("invalid mount config for type \"bind\": bind source path does not exist: %s", m.Source)
		}
	case "volume":
		if m.Name == "" {
			m.Name, m.Anon = newID(), true
		}
		v, created, err := e.volumes.create(m.Name, labels, m.Anon)
		if err != nil {
			return false, err
		}
		m.Source = v.Mountpoint
		return created, nil
	}
	return false, nil
}

// parseBind reads "source:target[:options]": a source with a slash is a host
// path, made if it is missing as Docker does for -v; else it names a volume. A
// path alone is the target of a new volume.
func parseBind(s string) (mountRecord, error) {
	f := strings.Split(s, ":")
	if len(f) == 1 && path.IsAbs(s) {
		return mountRecord{Type: "volume", Target: s}, nil
	}
	if len(f) < 2 || len(f) > 3 || f[0] == "" || f[1] == "" {
		return mountRecord{}, errs.Invalidf("invalid volume specification: '%s'", s)
	}
	m := mountRecord{Type: "volume", Name: f[0], Target: f[1]}
	if path.IsAbs(f[0]) {
		m.Type, m.Name, m.Source = "bind", "", path.Clean(f[0])
	} else if err := checkVolumeName(f[0]); err != nil {
		return m, err
	}
	if len(f) == 3 {
		m.Mode = f[2]
		for _, o := range strings.Split(f[2], ",") {
			switch o {
			case "rw", "rprivate", "private", "z", "Z":
			case "ro":
				m.ReadOnly = true
			case "suid":
				m.Suid = true
			case "dev":
				m.Dev = true
			case "noexec":
				m.NoExec = true
			case "nocopy":
				m.NoCopy = true
			case "nosuid", "nodev", "exec", "rbind":
			case "consistent", "cached", "delegated": // on Linux there is one file, always consistent
			case "bind":
				m.NonRec = true
			default:
				return m, errs.Invalidf("invalid volume specification: '%s': unknown option %q: known are ro, rw, suid, dev, noexec, nocopy, bind, rbind", s, o)
			}
		}
	}
	if m.Type == "bind" {
		m.Make = true
		if err := m.makeSource(); err != nil {
			return m, errs.Invalidf("bind %s: %v", s, err)
		}
	}
	return m, nil
}

// makeSource makes the host's folder of a bind mount, unless it is there or is a
// file.
func (r mountRecord) makeSource() error {
	if err := os.MkdirAll(r.Source, 0o755); err != nil && !linux.IsErrno(err, syscall.ENOTDIR) {
		return err
	}
	return nil
}

func parseMount(s mount.Mount) (mountRecord, error) {
	m := mountRecord{Target: s.Target, Source: s.Source, ReadOnly: s.ReadOnly}
	bad := func(format string, args ...any) (mountRecord, error) {
		return m, errs.Invalidf("invalid mount config for type %q: "+format, append([]any{s.Type}, args...)...)
	}
	if s.Target == "" {
		return bad("field Target must not be empty")
	}
	switch s.Type {
	case mount.TypeBind:
		m.Type = "bind"
		if !path.IsAbs(s.Source) {
			return bad("invalid mount path: '%s' mount path must be absolute", s.Source)
		}
		m.Source = path.Clean(s.Source)
		if o := s.BindOptions; o != nil {
			if o.Propagation != "" && o.Propagation != mount.PropagationRPrivate && o.Propagation != mount.PropagationPrivate {
				return bad("propagation %q is not supported: mounts are private", o.Propagation)
			}
			if o.CreateMountpoint {
				m.Make = true
				if err := m.makeSource(); err != nil {
					return bad("%v", err)
				}
			}
			m.NonRec = o.NonRecursive
			if o.ReadOnlyNonRecursive {
				return bad("ReadOnlyNonRecursive is not supported: read-only is recursive")
			}
			// bindMount has the kernel do it for all mounts below, or fails.
			if o.ReadOnlyForceRecursive && !s.ReadOnly {
				return bad("ReadOnlyForceRecursive needs ReadOnly")
			}
		}
	case mount.TypeVolume:
		m.Type, m.Name, m.Source = "volume", s.Source, ""
		if m.Name != "" {
			if err := checkVolumeName(m.Name); err != nil {
				return m, err
			}
		}
		if o := s.VolumeOptions; o != nil {
			if o.DriverConfig != nil && (o.DriverConfig.Name != "" && o.DriverConfig.Name != "local" || len(o.DriverConfig.Options) > 0) || o.Subpath != "" {
				return bad("volume drivers, their options and Subpath are not supported")
			}
			m.NoCopy = o.NoCopy
		}
	case mount.TypeTmpfs:
		if s.Source != "" {
			return bad("field Source must not be specified")
		}
		m.Type, m.Options = "tmpfs", tmpfsOptions(s)
	default:
		return bad("mount type unknown: give bind, volume or tmpfs")
	}
	return m, nil
}

func tmpfsOptions(s mount.Mount) string {
	var list []string
	if o := s.TmpfsOptions; o != nil {
		if o.SizeBytes > 0 {
			list = append(list, fmt.Sprintf("size=%d", o.SizeBytes))
		}
		if o.Mode != 0 {
			list = append(list, fmt.Sprintf("mode=%o", o.Mode))
		}
		for _, kv := range o.Options {
			list = append(list, strings.Join(kv, "="))
		}
	}
	if s.ReadOnly {
		list = append(list, "ro")
	}
	return strings.Join(list, ",")
}

// openMounts makes the detached mounts of a container: bind mounts and
// volumes through its id map, so that its root is the host's root there.
func openMounts(b *sandbox, records []mountRecord) (mounts []agent.Mount, fds []*linux.FD, err error) {
	defer func() {
		if err != nil {
			for _, fd := range fds {
				fd.Close()
			}
		}
	}()
	for _, r := range records {
		if r.Type == "tmpfs" {
			m, err := tmpfsMount(r)
			if err != nil {
				return nil, fds, err
			}
			mounts = append(mounts, m)
			continue
		}
		fills := r.Type == "volume" && !r.NoCopy
		readOnly := r.ReadOnly
		r.ReadOnly = readOnly && !fills // else when it is filled
		fd, err := bindMount(b, r)
		if err != nil {
			return nil, fds, err
		}
		fds = append(fds, fd)
		dir, err := fd.IsDir()
		if err != nil {
			return nil, fds, err
		}
		m := agent.Mount{Target: r.Target, Source: "fd", IsDir: dir, Populate: fills}
		if fills && readOnly {
			m.Attrs = linux.AttrReadOnly
		}
		mounts = append(mounts, m)
	}
	return mounts, fds, nil
}

func bindMount(b *sandbox, r mountRecord) (*linux.FD, error) {
	fd, err := linux.CloneTree(nil, r.Source, !r.NonRec)
	if r.Make && errors.Is(err, fs.ErrNotExist) { // it was there when the container was made
		if err = r.makeSource(); err == nil {
			fd, err = linux.CloneTree(nil, r.Source, !r.NonRec)
		}
	}
	if err != nil {
		return nil, errs.Invalidf("mount %s at %s: %v", r.Source, r.Target, err)
	}
	attrs := uint64(linux.AttrNoSuid | linux.AttrNoDev)
	if r.Suid {
		attrs &^= linux.AttrNoSuid
	}
	if r.Dev {
		attrs &^= linux.AttrNoDev
	}
	if r.ReadOnly {
		attrs |= linux.AttrReadOnly
	}
	if r.NoExec {
		attrs |= linux.AttrNoExec
	}
	if err := linux.SetMountAttr(fd, attrs, 0, true); err != nil {
		fd.Close()
		return nil, err
	}
	if err := linux.IDMapTree(fd, b.userns); err != nil {
		fd.Close()
		if linux.IsErrno(err, syscall.EINVAL, syscall.EOPNOTSUPP, syscall.EPERM) {
			return nil, errs.New(errs.NotSupported, "mount %s at %s: its file system cannot show owners through an id map (%v): copy the data to a file system that can (ext4, xfs, btrfs, tmpfs), or use a volume", r.Source, r.Target, err)
		}
		return nil, err
	}
	return fd, nil
}

// sizeFits tells whether the kernel reads a tmpfs size as it is meant: it takes
// what does not fit for another number.
func sizeFits(s string) bool {
	number := strings.TrimRight(s, "kKmMgG%")
	shift := map[string]int{"": 0, "%": 0, "k": 10, "m": 20, "g": 30}
	by, known := shift[strings.ToLower(s[len(number):])]
	n, err := strconv.ParseInt(number, 10, 64)
	return known && err == nil && n >= 0 && n <= math.MaxInt64>>by
}

// tmpfsMount reads the options of --tmpfs: flags of the mount, and options of
// the file system, which the kernel checks.
func tmpfsMount(r mountRecord) (agent.Mount, error) {
	m := agent.Mount{Target: r.Target, Source: "tmpfs", IsDir: true, Attrs: linux.AttrNoSuid | linux.AttrNoDev | linux.AttrNoExec}
	var options []string
	for _, o := range strings.Split(r.Options, ",") {
		switch o {
		case "", "rw", "nosuid", "nodev", "noexec":
		case "relatime", "atime", "diratime": // the kernel's own
		case "sync", "async", "dirsync": // there is nothing to write to
		case "private", "rprivate": // as all mounts here are
		case "exec":
			m.Attrs &^= linux.AttrNoExec
		case "suid":
			m.Attrs &^= linux.AttrNoSuid
		case "dev":
			m.Attrs &^= linux.AttrNoDev
		case "ro":
			m.Attrs |= linux.AttrReadOnly
		case "noatime":
			m.Attrs |= linux.AttrNoAtime
		default:
			key, value, ok := strings.Cut(o, "=")
			switch {
			case key == "size" && !sizeFits(value):
				return m, errs.Invalidf("invalid tmpfs size %q for %s: give bytes, with k, m or g, or a share of the memory as 50%%", value, r.Target)
			case ok && (key == "size" || key == "mode" || key == "uid" || key == "gid" || key == "nr_inodes" || key == "nr_blocks" || key == "mpol"):
				options = append(options, o)
			default:
				return m, errs.Invalidf("invalid tmpfs option %q for %s: known are size, mode, uid, gid, nr_inodes, nr_blocks, mpol, ro, exec, suid, dev, noatime", o, r.Target)
			}
		}
	}
	if !strings.Contains(r.Options, "mode=") {
		options = append(options, "mode=1777")
	}
	m.Options = strings.Join(options, ",")
	return m, nil
}
