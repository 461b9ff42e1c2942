// Package disk makes, attaches and sweeps sandbox disks: the virtual disk to
// which a container writes. Such a disk is a true VHDX file, sparse on the
// host, with a GPT and one ext4 file system, so that other software opens it;
// since its payload is one run of bytes, a loop device serves it as it is.
//
// A new disk is not formatted: its file system is copied from a template, made
// once per size, of which a few hundred KiB are not holes. Only what must
// differ between two disks is written anew: the identifiers of the VHDX file,
// of the partition table and of the file system.
//
// The package keeps no record. A loop device is named by the file behind it,
// which is how List finds what is attached.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/docker/go-units"

	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/vhdx"
	"silo/internal/vhdx/gpt"
)

const (
	mib = 1 << 20

	// DefaultSize is the size of a disk where none is asked for.
	DefaultSize = 20 << 30
	// MinSize is the least size that leaves an ext4 with its journal (4 MiB)
	// and inode table (2 MiB) mostly free.
	MinSize = 64 << 20
	// MaxSize is the largest size whose fresh disk takes less than 2 MiB on
	// the host: ext4 keeps 32 bytes for each 128 MiB twice (measured: 1.1 MB
	// at 1 TiB, 2.2 MB at 2 TiB). A file of that size fits on every common
	// host file system.
	MaxSize = 1 << 40
)

// ParseSize reads a size as Docker writes it: "20G", "64m", "1.5gb", a bare
// number of bytes; units are powers of 1024. It is rounded up to a whole MiB.
// Errors are of kind errs.Invalid and name the least or most.
func ParseSize(s string) (int64, error) {
	n, err := units.RAMInBytes(s)
	if err != nil {
		return 0, errs.Invalidf("disk size %q: not a size: write a number with a unit, as in 20G or 500M", s)
	}
	// go-units converts a float that is too large, which gives a negative
	// number on some machines and the largest on others.
	if n < 0 && !strings.HasPrefix(strings.TrimSpace(s), "-") {
		n = math.MaxInt64
	}
	if err := checkSize(n, s); err != nil {
		return 0, err
	}
	return (n + mib - 1) / mib * mib, nil
}

func checkSize(n int64, written string) error {
	switch {
	case n < MinSize:
		return errs.Invalidf("disk size %q: the least is %dM", written, MinSize>>20)
	case n > MaxSize:
		return errs.Invalidf("disk size %q: the most is %dG", written, MaxSize>>30)
	}
	return nil
}

// Store makes disks out of templates. It may be used by many goroutines.
type Store struct {
	dir       string
	mu        sync.Mutex
	templates map[int64]*template // by size of the file system in bytes
}

// Open opens the folder of templates, and makes it if it is not there. One
// Store at a time owns a folder: what an interrupted one left is removed.
func Open(templates string) (*Store, error) {
	if err := os.MkdirAll(templates, 0o700); err != nil {
		return nil, fmt.Errorf("open the disk templates: %w", err)
	}
	left, err := filepath.Glob(filepath.Join(templates, unfinished+"*"))
	if err != nil {
		return nil, fmt.Errorf("open the disk templates in %s: %w", templates, err)
	}
	for _, path := range left {
		if err := os.RemoveAll(path); err != nil {
			return nil, fmt.Errorf("open the disk templates: %w", err)
		}
	}
	return &Store{dir: templates, templates: map[int64]*template{}}, nil
}

// Create makes a new disk of size bytes, a multiple of 1 MiB, at path, which
// must not exist. Its file system holds the empty folders upper and work. After
// an error nothing is left at path. Errors: errs.Invalid for the size,
// errs.Conflict if path exists, errs.Unavailable if the host's disk is full,
// errs.NotSupported without mkfs.ext4.
//
// Nothing is forced to the host's disk here: the first commit of the file
// system inside does that, and a disk cut short by a power failure is not
// recognised as one, as the VHDX signature is written last.
func (s *Store) Create(ctx context.Context, path string, size int64) error {
	if err := s.create(ctx, path, size); err != nil {
		return fmt.Errorf("create disk %s: %w", path, err)
	}
	return nil
}

func (s *Store) create(ctx context.Context, path string, size int64) (err error) {
	if err := checkSize(size, units.BytesSize(float64(size))); err != nil {
		return err
	}
	if size%mib != 0 {
		return errs.Invalidf("a size of %d bytes: it must be a multiple of 1 MiB", size)
	}
	at, length, err := gpt.Plan(size)
	if err != nil {
		return err
	}
	from, err := s.open(ctx, length)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return errs.New(errs.Conflict, "%w", err)
	}
	if err != nil {
		return hostFull(err)
	}
	defer func() {
		err = errors.Join(err, to.Close())
		if err != nil {
			err = errors.Join(hostFull(err), os.Remove(path))
		}
	}()
	return fill(ctx, to, from, size, at)
}

// fill writes a disk of size bytes whose partition starts at byte at.
func fill(ctx context.Context, to, from *os.File, size, at int64) error {
	params := vhdx.Params{Size: size}
	layout, err := vhdx.Plan(params)
	if err != nil {
		return err
	}
	if err := to.Truncate(layout.FileSize); err != nil {
		return err
	}
	if err := copySparse(ctx, to, layout.PayloadOffset+at, from); err != nil {
		return err
	}
	if err := renew(to, layout.PayloadOffset+at); err != nil {
		return err
	}
	if _, err := gpt.Write(io.NewOffsetWriter(to, layout.PayloadOffset), size, "silo sandbox"); err != nil {
		return err
	}
	_, err = vhdx.Create(to, params)
	return err
}

// copySparse copies what is not a hole in from to offset at of to. io.CopyN
// uses copy_file_range, which shares the blocks where the host's file system
// can.
func copySparse(ctx context.Context, to *os.File, at int64, from *os.File) error {
	for end := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var start int64
		var err error
		if start, end, err = linux.NextData(from, end); err != nil || start < 0 {
			return err
		}
		if _, err := from.Seek(start, io.SeekStart); err != nil {
			return err
		}
		if _, err := to.Seek(at+start, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.CopyN(to, from, end-start); err != nil {
			return err
		}
	}
}

// hostFull gives an error for want of space on the host its kind and a way out.
func hostFull(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return errs.New(errs.Unavailable, "the host's disk is full, free some space there: %w", err)
	case errors.Is(err, syscall.EFBIG):
		return errs.New(errs.Invalid, "the host's file system holds no file as large, choose a smaller disk: %w", err)
	}
	return err
}
