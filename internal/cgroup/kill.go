package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"silo/internal/errs"
)

// How long the kernel is given. Only a process stuck in it, as on a dead NFS
// server, takes as long.
const (
	freezeWait = 10 * time.Second
	killWait   = 10 * time.Second
)

// Freeze stops every process of the group and returns when all stand still.
// If they do not within ten seconds they are thawed again: Unavailable.
func (g *Group) Freeze() error {
	if g.bad != nil {
		return g.bad
	}
	if err := g.freeze(freezeWait); err != nil {
		if thawErr := g.Thaw(); thawErr != nil {
			err = errors.Join(err, thawErr)
		}
		return fmt.Errorf("freeze cgroup %s: %w", g.path, err)
	}
	return nil
}

func (g *Group) freeze(limit time.Duration) error {
	set, done, err := g.freezer()
	if err != nil {
		return err
	}
	for pause := range pauses(limit) {
		// v1 wants to be asked again while new processes keep appearing.
		if err := set(true); err != nil {
			return err
		}
		if ok, err := done(); ok || err != nil {
			return err
		}
		time.Sleep(pause)
	}
	pids, _ := g.Procs()
	return errs.New(errs.Unavailable, "some of the processes %v do not stop: the kernel waits in a system call of theirs", pids)
}

// freezer gives the switch of this host and the question whether all stand.
func (g *Group) freezer() (set func(on bool) error, done func() (bool, error), err error) {
	if dir := g.UnifiedDir(); dir != "" {
		set = func(on bool) error { return write(dir, "cgroup.freeze", map[bool]string{true: "1", false: "0"}[on]) }
		done = func() (bool, error) {
			n, err := readKey(dir, "cgroup.events", "frozen")
			return n == 1, err
		}
		return set, done, nil
	}
	dir, _, ok := g.dir("freezer")
	if !ok {
		return nil, nil, errs.New(errs.NotSupported, "the host mounts no freezer hierarchy: mount -t cgroup -o freezer freezer DIR")
	}
	set = func(on bool) error {
		return write(dir, "freezer.state", map[bool]string{true: "FROZEN", false: "THAWED"}[on])
	}
	done = func() (bool, error) {
		s, err := readText(dir, "freezer.state")
		return s == "FROZEN", err
	}
	return set, done, nil
}

// Thaw lets the processes of a frozen group go on.
func (g *Group) Thaw() error {
	if g.bad != nil {
		return g.bad
	}
	set, _, err := g.freezer()
	if err == nil {
		err = set(false)
	}
	if err != nil {
		return fmt.Errorf("thaw cgroup %s: %w", g.path, err)
	}
	return nil
}

// Frozen tells whether the group was asked to stand still.
func (g *Group) Frozen() (bool, error) {
	if g.bad != nil {
		return false, g.bad
	}
	if dir := g.UnifiedDir(); dir != "" {
		n, err := readNumber(dir, "cgroup.freeze")
		return n == 1, err
	}
	dir, _, ok := g.dir("freezer")
	if !ok {
		return false, nil
	}
	s, err := readText(dir, "freezer.state")
	return s != "THAWED", err
}

// Kill ends every process in the group and below, also of a frozen one, and
// returns when none is left. New ones that are forked meanwhile do not
// escape. A group that is gone is no error; processes that do not end within
// ten seconds are Unavailable.
func (g *Group) Kill() error {
	if g.bad != nil {
		return g.bad
	}
	for pause := range pauses(killWait) {
		empty, err := g.Empty()
		if err != nil {
			return fmt.Errorf("end processes of cgroup %s: %w", g.path, err)
		}
		if empty {
			return nil
		}
		if dir := g.UnifiedDir(); dir != "" {
			err = write(dir, "cgroup.kill", "1")
		} else {
			err = g.killByNumber()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("end processes of cgroup %s: %w", g.path, err)
		}
		time.Sleep(pause)
	}
	pids, _ := g.Procs()
	return errs.New(errs.Unavailable, "end processes of cgroup %s: %v do not end: the kernel waits in a system call of theirs", g.path, pids)
}

// killByNumber is Kill on v1. Frozen processes cannot fork, nor leave their
// numbers to others, between the listing and the signal; a group that did not
// freeze in time loses what was listed and is taken again.
func (g *Group) killByNumber() error {
	if err := g.freeze(500 * time.Millisecond); err != nil && !errs.Is(err, errs.Unavailable) && !errs.Is(err, errs.NotSupported) {
		return err
	}
	pids, err := g.Procs()
	if err != nil && !errs.Is(err, errs.NotFound) {
		return err
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // gone already is as good
	}
	if set, _, err := g.freezer(); err == nil {
		return set(false)
	}
	return nil
}

// OOMKills counts the processes of the group that the kernel ended for want
// of memory. 0 where the host has no memory controller.
func (g *Group) OOMKills() (uint64, error) {
	if g.bad != nil {
		return 0, g.bad
	}
	dir, v2, ok := g.dir("memory")
	if !ok {
		return 0, nil
	}
	file := "memory.oom_control"
	if v2 {
		file = "memory.events"
	}
	n, err := readKey(dir, file, "oom_kill")
	if errors.Is(err, fs.ErrNotExist) {
		return 0, errs.NotFoundf("count OOM kills of cgroup %s: there is no such group", g.path)
	}
	if err != nil {
		return 0, fmt.Errorf("count OOM kills of cgroup %s: %w", g.path, err)
	}
	return n, nil
}
