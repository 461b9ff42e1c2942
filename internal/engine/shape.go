package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	agent "silo/internal/agent/wire"
	"silo/internal/cgroup"
	"silo/internal/errs"
	"silo/internal/linux"
)

// shapeOf says what sandbox a record needs.
func (e *Engine) shapeOf(r *configRecord) (s shape, err error) {
	h := r.HostConfig
	sec, err := securityOptions(h)
	if err != nil {
		return s, err
	}
	s = shape{
		pid: r.PID, diskSize: r.DiskSize, shmSize: h.ShmSize, network: string(h.NetworkMode), ip: r.IP, mac: r.MAC,
		hostProc: h.PidMode == "host", unmasked: sec.systemUnmasked && h.Privileged, cgroupParent: h.CgroupParent,
	}
	if h.UTSMode == "host" {
		s.uts = "host"
	} else if h.UTSMode != "" {
		return s, errs.Invalidf("invalid --uts %q: give host", h.UTSMode)
	}
	switch mode := string(h.IpcMode); {
	case mode == "", mode == "private", mode == "shareable":
	case mode == "host", strings.HasPrefix(mode, "container:"):
		s.ipc = mode
	default:
		return s, errs.Invalidf("invalid --ipc %q: give private, shareable, host or container:NAME", mode)
	}
	s.masked, s.readOnly = protection(h, sec)
	if r.PID { // what is below /proc is protected in the proc that its command gets
		s.masked, s.readOnly = below(s.masked, "/proc", false), below(s.readOnly, "/proc", false)
	}
	for _, d := range h.Devices {
		s.devices += fmt.Sprintln(d.PathOnHost, d.PathInContainer, d.CgroupPermissions)
	}
	if h.Privileged {
		s.devices += "all"
	}
	for _, l := range h.Ulimits {
		s.hardLimits += fmt.Sprintln(l.Name, l.Hard)
	}
	s.oomScore = min(h.OomScoreAdj, 0)
	return s.normal(), nil
}

// normal writes equal shapes alike.
func (s shape) normal() shape {
	if s.shmSize == 0 {
		s.shmSize = defaultShm
	}
	return s
}

func (s shape) same(o shape) bool {
	lists := slices.Equal(s.masked, o.masked) && slices.Equal(s.readOnly, o.readOnly) // nil or empty
	s.masked, s.readOnly, o.masked, o.readOnly = nil, nil, nil, nil
	return lists && reflect.DeepEqual(s, o)
}

// sandboxPlan says how to make the sandbox of a record the long way.
func (e *Engine) sandboxPlan(r *configRecord) (p sandboxPlan, err error) {
	s, err := e.shapeOf(r)
	if err != nil {
		return p, err
	}
	p = sandboxPlan{shape: s, id: r.ID, first: r.FirstID}
	if ref, ok := strings.CutPrefix(s.network, "container:"); ok {
		if err := e.joinOther(&p, "net", ref); err != nil {
			return p, err
		}
	}
	if ref, ok := strings.CutPrefix(s.ipc, "container:"); ok {
		if err := e.joinOther(&p, "ipc", ref); err != nil {
			return p, err
		}
	}
	if p.devices, p.rules, err = deviceNodes(r.HostConfig); err != nil {
		return p, err
	}
	for _, l := range r.HostConfig.Ulimits {
		p.hardLimits = append(p.hardLimits, agent.Rlimit{Name: l.Name, Type: ulimitTypes[l.Name], Soft: uint64(l.Soft), Hard: uint64(l.Hard)})
	}
	if adj := r.HostConfig.OomScoreAdj; adj < 0 {
		p.oomScore = &adj
	}
	return p, nil
}

func (e *Engine) joinOther(p *sandboxPlan, kind, ref string) error {
	other, err := e.find(ref)
	if err != nil {
		return err
	}
	st := other.state()
	if st.State != container.StateRunning && st.State != container.StatePaused {
		return errs.Conflictf("cannot join the %s namespace of container %s: it is not running", kind, ref)
	}
	if mode := other.record().HostConfig.IpcMode; kind == "ipc" && !mode.IsShareable() {
		return errs.Conflictf("cannot join the ipc namespace of container %s: it is not shareable: start it with --ipc shareable", ref)
	}
	p.join = append(p.join, joinNS{kind, st.Agent})
	return nil
}

// devicesBelow puts the device nodes below a folder in its place, as Docker does
// for /dev/snd and the like.
func devicesBelow(list []container.DeviceMapping) (out []container.DeviceMapping, err error) {
	for _, d := range list {
		fi, err := os.Stat(d.PathOnHost)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, errs.Invalidf("add device %s: there is no such device on the host", d.PathOnHost)
		case err != nil:
			return nil, errs.Invalidf("add device %s: %v", d.PathOnHost, err)
		case !fi.IsDir():
			out = append(out, d)
			continue
		}
		before := len(out)
		err = filepath.WalkDir(d.PathOnHost, func(p string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type()&fs.ModeDevice != 0 {
				at := path.Join(d.PathInContainer, strings.TrimPrefix(p, d.PathOnHost))
				out = append(out, container.DeviceMapping{PathOnHost: p, PathInContainer: at, CgroupPermissions: d.CgroupPermissions})
			}
			return err
		})
		if err != nil {
			return nil, errs.Invalidf("add device %s: %v", d.PathOnHost, err)
		}
		if len(out) == before {
			return nil, errs.Invalidf("add device %s: the folder holds no device", d.PathOnHost)
		}
		if len(out) > maxDevices {
			return nil, errs.Invalidf("add device %s: more than %d devices", d.PathOnHost, maxDevices)
		}
	}
	return out, nil
}

// maxDevices bounds the nodes that --device makes.
const maxDevices = 1024

// deviceNodes resolves --device. A node's permissions narrower than rwm need
// the device controller.
func deviceNodes(h *container.HostConfig) (nodes []linux.DeviceNode, rules []cgroup.DeviceRule, err error) {
	narrow := false
	devices, err := devicesBelow(h.Devices)
	if err != nil {
		return nil, nil, err
	}
	for _, d := range devices {
		n, err := linux.DeviceOf(d.PathOnHost)
		if err != nil {
			return nil, nil, errs.Invalidf("add device %s: it is no device node", d.PathOnHost)
		}
		n.Name = strings.TrimPrefix(path.Clean("/"+d.PathInContainer), "/dev/")
		if strings.HasPrefix(n.Name, "/") || n.Name == "" {
			return nil, nil, errs.Invalidf("device %s: its place in the container must be below /dev, not %s", d.PathOnHost, d.PathInContainer)
		}
		access := d.CgroupPermissions
		if access == "" {
			access = "rwm"
		}
		if strings.Trim(access, "rwm") != "" {
			return nil, nil, errs.Invalidf("invalid device mode %q: give r, w and m", access)
		}
		narrow = narrow || !strings.Contains(access, "r") || !strings.Contains(access, "w")
		n.Mode = 0o660
		nodes = append(nodes, n)
		rules = append(rules, deviceRule(n, access))
	}
	if narrow {
		rules = append(alwaysDevices[:len(alwaysDevices):len(alwaysDevices)], rules...)
	} else {
		rules = nil // only real root makes nodes, so a container reaches no others
	}
	if h.Privileged {
		return append(nodes, hostDevices()...), nil, nil
	}
	return nodes, rules, nil
}
