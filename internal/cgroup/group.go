package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"silo/internal/errs"
)

// Group is one container's groups, one in each hierarchy. It holds nothing
// open: any number of Groups may stand for the same groups.
type Group struct {
	layout Layout
	path   string // parent/name, below each hierarchy
	bad    error  // why parent or name cannot be used
}

// New names a group. It makes nothing; a parent or name that cannot be used
// is reported by every operation, as kind Invalid.
func New(l Layout, parent, name string) *Group {
	g := &Group{layout: l, path: filepath.Join(strings.Trim(parent, "/"), name)}
	if g.bad = CheckParent(parent); g.bad == nil {
		if err := checkName(name); err != nil {
			g.bad = errs.Invalidf("cgroup: %v", err)
		}
	}
	return g
}

// Path is the group's path below each hierarchy, as /proc/PID/cgroup shows it
// without the leading slash.
func (g *Group) Path() string { return g.path }

// UnifiedDir is the group's folder of version 2, "" where there is none.
func (g *Group) UnifiedDir() string {
	if g.layout.Unified == "" {
		return ""
	}
	return filepath.Join(g.layout.Unified, g.path)
}

// dir gives the group's folder for a controller.
func (g *Group) dir(controller string) (dir string, v2, ok bool) {
	h, ok := g.layout.Controllers[controller]
	return filepath.Join(h.Dir, g.path), h.V2, ok
}

// all gives the group's folder in each hierarchy.
func (g *Group) all() []string {
	var out []string
	for _, h := range g.layout.dirs() {
		out = append(out, filepath.Join(h.Dir, g.path))
	}
	return out
}

// Create makes the group in every hierarchy, and its parents. Existing ones
// are taken as they are. On error it removes what it made of the group.
func (g *Group) Create() (err error) {
	if g.bad != nil {
		return g.bad
	}
	defer func() {
		if err != nil {
			_ = g.Destroy()
		}
	}()
	for _, h := range g.layout.dirs() {
		if err := g.createIn(h); err != nil {
			return fmt.Errorf("create cgroup %s: %w", g.path, err)
		}
	}
	return nil
}

// Delegate lets a user make groups below this one and move processes among
// them, as cgroups(7) has it. The limits of this one stay what they are.
func (g *Group) Delegate(uid, gid int) error {
	if g.bad != nil {
		return g.bad
	}
	for _, h := range g.layout.dirs() {
		files := []string{"", "cgroup.procs", "tasks"}
		if h.V2 {
			files = []string{"", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control"}
		}
		for _, name := range files {
			if err := os.Lchown(filepath.Join(h.Dir, g.path, name), uid, gid); err != nil {
				return fmt.Errorf("delegate cgroup %s: %w", g.path, err)
			}
		}
	}
	return nil
}

func (g *Group) createIn(h Hierarchy) error {
	dir := h.Dir
	cpuset := g.layout.Controllers["cpuset"] == h && !h.V2
	for _, name := range strings.Split(g.path, "/") {
		if h.V2 {
			g.enable(dir)
		}
		parent := dir
		dir = filepath.Join(dir, name)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if cpuset {
			if err := inherit(parent, dir); err != nil {
				return err
			}
		}
	}
	return nil
}

// enable gives the children of a v2 folder the controllers it has, one at a
// time so that one refusal costs only one. A refusal is no error yet: it
// becomes one when a limit needs the controller, whose file is then absent.
func (g *Group) enable(dir string) {
	have, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return
	}
	on, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return
	}
	enabled := strings.Fields(string(on))
	for _, c := range strings.Fields(string(have)) {
		if slices.Contains([]string{"cpu", "cpuset", "memory", "pids", "io"}, c) && !slices.Contains(enabled, c) {
			_ = write(dir, "cgroup.subtree_control", "+"+c)
		}
	}
}

// inherit fills a new v1 cpuset: it starts empty and takes no process so.
func inherit(parent, dir string) error {
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		now, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(now)) != "" {
			continue
		}
		above, err := os.ReadFile(filepath.Join(parent, file))
		if err != nil {
			return err
		}
		if err := write(dir, file, strings.TrimSpace(string(above))); err != nil {
			return err
		}
	}
	return nil
}

// ProcsFiles are the files into which a process number (0 is the writer's) is
// written to make the process, with all its threads, a member everywhere.
func (g *Group) ProcsFiles() []string {
	dirs := g.all()
	for i, d := range dirs {
		dirs[i] = filepath.Join(d, "cgroup.procs")
	}
	return dirs
}

// Exists tells whether the group is there in any hierarchy.
func (g *Group) Exists() bool {
	return slices.ContainsFunc(g.all(), func(dir string) bool {
		_, err := os.Lstat(dir)
		return err == nil
	})
}

// tracker is the hierarchy that is asked who is in the group.
func (g *Group) tracker() (string, bool) {
	if g.layout.Unified != "" {
		return g.UnifiedDir(), true
	}
	for _, c := range []string{"freezer", "pids", "devices", "memory", "cpu"} {
		if dir, _, ok := g.dir(c); ok {
			return dir, false
		}
	}
	return g.all()[0], false // Detect lets no host without hierarchies pass
}

// Procs lists the processes in the group and in groups below it, by their
// numbers in this process's PID namespace, ascending. NotFound if it is gone.
func (g *Group) Procs() ([]int, error) {
	if g.bad != nil {
		return nil, g.bad
	}
	dir, _ := g.tracker()
	pids, err := procs(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.NotFoundf("list processes of cgroup %s: there is no such group", g.path)
	}
	if err != nil {
		return nil, fmt.Errorf("list processes of cgroup %s: %w", g.path, err)
	}
	return pids, nil
}

func procs(dir string) ([]int, error) {
	var out []int
	err := walk(dir, func(dir string) error {
		text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if errors.Is(err, syscall.EOPNOTSUPP) { // a threaded v2 group: its root lists them
			return nil
		}
		if err != nil {
			return err
		}
		for _, f := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(f); err == nil && n > 0 { // 0: of another PID namespace
				out = append(out, n)
			}
		}
		return nil
	})
	slices.Sort(out)
	return slices.Compact(out), err
}

// walk calls f for the groups below dir and then dir itself. Groups below may
// vanish meanwhile; only dir must be there.
func walk(dir string, f func(dir string) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := walk(filepath.Join(dir, e.Name()), f); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENODEV) {
				return err
			}
		}
	}
	return f(dir)
}

// Empty tells whether no process is in the group or below; also if the group
// is gone.
func (g *Group) Empty() (bool, error) {
	if g.bad != nil {
		return false, g.bad
	}
	dir, v2 := g.tracker()
	if v2 {
		n, err := readKey(dir, "cgroup.events", "populated")
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("look into cgroup %s: %w", g.path, err)
		}
		return n == 0, nil
	}
	pids, err := g.Procs()
	if errs.Is(err, errs.NotFound) {
		return true, nil
	}
	return len(pids) == 0, err
}

// destroyWait bounds how long a group may stay busy after its last process
// was told to end: exit, in the kernel, takes a small part of it.
const destroyWait = 5 * time.Second

// Destroy removes the group and all below it from every hierarchy. Processes
// in it must have been ended; dead ones leave after a moment, which it waits
// for. A group that is gone is no error. Unavailable if processes stay.
func (g *Group) Destroy() error {
	if g.bad != nil {
		return g.bad
	}
	return g.destroy(destroyWait)
}

func (g *Group) destroy(limit time.Duration) error {
	left := g.all()
	var err error
	for pause := range pauses(limit) {
		var busy []string
		for _, dir := range left {
			e := removeTree(dir)
			switch {
			case e == nil, errors.Is(e, fs.ErrNotExist):
			case errors.Is(e, syscall.EBUSY), errors.Is(e, syscall.ENOTEMPTY):
				busy, err = append(busy, dir), e
			default:
				return fmt.Errorf("remove cgroup %s: %w", g.path, e)
			}
		}
		if left = busy; len(left) == 0 {
			return nil
		}
		time.Sleep(pause)
	}
	pids, _ := procs(left[0])
	return errs.New(errs.Unavailable, "remove cgroup %s: %w: processes %v are still in it: end them", g.path, err, pids)
}

// removeTree removes the groups below dir, then dir.
func removeTree(dir string) error {
	return walk(dir, func(dir string) error {
		if err := syscall.Rmdir(dir); err != nil && err != syscall.ENOENT {
			return &os.PathError{Op: "rmdir", Path: dir, Err: err}
		}
		return nil
	})
}

// pauses yields growing waits, 0.1 ms to 20 ms, until limit has passed.
func pauses(limit time.Duration) func(yield func(time.Duration) bool) {
	return func(yield func(time.Duration) bool) {
		end := time.Now().Add(limit)
		for pause := 100 * time.Microsecond; time.Now().Before(end); pause = min(2*pause, 20*time.Millisecond) {
			if !yield(pause) {
				return
			}
		}
	}
}

// Sweep ends and removes the groups right below parent whose names are not in
// keep, and tells which it removed. It goes on after an error and gives the
// first.
func Sweep(l Layout, parent string, keep map[string]bool) (removed []string, err error) {
	if err := CheckParent(parent); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, h := range l.dirs() {
		entries, readErr := os.ReadDir(filepath.Join(h.Dir, strings.Trim(parent, "/")))
		if readErr != nil && !errors.Is(readErr, fs.ErrNotExist) && err == nil {
			err = fmt.Errorf("sweep cgroups: %w", readErr)
		}
		for _, e := range entries {
			if e.IsDir() && !keep[e.Name()] {
				names[e.Name()] = true
			}
		}
	}
	for name := range names {
		g := New(l, parent, name)
		endErr := g.Kill()
		if destroyErr := g.Destroy(); destroyErr != nil {
			endErr = errors.Join(endErr, destroyErr)
		} else {
			removed = append(removed, name)
		}
		if endErr != nil && err == nil {
			err = fmt.Errorf("sweep cgroups: %w", endErr)
		}
	}
	slices.Sort(removed)
	return removed, err
}

// RemoveParent removes parent where nothing is in it: neither a group, of
// whatever daemon, nor a process.
func RemoveParent(l Layout, parent string) error {
	if err := CheckParent(parent); err != nil {
		return err
	}
	var list []error
	for _, h := range l.dirs() {
		err := os.Remove(filepath.Join(h.Dir, strings.Trim(parent, "/")))
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EBUSY) && !errors.Is(err, syscall.ENOTEMPTY) {
			list = append(list, err)
		}
	}
	if err := errors.Join(list...); err != nil {
		return fmt.Errorf("remove cgroup %s: %w", parent, err)
	}
	return nil
}
