package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Dir is where the files of a system are, and RunDir is where they are on one
// whose root can only be read.
const (
	Dir    = "/var/log/events"
	RunDir = "/run/events"
)

// Folder gives the folder of the two that a system has; Dir if it has none.
func Folder(root string) string {
	if _, err := os.Lstat(root + RunDir); err == nil {
		return root + RunDir
	}
	return root + Dir
}

// Socket is where programs send their messages.
const Socket = "/dev/log"

const (
	current   = "events.json"
	mostBytes = 1 << 20 // of one file
	mostFiles = 4       // full ones beside the current
	mostLine  = 64 << 10
)

// Store keeps events in a folder: one JSON object a line, in a file that is
// set aside when it is full; of those, the oldest goes.
type Store struct {
	dir  string
	file *os.File
	size int64
	last int64
}

// Open opens the folder, makes it if need be, and goes on after its last event.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	s := &Store{dir: dir}
	all, err := Read(dir)
	if err != nil {
		return nil, err
	}
	if len(all) > 0 {
		s.last = all[len(all)-1].Index
	}
	return s, s.open()
}

func (s *Store) path(n int) string {
	if n == 0 {
		return filepath.Join(s.dir, current)
	}
	return filepath.Join(s.dir, current+"."+strconv.Itoa(n))
}

func (s *Store) open() error {
	f, err := os.OpenFile(s.path(0), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	s.file, s.size = f, info.Size()
	return nil
}

// Add numbers an event and appends it.
func (s *Store) Add(e Event) error {
	e.Index = s.last + 1
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if s.size > 0 && s.size+int64(len(line)) > mostBytes {
		if err := s.turn(); err != nil {
			return fmt.Errorf("set aside %s: %w", s.path(0), err)
		}
	}
	n, err := s.file.Write(line)
	s.size += int64(n)
	if err != nil {
		// A part of a line would spoil the next one.
		return errors.Join(err, s.file.Truncate(s.size-int64(n)))
	}
	s.last++
	return nil
}

// turn sets the current file aside.
func (s *Store) turn() error {
	if err := s.file.Close(); err != nil {
		return err
	}
	for n := mostFiles; n > 0; n-- {
		if err := os.Rename(s.path(n-1), s.path(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return s.open()
}

// Close ends writing.
func (s *Store) Close() error { return s.file.Close() }

// Read gives the events of a folder, the oldest first. Lines that are none, and
// the folder if it is not there, have no events.
func Read(dir string) ([]Event, error) {
	s := Store{dir: dir}
	var all []Event
	for n := mostFiles; n >= 0; n-- {
		f, err := os.Open(s.path(n))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(io.LimitReader(f, 2*mostBytes))
		f.Close()
		if err != nil {
			return nil, err
		}
		all = append(all, Decode(data)...)
	}
	return all, nil
}

// Decode reads lines of events and leaves out what is none.
func Decode(data []byte) []Event {
	var all []Event
	for line := range bytes.Lines(data) {
		var e Event
		if len(line) <= mostLine && json.Unmarshal(line, &e) == nil && e.Index > 0 {
			all = append(all, e)
		}
	}
	return all
}

// Trim removes files whose last event is older than age, and tells how many.
// The current file stays: it is being written.
func Trim(dir string, age time.Duration, now time.Time) (int, error) {
	s := Store{dir: dir}
	removed := 0
	for n := 1; n <= mostFiles; n++ {
		info, err := os.Lstat(s.path(n))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return removed, err
		}
		if now.Sub(info.ModTime()) < age {
			continue
		}
		if err := os.Remove(s.path(n)); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}
