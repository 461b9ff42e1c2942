// Package record keeps small state as JSON files that a person can read: one
// folder an object, each file replaced atomically and numbered with the
// format it was written in. What a record means belongs to its owner.
package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Durability says when a written record must survive a power cut.
type Durability bool

const (
	Durable  Durability = true  // before Write returns: fsync of file and folder
	Volatile Durability = false // when the kernel writes it back; still replaced atomically
)

// Write replaces the file at path with v as indented JSON and a final newline,
// mode 0600. Readers see the old content or the new, never a part.
func Write(path string, v any, d Durability) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write record %s: %w", path, err)
	}
	if err := WriteFile(path, append(data, '\n'), 0o600, d); err != nil {
		return fmt.Errorf("write record %s: %w", path, err)
	}
	return nil
}

// WriteFile is Write for raw bytes.
func WriteFile(path string, data []byte, mode fs.FileMode, d Durability) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".tmp*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err = f.Chmod(mode); err != nil {
		return err
	}
	if _, err = f.Write(data); err != nil {
		return err
	}
	if d == Durable {
		if err = f.Sync(); err != nil {
			return err
		}
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	if d == Durable {
		return SyncDir(dir)
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
	return SyncDir(filepath.Dir(path))
}

// Read decodes the record at path into v. A missing file gives an error that
// is fs.ErrNotExist; a file without content, as a power cut may leave of one
// that was Volatile, one that is ErrEmpty; anything unreadable ErrCorrupt.
func Read(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	if len(bytes.Trim(data, "\x00")) == 0 {
		return fmt.Errorf("read record %s: %w", path, ErrEmpty)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read record %s: %w: %v", path, ErrCorrupt, err)
	}
	return nil
}

// ErrEmpty marks a record whose content never reached the disk.
var ErrEmpty = errors.New("the record is empty")

// ErrCorrupt marks a record that exists but cannot be understood.
var ErrCorrupt = errors.New("the record is damaged")
