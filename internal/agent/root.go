package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"silo/internal/agent/wire"
	"silo/internal/errs"
	"silo/internal/ipc"
	"silo/internal/linux"
)

const mountFlags = linux.AttrNoSuid | linux.AttrNoDev | linux.AttrNoExec

// prepare builds what a container's root needs whatever its image is, in an
// empty tmpfs that becomes this process's root: no mount of the host is held
// while the agent is parked.
func (a *agent) prepare(p wire.Prepare, fds *ipc.FDs) error {
	dev, err := fds.Next("/dev")
	if err != nil {
		return err
	}
	defer dev.Close()
	if err := linux.MakePrivate(); err != nil {
		return err
	}
	parts, err := a.kernelMounts(p, fds)
	defer func() {
		for _, m := range parts {
			m.fd.Close()
		}
	}()
	if err != nil {
		return err
	}
	if err := newStage(); err != nil {
		return err
	}
	for _, m := range append([]part{{"dev", dev}}, parts...) {
		if err := attachPart(m); err != nil {
			return err
		}
	}
	if err := a.devMounts(p, fds); err != nil {
		return err
	}
	a.seccomp, a.seccompFlags, a.caps = p.Seccomp, p.SeccompFlags, p.Caps
	if len(p.Seccomp) > 0 && p.Caps != nil {
		if a.confined, err = newConfined(p); err != nil {
			return fmt.Errorf("make the confined thread: %w", err)
		}
	}
	if fd, err := linux.Open("/proc/sys", linux.OPath|linux.ODirectory, 0); err == nil {
		a.sysfd = fd
	}
	if err := protect(p.Masked, p.ReadOnly); err != nil {
		return err
	}
	for _, name := range []string{"dev", "proc", "sys"} {
		if a.parts[name], err = linux.Open("/"+name, linux.OPath|linux.ODirectory, 0); err != nil {
			return err
		}
	}
	return nil
}

// part is a mount with the place below the stage where it goes.
type part struct {
	name string
	fd   *linux.FD
}

// kernelMounts makes what must be made while the host's own proc and sys are
// still in view: the kernel gives a user namespace no more than it has.
func (a *agent) kernelMounts(p wire.Prepare, fds *ipc.FDs) (parts []part, err error) {
	if p.Proc {
		proc, err := fds.Next("/proc")
		if err != nil {
			return parts, err
		}
		parts = append(parts, part{"proc", proc})
	}
	attrs := mountFlags | linux.AttrReadOnly
	if p.Unmasked {
		attrs = mountFlags
	}
	var sys *linux.FD
	if p.Sys {
		sys, err = fds.Next("/sys")
	} else {
		sys, err = linux.MountFS("sysfs", nil, attrs)
	}
	if err != nil {
		return parts, err
	}
	parts = append(parts, part{"sys", sys})
	nested := false
	for _, c := range p.Cgroups {
		nested = nested || c.Name != ""
	}
	if nested {
		m, err := linux.MountFS("tmpfs", []linux.FSOption{{Key: "mode", Value: "755"}, {Key: "size", Value: "64k"}}, mountFlags)
		if err != nil {
			return parts, err
		}
		parts = append(parts, part{"sys/fs/cgroup", m})
	}
	for _, c := range p.Cgroups {
		m, err := cgroupMount(c, attrs)
		if err != nil {
			return parts, err
		}
		parts = append(parts, part{path.Join("sys/fs/cgroup", c.Name), m})
	}
	return parts, nil
}

func cgroupMount(c wire.Cgroup, attrs int) (*linux.FD, error) {
	if c.Controllers == "" {
		return linux.MountFS("cgroup2", nil, attrs)
	}
	var options []linux.FSOption
	for _, name := range strings.Split(c.Controllers, ",") {
		if key, value, ok := strings.Cut(name, "="); ok {
			options = append(options, linux.FSOption{Key: key, Value: value})
		} else {
			options = append(options, linux.FSOption{Key: name})
		}
	}
	return linux.MountFS("cgroup", options, attrs)
}

// newStage makes an empty tmpfs this process's root.
func newStage() error {
	stage, err := mountStage()
	if err != nil {
		return err
	}
	defer stage.Close()
	if err := linux.PivotTo(stage); err != nil {
		return err
	}
	for _, dir := range []string{"/dev", "/proc", "/sys", "/root", "/files"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// mountStage lays an empty tmpfs over this process's root.
func mountStage() (*linux.FD, error) {
	stage, err := linux.MountFS("tmpfs", []linux.FSOption{{Key: "mode", Value: "755"}, {Key: "size", Value: "4m"}}, linux.AttrNoSuid|linux.AttrNoDev)
	if err != nil {
		return nil, err
	}
	if err := linux.MoveMount(stage, nil, "/"); err != nil {
		stage.Close()
		return nil, err
	}
	return stage, nil
}

func attachPart(m part) error {
	if strings.HasPrefix(m.name, "sys/fs/cgroup/") {
		if err := os.Mkdir("/"+m.name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return linux.MoveMount(m.fd, nil, "/"+m.name)
}

// devMounts completes /dev, whose nodes and folders silod has made.
func (a *agent) devMounts(p wire.Prepare, fds *ipc.FDs) error {
	pts, err := linux.MountFS("devpts", []linux.FSOption{
		{Key: "newinstance"},
		{Key: "ptmxmode", Value: "0666"},
		{Key: "mode", Value: "0620"},
		{Key: "gid", Value: "5"},
	}, linux.AttrNoSuid|linux.AttrNoExec)
	if err != nil {
		return err
	}
	defer pts.Close()
	if err := linux.MoveMount(pts, nil, "/dev/pts"); err != nil {
		return err
	}
	var shm *linux.FD
	if p.Shm {
		shm, err = linux.MountFS("tmpfs", []linux.FSOption{
			{Key: "mode", Value: "1777"},
			{Key: "size", Value: strconv.FormatInt(p.ShmSize, 10)},
		}, mountFlags)
	} else {
		shm, err = fds.Next("/dev/shm")
	}
	if err != nil {
		return err
	}
	defer shm.Close()
	if err := linux.MoveMount(shm, nil, "/dev/shm"); err != nil {
		return err
	}
	if !p.Mqueue {
		return nil
	}
	mq, err := linux.MountFS("mqueue", nil, mountFlags)
	if err != nil {
		return err
	}
	defer mq.Close()
	return linux.MoveMount(mq, nil, "/dev/mqueue")
}

// protect hides masked paths and makes others read-only, as seen from this
// process's root. Paths that do not exist need no protection.
func protect(masked, readOnly []string) error {
	steps := protectSteps(masked, readOnly)
	if err := linux.Run(steps); err != nil {
		return fmt.Errorf("protect kernel files: %w", err)
	}
	return nil
}

func protectSteps(masked, readOnly []string) (steps []linux.Step) {
	for _, p := range masked {
		info, err := os.Stat(p)
		switch {
		case err != nil:
			continue
		case info.IsDir():
			steps = append(steps, linux.StepMountTmpfsReadOnly(p))
		default:
			steps = append(steps, linux.StepBind("/dev/null", p))
		}
	}
	for _, p := range readOnly {
		if _, err := os.Stat(p); err == nil {
			steps = append(steps, linux.StepBind(p, p), linux.StepRemountReadOnly(p))
		}
	}
	return steps
}

// layRoot lays the root that the container will probably have, and tries out
// what a start does: code that has run once runs faster.
func (a *agent) layRoot(r wire.Root, fds *ipc.FDs) error {
	if a.parts["dev"] == nil || a.rooted || a.main != 0 {
		return errs.Conflictf("agent: root before prepare, twice, or after start")
	}
	mount, err := fds.Next("the root")
	if err != nil {
		return err
	}
	defer mount.Close()
	if err := a.setHostname(r.Hostname); err != nil {
		return err
	}
	root, err := a.attachRoot(mount, r.Files)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := linux.PivotTo(root); err != nil {
		return err
	}
	a.rooted = true
	if r.Services {
		if a.ahead, err = stageServices(); err != nil {
			return err
		}
	}
	a.rehearse()
	return nil
}

// leaveRoot goes back to an empty tmpfs as root. Nothing has run in the root
// that is left.
func (a *agent) leaveRoot() error {
	if !a.rooted || a.main != 0 {
		return errs.Conflictf("agent: there is no root to leave")
	}
	a.ahead.drop()
	a.ahead = nil
	stage, err := mountStage()
	if err != nil {
		return err
	}
	defer stage.Close()
	for _, name := range []string{"dev", "proc", "sys", "root", "files"} {
		dir, err := linux.MkdirAllIn(stage, name, 0o755)
		if err != nil {
			return err
		}
		dir.Close()
	}
	for _, name := range []string{"dev", "proc", "sys"} {
		if err := moveInto(stage, a.parts[name], name, true); err != nil {
			return err
		}
	}
	if err := linux.PivotTo(stage); err != nil {
		return err
	}
	for _, f := range a.files {
		f.fd.Close()
	}
	clear(a.files)
	a.rooted = false
	return nil
}

// completeRoot makes the container's root, with everything in it, this
// process's root.
func (a *agent) completeRoot(s wire.Start, fds *ipc.FDs) (err error) {
	var root *linux.FD
	if a.rooted != s.Rooted {
		return errs.Conflictf("agent: start and root do not go together")
	}
	if s.Rooted {
		if root, err = linux.Open("/", linux.OPath|linux.ODirectory, 0); err != nil {
			return err
		}
		defer root.Close()
		if err := a.bindFiles(root, s.Files); err != nil {
			return err
		}
	} else {
		mount, err := fds.Next("the root")
		if err != nil {
			return err
		}
		defer mount.Close()
		if root, err = a.attachRoot(mount, s.Files); err != nil {
			return err
		}
		defer root.Close()
	}
	if s.ReadOnly {
		if err := a.sealFiles(root); err != nil {
			return err
		}
	}
	if err := a.attachMounts(root, s.Mounts, fds); err != nil {
		return err
	}
	if s.ReadOnly {
		if dir := s.Command.Dir; path.IsAbs(dir) { // later it could not be made
			if err := makeDirIn(root, dir); err != nil {
				return err
			}
		}
		if err := linux.SetMountAttr(root, linux.AttrReadOnly, 0, false); err != nil {
			return err
		}
	}
	if s.Rooted {
		return nil
	}
	return linux.PivotTo(root)
}

// attachRoot attaches a root at the stage, with the kernel's mounts and the
// small files in it.
func (a *agent) attachRoot(mount *linux.FD, files []wire.File) (*linux.FD, error) {
	if err := linux.MoveMount(mount, nil, "/root"); err != nil {
		return nil, err
	}
	root, err := linux.Open("/root", linux.OPath|linux.ODirectory, 0)
	if err != nil {
		return nil, err
	}
	for _, name := range []string{"dev", "proc", "sys"} {
		if err := moveInto(root, a.parts[name], name, true); err != nil {
			root.Close()
			return nil, err
		}
	}
	if err := a.bindFiles(root, files); err != nil {
		root.Close()
		return nil, err
	}
	return root, nil
}

// setHostname sets the host name, if it is another; "" leaves it.
func (a *agent) setHostname(name string) error {
	if name == "" || name == a.hostname {
		return nil
	}
	if err := linux.SetHostname(name); err != nil {
		return err
	}
	a.hostname = name
	return nil
}

func moveInto(root, mount *linux.FD, target string, dir bool) error {
	to, err := linux.TargetIn(root, target, dir)
	if err != nil {
		return fmt.Errorf("mount at /%s in the container: %w", strings.TrimPrefix(target, "/"), err)
	}
	defer to.Close()
	if err := linux.MoveMount(mount, to, ""); err != nil {
		return fmt.Errorf("mount at /%s in the container: %w", strings.TrimPrefix(target, "/"), err)
	}
	return nil
}
