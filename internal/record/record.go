// Package record keeps small state as JSON files that a person can read: one
// folder an object, each file replaced atomically and numbered with the
// format it was written in. What a record means belongs to its owner.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Durability says when a written record must survive a power cut.
type Durability bool

const (
	Durable  Durability = true  // before Write returns: fsync of file and folder
	Volatile Durability = false // when the kernel writes it back, or Sync is called; still replaced atomically
)

// safe is the bit of a file's mode that tells a record which has been on the
// disk as a whole from one that a power cut may have left with any content:
// names and modes are in a journal, content is not.
const safe fs.FileMode = 0o200

// Write replaces the file at path with v as indented JSON and a final newline,
// mode 0600, or 0400 while it is volatile. Readers see the old content or the new, never a part.
func Write(path string, v any, d Durability) error {
	mode := fs.FileMode(0o600)
	if d == Volatile {
		mode &^= safe
	}
	f, err := newDraft(path, mode)
	if err == nil {
		err = f.encode(v, d)
	}
	if err != nil {
		return fmt.Errorf("write record %s: %w", path, err)
	}
	return nil
}

// WriteFile is Write for raw bytes, with one mode for both durabilities.
func WriteFile(path string, data []byte, mode fs.FileMode, d Durability) error {
	f, err := newDraft(path, mode)
	if err != nil {
		return err
	}
	return f.fill(data, d)
}

// Draft is a new volatile record whose file is there already: to make a file
// takes much longer than to fill it. Until then it is empty; what a program that
// is killed leaves of it in the midst of that is read as ErrEmpty too.
type Draft struct {
	f    *os.File
	path string // f has another name if it is to replace what is there
}

// NewDraft makes the file of a record at path, where there must be none.
func NewDraft(path string) (*Draft, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600&^safe)
	if err != nil {
		return nil, err
	}
	return &Draft{f, path}, nil
}

func newDraft(path string, mode fs.FileMode) (*Draft, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp*")
	if err != nil {
		return nil, err
	}
	d := &Draft{f, path}
	if err := f.Chmod(mode); err != nil {
		d.Drop()
		return nil, err
	}
	return d, nil
}

// Write is Write of the volatile record, once.
func (d *Draft) Write(v any) error {
	if err := d.encode(v, Volatile); err != nil {
		return fmt.Errorf("write record %s: %w", d.path, err)
	}
	return nil
}

// Drop takes the file away unless it has been written; d may be nil.
func (d *Draft) Drop() {
	if d != nil && d.f.Close() == nil {
		os.Remove(d.f.Name())
	}
}

func (d *Draft) encode(v any, how Durability) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		d.Drop()
		return err
	}
	return d.fill(append(data, '\n'), how)
}

// fill writes the content, and gives the file its name if it has another.
func (d *Draft) fill(data []byte, how Durability) error {
	_, err := d.f.Write(data)
	if err == nil && how == Durable {
		err = d.f.Sync()
	}
	if cerr := d.f.Close(); err == nil {
		err = cerr
	}
	if err == nil && d.f.Name() != d.path {
		err = rename(d.f.Name(), d.path)
	}
	if err != nil {
		os.Remove(d.f.Name())
		return err
	}
	if how == Durable {
		return SyncDir(filepath.Dir(d.path))
	}
	return nil
}

// rename is os.Rename, which asks first whether the new name is a folder's.
func rename(from, to string) error {
	if err := syscall.Rename(from, to); err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// SyncDir makes the names in a folder survive a power cut.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Sync makes a record that was written as Volatile survive a power cut.
func Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := f.Chmod(info.Mode() | safe); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Read decodes the record at path into v. A missing file gives an error that
// is fs.ErrNotExist; a file without a meaning while it is Volatile, as a power cut
// may leave, one that is ErrEmpty; anything else that is unreadable ErrCorrupt.
func Read(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		if info, statErr := os.Stat(path); statErr == nil && info.Mode()&safe == 0 {
			return fmt.Errorf("read record %s: %w", path, ErrEmpty)
		}
		return fmt.Errorf("read record %s: %w: %v", path, ErrCorrupt, err)
	}
	return nil
}

// ErrEmpty marks a record whose content never reached the disk as a whole.
var ErrEmpty = errors.New("the record is empty")

// ErrCorrupt marks a record that exists but cannot be understood.
var ErrCorrupt = errors.New("the record is damaged")
