package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Room is a mount namespace of this process's own that holds nothing but an
// empty tmpfs: kernels below 6.15 copy a mount, or lay an overlay over it, only
// where it is attached. What is attached in a room is on nobody's path, keeps
// nothing of the host busy, and goes with the process, however that ends.
type Room struct{ jobs chan func() }

// NewRoom makes a room. at is any folder; it is the same afterwards.
func NewRoom(at string) (*Room, error) {
	r := &Room{jobs: make(chan func())}
	made := make(chan error)
	go OwnThread(func() { // the thread ends with the room
		err := enterRoom(at)
		made <- err
		if err != nil {
			return
		}
		for job := range r.jobs {
			job()
		}
	})
	if err := <-made; err != nil {
		return nil, fmt.Errorf("make a mount namespace: %w", err)
	}
	return r, nil
}

// enterRoom takes the calling thread into a namespace of its own.
func enterRoom(at string) error {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare", err)
	}
	if err := MakePrivate(); err != nil {
		return err
	}
	m, err := MountFS("tmpfs", []FSOption{{Key: "mode", Value: "700"}, {Key: "size", Value: "1m"}}, AttrNoSuid|AttrNoDev|AttrNoExec)
	if err != nil {
		return err
	}
	defer m.Close()
	if err := MoveMount(m, nil, at); err != nil {
		return err
	}
	return PivotTo(m)
}

// Do runs f in the room, where paths are those of its tmpfs. One f runs at a
// time.
func (r *Room) Do(f func() error) error {
	done := make(chan error, 1)
	r.jobs <- func() { done <- f() }
	return <-done
}

// Close ends the room and all that is attached in it.
func (r *Room) Close() { close(r.jobs) }
