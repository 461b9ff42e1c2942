package linux

import (
	"os"

	"golang.org/x/sys/unix"
)

// DirWatch tells when something in one directory changes.
type DirWatch struct {
	f       *os.File
	changed chan struct{}
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
	w := &DirWatch{f: os.NewFile(uintptr(raw), "inotify "+dir), changed: make(chan struct{}, 1), done: make(chan struct{})}
	go w.read()
	return w, nil
}

// read turns any number of events into one word on the channel.
func (w *DirWatch) read() {
	defer close(w.done)
	buf := make([]byte, 4096)
	for {
		if _, err := w.f.Read(buf); err != nil {
			return // closed
		}
		select {
		case w.changed <- struct{}{}:
		default:
		}
	}
}

// Changed delivers after one or more changes.
func (w *DirWatch) Changed() <-chan struct{} { return w.changed }

// Close ends the watch.
func (w *DirWatch) Close() error {
	err := w.f.Close()
	<-w.done
	return err
}
