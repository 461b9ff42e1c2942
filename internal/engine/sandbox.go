package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"

	agent "silo/internal/agent/wire"
	"silo/internal/cgroup"
	"silo/internal/disk"
	"silo/internal/errs"
	"silo/internal/keeper/wire"
	"silo/internal/layer"
	"silo/internal/linux"
	"silo/internal/logfile"
	"silo/internal/network"
	"silo/internal/record"
)

// shape is what of a container must be known before its agent is made. The
// shape of a standby is the zero shape with the default disk size.
type shape struct {
	pid          bool  // isolation pid
	diskSize     int64 // bytes
	shmSize      int64 // bytes, 0 is the default
	network      string
	ip, mac      string
	ipc, uts     string // "", host, container:ID
	hostProc     bool   // --pid host: proc without hidepid
	unmasked     bool
	masked       []string // beyond the default: "" keeps the default
	readOnly     []string
	cgroupParent string
	devices      string // of the host, as a comparable key
	hardLimits   string
	oomScore     int
}

// defaultShm is the size of /dev/shm, as Docker's.
const defaultShm = 64 << 20

// sandbox is what a container has of the host from launch to end: an agent in
// its namespaces, ids, cgroup, network endpoint, disk.
type sandbox struct {
	id       string
	dir      string
	first    uint32 // of its user ids
	agent    int
	session  uint32
	group    *cgroup.Group
	endpoint *network.Endpoint
	userns   *linux.FD
	disk     *disk.Attached
	device   string
	image    string        // whose root the agent has laid already; "" is none
	files    []agent.File  // that root has
	filtered bool          // the agent holds the default seccomp filter
	draft    *record.Draft // of config.json; nil if it is not made ahead
	closed   sync.Once     // what silod holds
}

// sandboxPlan is everything launch needs besides the shape.
type sandboxPlan struct {
	shape      shape
	id         string
	first      uint32
	join       []joinNS
	devices    []linux.DeviceNode
	rules      []cgroup.DeviceRule
	hardLimits []agent.Rlimit
	oomScore   *int
	newDisk    bool   // it is a standby: its disk is made too
	image      string // lay this image's root; "" leaves that to the start
}

// joinNS is a namespace of another container, or its /dev/shm.
type joinNS struct {
	kind string // net, ipc
	pid  int    // the other agent
}

// makeSandbox launches an agent and gives it ids, cgroup, network and disk.
// Every step is undone if a later one is refused.
func (e *Engine) makeSandbox(ctx context.Context, p sandboxPlan) (_ *sandbox, err error) {
	b := &sandbox{id: p.id, first: p.first, dir: filepath.Join(e.containersDir(), p.id)}
	defer func() {
		if err != nil {
			e.destroySandbox(b, p.newDisk)
		}
	}()
	if err := os.MkdirAll(b.dir, 0o711); err != nil {
		return nil, fmt.Errorf("make container folder: %w", err)
	}
	e.fault("folder")
	if err := e.makeGroup(b, p); err != nil {
		return nil, err
	}
	e.fault("cgroup")
	if err := e.launch(ctx, b, p); err != nil {
		return nil, err
	}
	e.fault("launch")
	if err := e.prepareAgent(ctx, b, p); err != nil {
		return nil, err
	}
	e.fault("prepare")
	if err := e.plug(ctx, b, p); err != nil {
		return nil, err
	}
	e.fault("network")
	if p.newDisk {
		if err := e.disks.Create(ctx, b.diskPath(), p.shape.diskSize); err != nil {
			return nil, err
		}
	}
	e.fault("disk")
	if b.disk, err = disk.Attach(ctx, b.diskPath()); err != nil {
		return nil, err
	}
	b.device = b.disk.Device
	e.guard.Attached()
	e.fault("attach")
	// The disk keeps plain ids; the container sees them as its own.
	if err := linux.IDMap(b.disk.Mount, b.userns, false); err != nil {
		return nil, fmt.Errorf("show the sandbox disk with the container's ids: %w", err)
	}
	if p.image != "" {
		if err := e.layRoot(ctx, b, p.image); err != nil {
			return nil, err
		}
		e.fault("root")
	}
	return b, nil
}

func (e *Engine) makeGroup(b *sandbox, p sandboxPlan) error {
	parent := p.shape.cgroupParent
	if parent == "" {
		parent = e.cgroupParent()
	}
	b.group = cgroup.New(e.cgroups, parent, p.id)
	if err := b.group.Create(); err != nil {
		return err
	}
	if p.shape.unmasked { // its cgroups are writable inside, as an init needs it
		if err := b.group.Delegate(int(b.first), int(b.first)); err != nil {
			return err
		}
	}
	if len(p.rules) == 0 {
		return nil
	}
	return b.group.SetDevices(p.rules)
}

func (b *sandbox) diskPath() string { return filepath.Join(b.dir, "sandbox.vhdx") }

func (e *Engine) launch(ctx context.Context, b *sandbox, p sandboxPlan) error {
	r := wire.Launch{
		ID: b.id, First: b.first, Count: rangeSize, CgroupProcs: b.group.ProcsFiles(), HardLimits: p.hardLimits, OOMScoreAdj: p.oomScore,
		Net: p.shape.network == "nat" || p.shape.network == "none", UTS: p.shape.uts == "", IPC: p.shape.ipc == "",
	}
	var join []*linux.FD
	defer func() {
		for _, fd := range join {
			fd.Close()
		}
	}()
	for _, j := range p.join {
		fd, err := linux.Open("/proc/"+strconv.Itoa(j.pid)+"/ns/"+j.kind, linux.ORdonly, 0)
		if err != nil {
			return errs.Conflictf("join the %s namespace of another container: it is not running", j.kind)
		}
		join = append(join, fd)
	}
	// An agent that is being launched cannot be called back: not waiting for it
	// would leave one that nobody knows of.
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	l, err := e.keep().Launch(wait, r, join)
	if err != nil {
		return err
	}
	b.agent, b.session = l.PID, l.Session
	b.userns, err = linux.Open("/proc/"+strconv.Itoa(b.agent)+"/ns/user", linux.ORdonly, 0)
	return err
}

// prepareAgent hands the agent what only real root can make: device nodes, a
// proc of the host's PID namespace.
func (e *Engine) prepareAgent(ctx context.Context, b *sandbox, p sandboxPlan) error {
	s := p.shape
	m := agent.Prepare{
		Proc: true, Shm: true, ShmSize: s.shmSize, Mqueue: s.ipc == "", Unmasked: s.unmasked,
		Masked: s.masked, ReadOnly: s.readOnly, Cgroups: e.cgroupMounts(),
	}
	if m.ShmSize == 0 {
		m.ShmSize = defaultShm
	}
	filter, err := e.filters.Default(defaultCaps)
	if err != nil {
		return err
	}
	m.Seccomp, m.SeccompFlags, m.Caps = filter.Program, filter.Flags, defaultCaps
	var fds []*linux.FD
	defer func() {
		for _, fd := range fds {
			fd.Close()
		}
	}()
	add := func(fd *linux.FD, err error) error {
		if err == nil {
			fds = append(fds, fd)
		}
		return err
	}
	if err := add(linux.MakeDev(b.first, p.devices)); err != nil {
		return err
	}
	hide := "ptraceable"
	if s.hostProc {
		hide = "off"
	}
	const attrs = linux.AttrNoSuid | linux.AttrNoDev | linux.AttrNoExec
	if err := add(linux.MountFS("proc", []linux.FSOption{{Key: "hidepid", Value: hide}}, attrs)); err != nil {
		return err
	}
	if s.network == "host" || len(p.join) > 0 { // sysfs shows a network namespace: ours to give, not the agent's to make
		m.Sys = true
		sys, err := linux.CloneTree(nil, "/sys", false)
		if err := add(sys, err); err != nil {
			return err
		}
		if err := linux.SetMountAttr(sys, attrs|linux.AttrReadOnly, 0, false); err != nil {
			return err
		}
	}
	if s.ipc != "" {
		m.Shm = false
		if err := add(sharedShm(b, s.ipc, p.join)); err != nil {
			return err
		}
	}
	err = e.keep().Prepare(ctx, wire.Prepare{ID: b.id, Body: m}, fds)
	b.filtered = err == nil
	return err
}

// layRoot lays the root of a standby for the image that its container will
// probably have.
func (e *Engine) layRoot(ctx context.Context, b *sandbox, imageID string) error {
	root, err := e.baseOverlay(b, imageID)
	if err != nil {
		return err
	}
	defer root.Close()
	// What a container has of which nothing is asked.
	r := &configRecord{ID: b.id, Config: &container.Config{}, HostConfig: &container.HostConfig{}}
	if img, err := e.images.Resolve(imageID); err == nil {
		r.Config.Labels = img.Config.Config.Labels
	}
	body := agent.Root{Hostname: hostname(r), Files: e.files(r, b), Services: servicesOf(r) != nil}
	if err := e.keep().Root(ctx, wire.Root{ID: b.id, Body: body}, root); err != nil {
		return err
	}
	b.files = body.Files
	if err := e.writeChain(b.dir, imageID); err != nil {
		return err
	}
	// Files take longer to make than to fill.
	if b.draft, err = record.NewDraft(filepath.Join(b.dir, "config.json")); err != nil {
		return err
	}
	if err := logfile.Make(logPath(b.dir, b.id)); err != nil {
		return err
	}
	b.image = imageID
	return nil
}

// writeChain writes layerchain.json, which names the layers of an image, into
// a container's folder.
func (e *Engine) writeChain(dir, imageID string) error {
	base, err := e.bases.of(imageID)
	if err != nil {
		return err
	}
	return layer.WriteChain(dir, base.base.Layers)
}

// takeRoot tells whether the root of an image is laid already, and takes away
// that of another: two mounts must not share the sandbox disk.
func (e *Engine) takeRoot(ctx context.Context, b *sandbox, imageID string) (laid bool, err error) {
	if b.image == "" || b.image == imageID {
		return b.image != "", nil
	}
	b.image = ""
	return false, e.keep().Unroot(ctx, b.id)
}

func (e *Engine) plug(ctx context.Context, b *sandbox, p sandboxPlan) error {
	s := p.shape
	if s.network != "nat" && s.network != "none" {
		return nil // the namespace is another's
	}
	netns, err := linux.Open("/proc/"+strconv.Itoa(b.agent)+"/ns/net", linux.ORdonly, 0)
	if err != nil {
		return err
	}
	defer netns.Close()
	if s.network == "none" {
		return e.net.Alone(netns)
	}
	c := network.PlugConfig{ID: b.id, Netns: netns}
	if s.ip != "" {
		if c.IP, err = netip.ParseAddr(s.ip); err != nil {
			return errs.Invalidf("invalid IP address %q", s.ip)
		}
	}
	if s.mac != "" {
		if c.MAC, err = net.ParseMAC(s.mac); err != nil {
			return errs.Invalidf("invalid MAC address %q", s.mac)
		}
	}
	plug := e.plugIn
	if p.newDisk { // a standby, which takes nothing from others
		plug = e.net.Plug
	}
	ep, err := plug(ctx, c)
	if err != nil {
		return err
	}
	b.endpoint = &ep
	return b.saveEndpoint()
}

// endpointPath is endpoint.json: what a silod that takes a running container
// over must know of its network. state.json is written too late for that.
func endpointPath(dir string) string { return filepath.Join(dir, "endpoint.json") }

// saveEndpoint writes endpoint.json, which like the endpoint does not outlive
// the boot.
func (b *sandbox) saveEndpoint() error {
	return record.Write(endpointPath(b.dir), b.endpoint, record.Volatile)
}

// closeDescriptors drops what silod holds of a sandbox; it lives on.
func (b *sandbox) closeDescriptors() {
	if b == nil {
		return
	}
	b.closed.Do(func() {
		b.userns.Close()
		if b.disk != nil {
			b.disk.Close()
		}
		b.draft.Drop()
	})
}

// destroySandbox takes away all of a sandbox on the host, whatever state it
// is in: processes, endpoint, cgroup, and with files its folder and ids.
func (e *Engine) destroySandbox(b *sandbox, files bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	k := e.keep()
	if b.agent != 0 {
		_ = k.End(ctx, b.id) // not found: it has ended
	}
	if b.group != nil {
		if err := b.group.Kill(); err != nil {
			e.log.Error("end processes", "container", b.id, "err", err)
		}
	}
	e.fault("destroy: killed")
	b.closeDescriptors()
	if b.endpoint != nil {
		e.net.ClearNames(b.id)
		if err := e.net.Unplug(ctx, *b.endpoint); err != nil {
			e.log.Error("unplug", "container", b.id, "err", err)
		}
	}
	e.fault("destroy: unplugged")
	awaitEnd(b.agent)
	if b.group != nil {
		if err := b.group.Destroy(); err != nil {
			e.log.Error("remove cgroup", "container", b.id, "err", err)
			return // its ids are not safe to hand out again
		}
	}
	e.fault("destroy: cgroup")
	if files {
		if err := os.RemoveAll(b.dir); err != nil {
			e.log.Error("remove container folder", "container", b.id, "err", err)
		}
		e.fault("destroy: folder")
		e.releaseIDs(b.id, b.first)
	}
}

// awaitEnd waits, bounded, until a process is reaped.
func awaitEnd(pid int) {
	if pid == 0 {
		return
	}
	for i := range 500 {
		if _, err := os.Stat("/proc/" + strconv.Itoa(pid)); errors.Is(err, fs.ErrNotExist) {
			return
		}
		time.Sleep(time.Duration(min(i+1, 20)) * time.Millisecond)
	}
}

// cgroupParent is the cgroup below which this daemon's containers live.
func (e *Engine) cgroupParent() string {
	if e.o.Bridge == "silo0" {
		return "silo"
	}
	return "silo-" + e.o.Bridge
}

// cgroupMounts says what is shown below /sys/fs/cgroup in a container: what a
// program looks at to learn its limits.
func (e *Engine) cgroupMounts() (out []agent.Cgroup) {
	if e.cgroups.Mode == cgroup.V2 {
		return []agent.Cgroup{{}}
	}
	seen := map[string]bool{}
	for _, name := range []string{"memory", "cpu", "cpuacct", "cpuset", "pids"} {
		h, ok := e.cgroups.Controllers[name]
		if !ok || h.V2 || seen[h.Dir] {
			continue
		}
		seen[h.Dir] = true
		out = append(out, agent.Cgroup{Name: filepath.Base(h.Dir), Controllers: filepath.Base(h.Dir)})
	}
	return out
}

// baseOverlay makes the root of a container: its image's base below, its
// sandbox disk above, both seen through its id map.
func (e *Engine) baseOverlay(b *sandbox, imageID string) (*linux.FD, error) {
	base, err := e.bases.clone(imageID)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	if err := linux.IDMap(base, b.userns, false); err != nil {
		return nil, fmt.Errorf("show the image with the container's ids: %w", err)
	}
	return e.overlay(b.first, base, b.disk)
}

// overlay lays a disk over a base. The kernel makes it read-only, and says so
// in its log only, if there is no room for a folder on the disk.
func (e *Engine) overlay(owner uint32, base *linux.FD, d *disk.Attached) (m *linux.FD, err error) {
	err = e.guard.Allow(d.Device, func() error {
		m, err = e.bases.room.overlay(owner, base, d.Mount)
		return err
	})
	if err != nil {
		if m != nil {
			m.Close()
		}
		return nil, err
	}
	if st, err := linux.StatFS(m.Path()); err != nil || st.ReadOnly {
		m.Close()
		return nil, errors.Join(err, errs.New(errs.Unavailable, "the sandbox disk can only be read: it or the host's disk is full, or it is damaged: `silo disk ls` shows it"))
	}
	return m, nil
}
