package linux

import (
	"encoding/binary"
	"os"

	"golang.org/x/sys/unix"
)

// DirWatch tells when something in one directory changes.
type DirWatch struct {
	f       *os.File
	changed chan struct{}
	moved   chan struct{}
	done    chan struct{}
}

// WatchDir watches the files directly in dir: written, made, renamed,
// removed. It needs one of the host's few inotify instances
// (fs.inotify.max_user_instances); without one, look again from time to time.
func WatchDir(dir string) (*DirWatch, error) {
	raw, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	const mask = unix.IN_MODIFY | unix.IN_CREATE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_DELETE | unix.IN_DELETE_SELF | unix.IN_ONLYDIR
	if _, err := unix.InotifyAddWatch(raw, dir, mask); err != nil {
		unix.Close(raw)
		return nil, &os.PathError{Op: "inotify_add_watch", Path: dir, Err: err}
	}
	w := &DirWatch{
		f: os.NewFile(uintptr(raw), "inotify "+dir), done: make(chan struct{}),
		changed: make(chan struct{}, 1), moved: make(chan struct{}, 1),
	}
	go w.read()
	return w, nil
}

// read turns any number of events into one word on the channels.
func (w *DirWatch) read() {
	defer close(w.done)
	buf := make([]byte, 4096)
	for {
		n, err := w.f.Read(buf)
		if err != nil {
			return // closed
		}
		notify(w.changed)
		if moves(buf[:n]) {
			notify(w.moved)
		}
	}
}

func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// moves tells whether one of some events (inotify(7)) is more than a write.
func moves(events []byte) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		if mask&^uint32(unix.IN_MODIFY) != 0 {
			return true
		}
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		if size > len(events) {
			return true
		}
		events = events[size:]
	}
	return false
}

// Changed delivers after one or more changes.
func (w *DirWatch) Changed() <-chan struct{} { return w.changed }

// Moved delivers after one or more files were made, renamed or removed.
func (w *DirWatch) Moved() <-chan struct{} { return w.moved }

// Close ends the watch.
func (w *DirWatch) Close() error {
	err := w.f.Close()
	<-w.done
	return err
}
