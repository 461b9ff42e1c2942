// Package engine joins the parts: images, disks, networks, cgroups and the
// keeper become containers. It owns the containers' records and life cycle,
// keeps standbys ready, and at start makes the host match the records again.
// It is the only package that knows all parts; they do not know each other.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/moby/moby/api/types/events"

	"silo/internal/cgroup"
	"silo/internal/disk"
	"silo/internal/event"
	"silo/internal/image"
	"silo/internal/keeper/remote"
	"silo/internal/layer"
	"silo/internal/linux"
	"silo/internal/network"
	"silo/internal/sandbox/seccomp"
)

// Options say where an engine lives.
type Options struct {
	Data    string       // data root
	Run     string       // exec root: what dies with the boot
	Bridge  string       // name of the switch; also names everything else on the host
	Pool    netip.Prefix // addresses to take the subnet from
	Standby int          // how many standbys to keep
	IDs     IDPool       // user ids to hand out
	BinDir  string       // where silo-keeper and silo-agent are
	Log     *slog.Logger
	// Insecure registries, see package image.
	InsecureRegistries []string
	// Fault, if set, is called at each step of a change of the host, by name.
	// Tests end the process there.
	Fault func(step string)
}

// Engine is a running engine.
type Engine struct {
	o          Options
	log        *slog.Logger
	images     *image.Store
	layers     *layer.Store
	disks      *disk.Store
	guard      *disk.Guard
	net        *network.Network
	cgroups    cgroup.Layout
	filters    *seccomp.Cache
	hostResolv hostFile // /etc/resolv.conf
	hostHosts  hostFile // /etc/hosts
	bus        event.Bus
	events     *event.Log
	ids        *idAllocator
	volumes    *volumeStore
	bases      baseMounts
	standby    *standbys
	id         string // of this data root
	natID      string // of the network nat: asking for it lists every endpoint
	started    time.Time
	busy       atomic.Int64 // when a container was last made, started or ended, since started

	ctx     context.Context // ends with the engine
	cancel  context.CancelFunc
	work    tasks      // background work
	showing sync.Mutex // who shows a disk in a folder, so that a folder shows one

	mu         sync.Mutex
	keeper     *remote.Keeper
	containers map[string]*Container
	names      map[string]string // name → id
	execs      map[string]*execution
	closing    bool
}

// Open makes the engine of a data root and brings the host in line with its
// records: running containers go on, half-made things are finished or undone.
func Open(ctx context.Context, o Options) (_ *Engine, err error) {
	e := &Engine{o: o, log: o.Log, containers: map[string]*Container{}, names: map[string]string{}, execs: map[string]*execution{}, started: time.Now(), hostResolv: hostFile{path: "/etc/resolv.conf"}, hostHosts: hostFile{path: "/etc/hosts"}}
	e.ctx, e.cancel = context.WithCancel(context.WithoutCancel(ctx))
	e.guard = disk.NewGuard(e.containersDir(), o.Log)
	defer func() {
		if err != nil {
			err = errors.Join(err, e.giveUp())
		}
	}()
	for _, dir := range []string{o.Data, e.containersDir(), o.Run, filepath.Join(o.Data, "seccomp")} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return nil, fmt.Errorf("make data root: %w", err)
		}
	}
	if e.id, err = loadID(o.Data); err != nil {
		return nil, err
	}
	if e.events, err = event.OpenLog(e.eventLogPath()); err != nil {
		return nil, err
	}
	if e.cgroups, err = cgroup.Detect(); err != nil {
		return nil, err
	}
	if e.disks, err = disk.Open(filepath.Join(o.Data, "templates")); err != nil {
		return nil, err
	}
	if e.layers, err = layer.Open(o.Data); err != nil {
		return nil, err
	}
	e.ids = newIDAllocator(o.IDs, defaultClaims, o.Data)
	e.filters = seccomp.NewCache(filepath.Join(o.Data, "seccomp"))
	e.volumes = &volumeStore{dir: filepath.Join(o.Data, "volumes")}
	e.bases.layers, e.bases.room.run = e.layers, o.Run
	e.images, err = image.Open(image.Options{
		Data: o.Data, Bases: basesOf{e}, Log: o.Log, InUse: e.imageInUse, Event: e.imageEvent,
		InsecureRegistries: o.InsecureRegistries,
	})
	if err != nil {
		return nil, err
	}
	if err := e.addBuiltin(ctx); err != nil {
		return nil, err
	}
	if err := e.loadRecords(); err != nil {
		return nil, err
	}
	if err := e.connectKeeper(ctx); err != nil {
		return nil, err
	}
	if err := e.openNetwork(ctx); err != nil {
		return nil, err
	}
	if err := e.reconcile(ctx); err != nil {
		return nil, err
	}
	e.standby = newStandbys(e, o.Standby)
	e.background(e.standby.fill)
	return e, nil
}

// giveUp ends what an engine that could not be opened has begun, a keeper that
// was started for nothing too. One that holds containers goes on with them.
func (e *Engine) giveUp() error {
	e.cancel()
	if e.events != nil {
		_ = e.events.Close() // the error that is on its way says more
	}
	k := e.keep()
	if k == nil {
		return nil
	}
	defer k.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := k.Quit(ctx); err != nil {
		return nil //nolint:nilerr // it is needed
	}
	<-k.Done()
	return cgroup.RemoveParent(e.cgroups, e.cgroupParent())
}

func (e *Engine) openNetwork(ctx context.Context) (err error) {
	c := network.Config{Bridge: e.o.Bridge, Pool: e.o.Pool, Dir: filepath.Join(e.o.Data, "networks"), Log: e.log}
	if kept, err := e.keep().Take(ctx, "resolver"); err == nil && len(kept) == 2 {
		c.Sockets = network.Sockets{UDP: kept[0], TCP: kept[1]}
	} else {
		for _, fd := range kept {
			fd.Close()
		}
	}
	if e.net, err = network.Open(ctx, c); err != nil {
		return err
	}
	e.natID = e.net.Inspect().ID
	return e.keepResolver(ctx)
}

// keepResolver gives the keeper copies of the name server's sockets: while
// silod is away questions wait there.
func (e *Engine) keepResolver(ctx context.Context) error {
	s, err := e.net.Sockets()
	if err != nil || s.UDP == nil {
		return nil // containers are resolved for by others' servers, or not at all
	}
	defer s.UDP.Close()
	defer s.TCP.Close()
	return e.keep().Keep(ctx, "resolver", []*linux.FD{s.UDP, s.TCP})
}

// Close stops the engine. Containers go on; standbys end.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.closing = true
	e.mu.Unlock()
	e.standby.close()
	e.cancel()
	e.work.finish()
	var errList []error
	for _, c := range e.all() {
		errList = append(errList, c.flush())
		c.closeDescriptors()
	}
	e.bases.close()
	errList = append(errList, e.events.Close())
	k := e.keep()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := k.Quit(ctx); err == nil { // nothing runs: the keeper is not needed either
		<-k.Done()
		errList = append(errList, cgroup.RemoveParent(e.cgroups, e.cgroupParent()))
	}
	k.Close()
	if len(e.all()) == 0 { // nobody will ask for this network's addresses again
		errList = append(errList, e.net.Remove(ctx))
	} else {
		errList = append(errList, e.net.Close())
	}
	return errors.Join(errList...)
}

// keep gives the connection to the keeper.
func (e *Engine) keep() *remote.Keeper {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.keeper
}

// fault marks a step of a change, for tests that end the process there.
func (e *Engine) fault(step string) {
	if e.o.Fault != nil {
		e.o.Fault(step)
	}
}

// background runs f until the engine closes; Close waits for it.
func (e *Engine) background(f func()) { e.work.begin(f) }

func (e *Engine) containersDir() string { return filepath.Join(e.o.Data, "containers") }

func (e *Engine) all() (out []*Container) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.containers {
		out = append(out, c)
	}
	return out
}

// emit publishes an event of a container.
func (e *Engine) emit(c *Container, action events.Action, extra map[string]string) {
	r := c.record()
	attrs := map[string]string{"name": r.Name, "image": r.ImageName}
	for k, v := range r.Config.Labels {
		attrs[k] = v
	}
	for k, v := range extra {
		attrs[k] = v
	}
	now := time.Now()
	m := events.Message{
		Type: events.ContainerEventType, Action: action, Scope: "local", Time: now.Unix(), TimeNano: now.UnixNano(),
		Actor: events.Actor{ID: r.ID, Attributes: attrs},
	}
	e.bus.Publish(m)
	e.events.Add(c.lastSession(), m)
}

// emitNetwork tells that a container was plugged into its network, or out.
func (e *Engine) emitNetwork(c *Container, action events.Action) {
	r := c.record()
	name := string(r.HostConfig.NetworkMode)
	e.bus.Publish(events.Message{
		Type: events.NetworkEventType, Action: action,
		Actor: events.Actor{ID: e.networkID(name), Attributes: map[string]string{"container": r.ID, "name": name, "type": name}},
	})
}

// emitPrune tells how many bytes a prune has given back.
func (e *Engine) emitPrune(kind events.Type, bytes uint64) {
	e.bus.Publish(events.Message{
		Type: kind, Action: events.ActionPrune,
		Actor: events.Actor{Attributes: map[string]string{"reclaimed": strconv.FormatUint(bytes, 10)}},
	})
}

func (e *Engine) imageEvent(action events.Action, id, name string) {
	now := time.Now()
	e.bus.Publish(events.Message{
		Type: events.ImageEventType, Action: action, Scope: "local", Time: now.Unix(), TimeNano: now.UnixNano(),
		Actor: events.Actor{ID: id, Attributes: map[string]string{"name": name}},
	})
}
