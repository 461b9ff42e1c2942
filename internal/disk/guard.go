package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"silo/internal/linux"
)

// Sandbox disks promise more room than the host may have. When the host's file
// system is full, a write to a hole of a disk fails below ext4: the file's data
// is lost after write(2) has said yes, and if the hole was of the journal ext4
// gives up and is read-only until it is mounted anew.
//
// A Guard keeps ext4 from getting there. It tells each file system to hold back
// so many blocks (reserved_clusters in sysfs) that no more can be allocated
// inside than the host has: write(2) itself then says ENOSPC, df shows what
// there really is, and when the host has room again so have the containers.
//
//	host:    |  used  |  promised: dirty pages inside  |      room      | kept |
//	inside:  |  used, dirty  |         room         |       held back          |
//
// Between two looks a disk cannot take more than the room that there was, as
// its own use counts inside at once; what several disks and the host take
// together is what is kept for.
type Guard struct {
	root  string
	log   *slog.Logger
	sysfs string
	kick  chan struct{}
	// calm is set while a new disk need not be looked at before the next look.
	calm atomic.Bool

	mu      sync.Mutex      // of what is held back
	last    host            // at the look before
	paused  time.Duration   // after it
	full    bool            // was told
	safe    map[string]bool // by device and inode: disks whose journal has its room
	refused map[string]bool // by device: what could not be set, told once
}

const (
	// keptMost is what the host keeps for itself of a large file system: a
	// second of writing by what does not stop, and what ext4 inside allocates
	// without asking, as inode tables.
	keptMost = 256 << 20
	// keptPart is the part of a small one.
	keptPart = 16
	// fastest is how many bytes a second a host writes at most, as far as the
	// time between two looks depends on it.
	fastest  = 2 << 30
	lookMost = 5 * time.Second
	// lookLeast bounds what looking costs, lookFull does where nothing is left.
	lookLeast = 20 * time.Millisecond
	lookFull  = 500 * time.Millisecond
	// journalsPart: journals get their room when it is this many times what
	// they need.
	journalsPart = 16
)

// NewGuard makes the guard of the disks below root, a folder. Run starts it.
func NewGuard(root string, log *slog.Logger) *Guard {
	return &Guard{root: root, log: log, sysfs: "/sys/fs/ext4", kick: make(chan struct{}, 1), safe: map[string]bool{}, refused: map[string]bool{}}
}

// Attached tells the guard that there is one more disk.
func (g *Guard) Attached() {
	if g.calm.Load() {
		return
	}
	select {
	case g.kick <- struct{}{}:
	default: // it has been told
	}
}

// Allow runs f while the file system of a device may take all that it has: for
// the few blocks without which an overlay on it would be read-only.
func (g *Guard) Allow(device string, f func() error) (err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := AttachedDisk{Device: device}
	now, err := g.read(d, "reserved_clusters")
	if err != nil {
		return f() // nothing is held back
	}
	if err := g.write(d, 0); err != nil {
		return f() // it will tell
	}
	return errors.Join(f(), g.write(d, now))
}

// Run guards until ctx ends. What was held back last stays so: a silod that is
// replaced must not open a gap.
func (g *Guard) Run(ctx context.Context) {
	for {
		pause, err := g.look()
		if err != nil {
			g.log.Warn("watch the room for sandbox disks", "err", err)
			pause = lookMost
		}
		g.calm.Store(pause == lookMost)
		var timer <-chan time.Time
		if pause > 0 {
			timer = time.After(pause)
		}
		select {
		case <-ctx.Done():
			return
		case <-timer:
		case <-g.kick:
		}
	}
}

// host is what a look finds on the host, in bytes.
type host struct {
	size, free int64 // of the file system that holds the disks
	promised   int64 // pages that are written inside and not yet on a disk
}

func (h host) kept() int64 { return min(keptMost, h.size/keptPart) }

// room is what may be allocated inside all disks; it can be below 0.
func (h host) room() int64 { return h.free - h.promised - h.kept() }

// full tells whether there is next to no room.
func (h host) full() bool { return h.room() < mib }

// pause is how long the room lasts at least.
func (h host) pause() time.Duration {
	if h.full() {
		return lookFull
	}
	return max(lookLeast, min(lookMost, time.Duration(float64(h.room())/fastest*float64(time.Second))))
}

// held gives the blocks that a file system must hold back: of blocks in all and
// free ones not promised to dirty pages, so that no more than room bytes of
// them can be allocated. It is never less than ext4's own default, a fiftieth.
func held(blocks, free, room int64) int64 {
	least := min(blocks/50, 4096)
	return min(max(least, free-max(room, 0)/blockSize), blocks-1)
}

// look makes what is held back fit what the host has, and gives the time of
// the next look; 0 if there is nothing to guard.
func (g *Guard) look() (time.Duration, error) {
	disks, err := List(g.root)
	if err != nil || len(disks) == 0 {
		return 0, err
	}
	st, err := linux.StatFS(g.root)
	if err != nil {
		return 0, err
	}
	if st.Size == 0 { // without an end, as some tmpfs
		return lookMost, nil
	}
	h := host{size: st.Size, free: st.Free}
	for _, d := range disks {
		if n, err := g.read(d, "delayed_allocation_blocks"); err == nil {
			h.promised += n * blockSize
		}
	}
	g.journals(disks, &h)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range disks {
		if err := g.hold(d, h.room()); err != nil && !g.refused[d.Device] {
			g.refused[d.Device] = true
			g.log.Warn("cannot keep a sandbox disk from filling the host", "disk", d.Path, "err", err)
		}
	}
	g.tell(h)
	pause := h.pause()
	if h == g.last && pause < lookFull { // nobody writes
		pause = max(pause, min(2*g.paused, lookFull))
	}
	g.last, g.paused = h, pause
	return pause, nil
}

// tell logs when the room for containers ends, and when there is some again.
func (g *Guard) tell(h host) {
	switch full := h.full(); {
	case full && !g.full:
		g.log.Warn("the host's disk is full: containers find no room until some is freed", "folder", g.root, "free", h.free, "kept", h.kept())
		g.full = true
	case g.full && h.room() > h.kept()/4: // not at every block that comes and goes
		g.log.Info("the host's disk has room for containers again", "folder", g.root, "free", h.free)
		g.full = false
	}
}

// hold makes one file system hold back what it must.
func (g *Guard) hold(d AttachedDisk, room int64) error {
	now, err := g.read(d, "reserved_clusters")
	if errors.Is(err, os.ErrNotExist) {
		return nil // not mounted yet, or not any more
	}
	if err != nil {
		return err
	}
	blocks := d.Size / blockSize
	want := held(blocks, 0, 0)
	if room < d.Size { // else it fits in any case, however much is free inside
		m, err := mount(d.Device)
		if err != nil {
			return nil //nolint:nilerr // it has ended meanwhile
		}
		st, err := linux.StatFS(m.Path())
		m.Close()
		if err != nil {
			return err
		}
		want = held(blocks, st.Unused/blockSize, room)
	}
	if want == now {
		return nil
	}
	return g.write(d, want)
}

func (g *Guard) write(d AttachedDisk, held int64) error {
	return os.WriteFile(g.attribute(d, "reserved_clusters"), strconv.AppendInt(nil, held, 10), 0)
}

func (g *Guard) attribute(d AttachedDisk, name string) string {
	return filepath.Join(g.sysfs, filepath.Base(d.Device), name)
}

func (g *Guard) read(d AttachedDisk, name string) (int64, error) {
	data, err := os.ReadFile(g.attribute(d, name))
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
}

// journals gives the journals of all disks their room on the host while there
// still is some: what exists already is written to again when nothing can be
// allocated any more. Half of what is kept is for this.
func (g *Guard) journals(disks []AttachedDisk, h *host) {
	var bare []AttachedDisk
	seen := map[string]bool{}
	for _, d := range disks {
		key := fmt.Sprint(d.Device, " ", d.inode)
		if seen[key] = g.safe[key]; !seen[key] && !d.Deleted {
			bare = append(bare, d)
		}
	}
	g.safe = seen // forget what is gone
	if h.room() > int64(len(bare))*journalsPart*journalMost*mib {
		return
	}
	for _, d := range bare {
		if h.free-journalMost*mib < h.kept()/2 {
			return
		}
		if err := keepJournal(d); err != nil {
			g.log.Warn("give the journal of a sandbox disk its room", "disk", d.Path, "err", err)
		}
		g.safe[fmt.Sprint(d.Device, " ", d.inode)] = true
		if st, err := linux.StatFS(g.root); err == nil {
			h.free = st.Free
		}
	}
}

// keepJournal fills the holes of a disk's journal.
func keepJournal(d AttachedDisk) error {
	f, err := openDisk(d.Path, os.O_RDWR)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Sys().(*syscall.Stat_t).Ino != d.inode { // another file has its name by now
		return err
	}
	super, err := readSuper(f.File, d.Offset+superAt)
	if err != nil {
		return err
	}
	runs, err := super.journal(d.Size / blockSize)
	if err != nil {
		return err
	}
	for _, r := range runs {
		if err := linux.Preallocate(f.fd, d.Offset+r.block*blockSize, r.blocks*blockSize); err != nil {
			return err
		}
	}
	return nil
}
