package engine

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"

	"silo/internal/errs"
	"silo/internal/network"
	"silo/internal/record"
)

// recordFormat is the number of the records' present form.
const recordFormat = 1

// configRecord is config.json of a container: what it was asked to be.
type configRecord struct {
	Format     int
	ID         string
	Name       string
	Created    time.Time
	ImageID    string // sha256:…
	ImageName  string // as the user wrote it
	FirstID    uint32 // of its range of 65,536 user ids
	DiskSize   int64  // bytes
	PID        bool   // isolation pid: a PID namespace of its own
	Config     *container.Config
	HostConfig *container.HostConfig
	Mounts     []mountRecord
	IP, MAC    string   // asked for
	Aliases    []string `json:",omitempty"` // further names on the network
}

// stateRecord is state.json: what became of it. It is written behind; for a
// running container the keeper knows better.
type stateRecord struct {
	Format       int
	State        container.ContainerState
	PID          int
	Agent        int
	Session      uint32
	ExitCode     int
	OOMKilled    bool
	Error        string
	Started      time.Time
	Finished     time.Time
	Restarts     int
	StoppedByUse bool // by stop or kill: unless-stopped leaves it
	Endpoint     *network.Endpoint
	Failures     int // restarts in a row, for the back-off and on-failure's most
}

// mountRecord is one mount besides the root, resolved when the container was
// made.
type mountRecord struct {
	Type     string // bind, volume, tmpfs
	Name     string `json:",omitempty"` // of a volume
	Source   string // host path
	Target   string
	ReadOnly bool
	NonRec   bool   `json:",omitempty"` // bind without what is mounted below
	Suid     bool   `json:",omitempty"` // keep set-user-id
	Dev      bool   `json:",omitempty"` // keep device nodes
	NoExec   bool   `json:",omitempty"`
	Options  string `json:",omitempty"` // of a tmpfs
	Mode     string `json:",omitempty"` // as the user wrote it
	Anon     bool   `json:",omitempty"` // volume without a name of the user's
	NoCopy   bool   `json:",omitempty"` // a new volume stays empty
	Make     bool   `json:",omitempty"` // a folder of the host's that is made where it is missing
}

// Container is a container in memory.
type Container struct {
	e     *Engine
	dir   string
	op    chan struct{} // held by whoever changes its life; see lock
	hurry chan struct{} // somebody waits for op

	mu       sync.Mutex
	rec      *configRecord // replaced whole, never changed
	st       stateRecord
	box      *sandbox      // while parked or running
	exited   chan struct{} // closed at the end of the present run
	begun    chan struct{} // closed when it is noted that the present run has begun, or has not
	removed  chan struct{}
	waiters  []chan struct{} // for the end of the next run
	pending  []*pendingAttach
	health   *healthState
	stopping bool       // stop, kill or remove was asked: no restart
	waking   bool       // its services are awaited before its command begins
	aborted  bool       // they need not be any more
	failed   string     // why the present run counts as failed
	again    bool       // it is to be followed by another, whatever the restart policy says
	detail   string     // why it is broken
	reading  sync.Mutex // held while its inside is read: one reader at a time
	save     sync.Mutex
	dirty    bool

	execIDs []string // of the execs made by clients, oldest first; guarded by e.mu
}

func newContainer(e *Engine, r *configRecord) *Container {
	return &Container{
		e: e, dir: filepath.Join(e.containersDir(), r.ID), op: make(chan struct{}, 1), hurry: make(chan struct{}, 1), rec: r,
		st: stateRecord{Format: recordFormat, State: container.StateCreated}, exited: make(chan struct{}), removed: make(chan struct{}),
	}
}

func (c *Container) record() *configRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rec
}

func (c *Container) state() stateRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.st
}

// lock waits for the right to change the container's life. It is a channel
// so that a client who hangs up stops waiting.
func (c *Container) lock(done <-chan struct{}) bool {
	select {
	case c.op <- struct{}{}:
		return true
	default:
	}
	signal(c.hurry)
	select {
	case c.op <- struct{}{}:
		return true
	case <-done:
		return false
	}
}

func (c *Container) unlock() {
	select {
	case <-c.hurry: // it was for this holder
	default:
	}
	<-c.op
}

// saveState writes state.json soon, off the path of whoever waits.
func (c *Container) saveState() {
	c.mu.Lock()
	if c.dirty {
		c.mu.Unlock()
		return
	}
	c.dirty = true
	c.mu.Unlock()
	c.e.later(func() {
		if err := c.flush(); err != nil {
			c.e.log.Error("write state", "container", c.rec.ID, "err", err)
		}
	})
}

// flushNow writes state.json whether or not a change of it is known.
func (c *Container) flushNow() error {
	c.mu.Lock()
	c.dirty = true
	c.mu.Unlock()
	return c.flush()
}

// flush writes state.json if it has changed.
func (c *Container) flush() error {
	c.save.Lock()
	defer c.save.Unlock()
	c.mu.Lock()
	if !c.dirty || c.st.State == container.StateRemoving || c.st.State == container.StateDead {
		c.dirty = false
		c.mu.Unlock()
		return nil
	}
	c.dirty = false
	st, rec := c.st, c.rec
	c.mu.Unlock()
	d := record.Durable
	if rec.HostConfig.AutoRemove { // it does not outlive the boot
		d = record.Volatile
	}
	err := record.Write(filepath.Join(c.dir, "state.json"), st, d)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile
	}
	return err
}

func (c *Container) configPath() string { return filepath.Join(c.dir, "config.json") }

// writeNew writes config.json of a new container. The record is there when
// writeNew returns, whatever becomes of silod, and a moment later it survives a
// power cut too: waiting for the disk would take longer than all the rest of
// making a container, which has nothing to lose yet.
func (c *Container) writeNew(r *configRecord) error {
	var err error
	if c.box != nil && c.box.draft != nil {
		err = c.box.draft.Write(r)
	} else {
		err = record.Write(c.configPath(), r, record.Volatile)
	}
	if err != nil {
		return err
	}
	if r.HostConfig.AutoRemove {
		return nil // a power cut removes it, as its end would have
	}
	c.e.later(func() {
		// The record last: where it is whole, so is what it is about.
		for _, name := range []string{"layerchain.json", "sandbox.vhdx", "config.json"} {
			if err := record.Sync(filepath.Join(c.dir, name)); err != nil {
				if !errors.Is(err, fs.ErrNotExist) {
					c.e.log.Error("write record", "container", r.ID, "err", err)
				}
				return
			}
		}
	})
	return nil
}

// writeConfig replaces config.json; the caller holds the lock of its life.
func (c *Container) writeConfig(r *configRecord) error {
	d := record.Durable
	if r.HostConfig.AutoRemove {
		d = record.Volatile // a power cut removes it, as its end would have
	}
	if err := record.Write(c.configPath(), r, d); err != nil {
		return err
	}
	c.mu.Lock()
	c.rec = r
	c.mu.Unlock()
	return nil
}

// loadRecords reads every container; a damaged record gives a broken
// container, a folder without one was being made or removed and is swept.
func (e *Engine) loadRecords() error {
	entries, err := os.ReadDir(e.containersDir())
	if err != nil {
		return err
	}
	for _, entry := range entries {
		dir := filepath.Join(e.containersDir(), entry.Name())
		var r configRecord
		err := record.Read(filepath.Join(dir, "config.json"), &r)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, record.ErrEmpty) {
			continue // swept by reconcile, after what it holds on the host
		}
		if err == nil && (r.ID != entry.Name() || r.Config == nil || r.HostConfig == nil) {
			err = fmt.Errorf("%s: %w: it names container %q", dir, record.ErrCorrupt, r.ID)
		}
		if err == nil && r.Format > recordFormat {
			err = fmt.Errorf("%s: written by a newer silod (format %d, this one knows %d)", dir, r.Format, recordFormat)
		}
		if err != nil {
			e.addBroken(entry.Name(), err)
			continue
		}
		for i, m := range r.Mounts { // the data root may have been moved
			if m.Type == "volume" {
				r.Mounts[i].Source = e.volumes.data(m.Name)
			}
		}
		c := newContainer(e, &r)
		if err := record.Read(filepath.Join(dir, "state.json"), &c.st); err != nil && !errors.Is(err, fs.ErrNotExist) {
			e.log.Warn("state record is damaged: the container counts as exited", "container", r.ID, "err", err)
			c.st = stateRecord{Format: recordFormat, State: container.StateExited, ExitCode: 255, Error: err.Error(), Started: r.Created, Finished: time.Now().UTC()}
		}
		if err := e.claimIDs(c); err != nil {
			e.addBroken(r.ID, fmt.Errorf("%s: %w", dir, err))
			continue
		}
		e.containers[r.ID] = c
		e.names[r.Name] = r.ID
	}
	return nil
}

// addBroken shows a container whose record cannot be used: it can be removed,
// and nothing else.
func (e *Engine) addBroken(id string, cause error) {
	e.log.Error("container is broken", "container", id, "err", cause)
	name := "broken-" + id
	if len(id) > 12 {
		name = "broken-" + id[:12]
	}
	c := newContainer(e, &configRecord{Format: recordFormat, ID: id, Name: name, Config: &container.Config{}, HostConfig: &container.HostConfig{}})
	c.st.State, c.st.Error, c.detail = container.StateDead, cause.Error(), cause.Error()
	e.containers[id] = c
	e.names[name] = id
}

// newID makes the id of a container or exec: 64 hexadecimal digits.
func newID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// loadID gives the data root a number of its own, once.
func loadID(data string) (string, error) {
	var r struct {
		Format int
		ID     string
	}
	path := filepath.Join(data, "engine.json")
	err := record.Read(path, &r)
	if errors.Is(err, fs.ErrNotExist) {
		r.Format, r.ID = recordFormat, newID()[:32]
		err = record.Write(path, r, record.Durable)
	}
	if err == nil && r.Format > recordFormat {
		err = errs.New(errs.NotSupported, "data root %s was written by a newer silod (format %d, this one knows %d)", data, r.Format, recordFormat)
	}
	return r.ID, err
}
