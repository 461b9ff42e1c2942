package logfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"silo/internal/linux"
)

// pollInterval is how often a followed log is looked at where inotify cannot
// be had.
const pollInterval = 250 * time.Millisecond

// maxWaiting bounds, in bytes, the rotated files that a reader who is slow holds
// open beside the one that it reads and the newest.
var maxWaiting int64 = 256 << 20

// gapText is what a reader gets in place of files that it could not have.
const gapText = "silo: output is missing here: the log was rotated faster than it was read\n"

// watchDir watches the folder of a log.
var watchDir = linux.WatchDir

// track opens each new file of the log at once. The one who reads may be held up
// meanwhile, by a client who does not take what it is sent, while files are
// rotated out and the log is removed with its container: what is open stays.
func (r *Reader) track() {
	defer close(r.tracked)
	var moved <-chan struct{}
	var tick <-chan time.Time
	if r.watch != nil {
		moved = r.watch.Moved()
	} else {
		t := time.NewTicker(pollInterval)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-r.stop:
			return
		case <-moved:
		case <-tick:
		}
		_ = r.advance() // fill meets the error too
	}
}

// advance opens the files that followed the newest one we know, if it was
// rotated away. What was written to it before that is read first.
func (r *Reader) advance() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var known os.FileInfo
	if n := len(r.files); n > 0 {
		var err error
		if known, err = r.files[n-1].f.Stat(); err != nil {
			return err
		}
		now, err := os.Stat(r.path)
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				err = nil // in the middle of a rotation, or removed
			}
			return err
		}
		if os.SameFile(known, now) {
			return nil
		}
	}
	next := &Reader{path: r.path}
	if err := next.open(); err != nil {
		return err
	}
	newer, found := next.files, known == nil
	for i, s := range newer {
		if fi, err := s.f.Stat(); err == nil && known != nil && os.SameFile(fi, known) {
			for _, old := range newer[:i+1] {
				old.f.Close()
			}
			newer, found = newer[i+1:], true
			break
		}
	}
	if !found && len(newer) > 1 { // with one file kept there is none to know it by
		newer[0].gap = true
	}
	r.files = append(r.files, newer...)
	r.bound()
	return nil
}

// bound gives up the oldest files that wait to be read if they are too much: the
// writer has removed them, and they take room until they are closed.
func (r *Reader) bound() {
	var waiting int64
	for i := len(r.files) - 2; i > 0; i-- {
		fi, err := r.files[i].f.Stat()
		if err == nil {
			waiting += fi.Size()
		}
		if err == nil && waiting <= maxWaiting {
			continue
		}
		for _, s := range r.files[1 : i+1] {
			s.f.Close()
		}
		r.files = slices.Delete(r.files, 1, i+1)
		r.files[1].gap = true
		return
	}
}

// finished tells that nothing more will be written that we want.
func (r *Reader) finished() bool {
	if !r.o.Until.IsZero() && time.Now().After(r.o.Until) {
		return true
	}
	select {
	case <-r.o.Done:
		return true
	default:
		return false
	}
}

// wait waits for a change, the end of the output, or Until.
func (r *Reader) wait(ctx context.Context) error {
	var changed <-chan struct{}
	if r.watch != nil {
		changed = r.watch.Changed()
	}
	var timer <-chan time.Time
	if r.watch == nil {
		timer = time.After(pollInterval)
	}
	if !r.o.Until.IsZero() {
		if left := time.Until(r.o.Until) + time.Millisecond; r.watch != nil || left < pollInterval {
			timer = time.After(left)
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.o.Done:
	case <-changed:
	case <-timer:
	}
	return nil
}
