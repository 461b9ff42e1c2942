package disk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"silo/internal/errs"
	"silo/internal/linux"
	"silo/internal/vhdx"
	"silo/internal/vhdx/gpt"
)

// release is how long Attach waits for a disk that is still attached: the
// kernel frees mounts and loop devices of a namespace that has ended a moment
// after its last process, on busy hosts tens of milliseconds.
const release = 2 * time.Second

// Attached is a disk that is served as a block device and mounted.
type Attached struct {
	Device   string    // /dev/loopN
	Mount    *linux.FD // the ext4, mounted nowhere; holds upper and work
	Size     int64     // bytes of the virtual disk
	DirectIO bool      // false if the host's file system refuses direct I/O: then each page is cached twice
}

// Close closes our descriptor. The kernel unmounts the file system and frees
// the device when its last user, an overlay for one, is gone too.
func (a *Attached) Close() error { return a.Mount.Close() }

// Attach serves the file system of the disk at path through a loop device and
// mounts it, detached, with discard and noatime. ext4 replays its journal if
// the disk was not unmounted cleanly. A disk is attached once: Attach waits up
// to two seconds for an earlier use to end. Errors: errs.NotFound;
// errs.Conflict if the disk is still attached; errs.Unavailable if no loop
// device is free; vhdx.ErrFormat if the file is damaged.
func Attach(ctx context.Context, path string) (*Attached, error) {
	a, err := attach(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("attach disk %s: %w", path, err)
	}
	return a, nil
}

func attach(ctx context.Context, path string) (*Attached, error) {
	file, err := openDisk(path, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	// The loop device keeps this lock for as long as it serves the file.
	if err := lock(ctx, file.fd); err != nil {
		return nil, err
	}
	p, err := file.inspect()
	if err != nil {
		return nil, err
	}
	loop, err := linux.LoopAttach(file.fd, p.offset, p.size, linux.LoopOptions{
		DirectIO:  true,
		Autoclear: true,
		// All that ext4 does here is in pages; so direct I/O works on a host
		// disk of 4096-byte sectors too.
		BlockSize: blockSize,
	})
	if errors.Is(err, linux.ErrNoLoop) {
		return nil, errs.New(errs.Unavailable, "%w: load the module (modprobe loop), or stop containers", err)
	}
	if err != nil {
		return nil, err
	}
	// With autoclear, closing this frees the device unless it is mounted.
	defer loop.FD.Close()
	mount, err := mount(loop.Device)
	if err != nil {
		return nil, fmt.Errorf("%w: check it with `losetup -f -o %d --sizelimit %d %s` and e2fsck", err, p.offset, p.size, path)
	}
	return &Attached{Device: loop.Device, Mount: mount, Size: p.info.Size, DirectIO: loop.DirectIO}, nil
}

// Mount mounts the file system of a disk that is attached once more, detached:
// the same file system, seen in a second place.
func Mount(d AttachedDisk, readOnly bool) (*linux.FD, error) {
	m, err := mount(d.Device)
	if err != nil {
		return nil, fmt.Errorf("mount disk %s: %w", d.Path, err)
	}
	if readOnly {
		if err := linux.SetMountAttr(m, linux.AttrReadOnly, 0, false); err != nil {
			m.Close()
			return nil, fmt.Errorf("mount disk %s: %w", d.Path, err)
		}
	}
	return m, nil
}

func mount(device string) (*linux.FD, error) {
	return linux.MountFS("ext4", []linux.FSOption{{Key: "source", Value: device}, {Key: "discard"}}, linux.AttrNoAtime)
}

func lock(ctx context.Context, fd *linux.FD) error {
	deadline := time.Now().Add(release)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := linux.LockExclusive(fd)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) {
			return err
		}
		if time.Now().After(deadline) {
			return errs.Conflictf("it is attached already: `silo disk ls` shows where")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// diskFile is an open disk: one open file, seen as descriptor and as reader.
type diskFile struct {
	fd *linux.FD
	*os.File
}

func (d *diskFile) Close() error { return errors.Join(d.fd.Close(), d.File.Close()) }

// openDisk opens a regular file that is not a symbolic link.
func openDisk(path string, flags int) (*diskFile, error) {
	fd, err := linux.Open(path, flags|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errs.New(errs.NotFound, "%w", err)
	}
	if err != nil {
		return nil, err
	}
	second, err := fd.Dup()
	if err != nil {
		fd.Close()
		return nil, err
	}
	d := &diskFile{fd: fd, File: second.File()}
	if st, err := d.Stat(); err != nil || !st.Mode().IsRegular() {
		d.Close()
		return nil, errors.Join(err, errs.Invalidf("%s is not a regular file", path))
	}
	return d, nil
}

// place is where a file system lies in the file of its disk, in bytes.
type place struct {
	info         *vhdx.Info
	offset, size int64
}

// inspect checks the disk and finds its Linux partition.
func (d *diskFile) inspect() (place, error) {
	st, err := d.Stat()
	if err != nil {
		return place{}, err
	}
	info, err := vhdx.Open(d, st.Size())
	if err != nil {
		return place{}, err
	}
	payload, ok := info.Contiguous()
	if !ok {
		return place{}, errs.New(errs.NotSupported, "its blocks are not one run of the file: other software has moved them")
	}
	parts, err := gpt.Read(io.NewSectionReader(d, payload, info.Size), info.Size)
	if err != nil {
		return place{}, err
	}
	for _, p := range parts {
		if p.Type == gpt.LinuxFilesystem() {
			return place{info: info, offset: payload + p.Offset, size: p.Size}, nil
		}
	}
	return place{}, fmt.Errorf("it has no Linux partition")
}

// Check tells what is wrong with the disk at path, as far as its VHDX
// structures, partition table and superblock show. It does not read the files.
func Check(path string) error {
	d, err := openDisk(path, os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("check disk %s: %w", path, err)
	}
	defer d.Close()
	p, err := d.inspect()
	if err == nil {
		_, err = readSuper(d.File, p.offset+superAt)
	}
	if err != nil {
		return fmt.Errorf("check disk %s: %w", path, err)
	}
	return nil
}

// Usage gives the bytes that the disk at path takes on the host and the bytes
// it has inside.
func Usage(path string) (allocated, size int64, err error) {
	d, err := openDisk(path, os.O_RDONLY)
	if err != nil {
		return 0, 0, fmt.Errorf("measure disk %s: %w", path, err)
	}
	defer d.Close()
	st, err := d.Stat()
	if err != nil {
		return 0, 0, fmt.Errorf("measure disk %s: %w", path, err)
	}
	info, err := vhdx.Open(d, st.Size())
	if err != nil {
		return 0, 0, fmt.Errorf("measure disk %s: %w", path, err)
	}
	return st.Sys().(*syscall.Stat_t).Blocks * 512, info.Size, nil
}

// AttachedDisk is a loop device of this host and the file behind it.
type AttachedDisk struct {
	Device   string // /dev/loopN
	Path     string // of the file, as it was when it still had a name
	Deleted  bool   // the file has no name any more
	Offset   int64  // of the part of the file that is served, in bytes
	Size     int64  // of that part, in bytes
	DirectIO bool

	dev, inode uint64
}

// List gives the loop devices of this host whose file lies, or lay, below the
// folder root. That includes what silod does not know of: a sweep uses it.
func List(root string) ([]AttachedDisk, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("list attached disks: %w", err)
	}
	// The kernel shows paths without symbolic links.
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	root = strings.TrimSuffix(root, "/") + "/"
	loops, err := linux.Loops(func(backing string) bool { return strings.HasPrefix(backing, root) })
	if err != nil {
		return nil, fmt.Errorf("list attached disks: %w", err)
	}
	var all []AttachedDisk
	for _, l := range loops {
		all = append(all, AttachedDisk{
			Device: l.Device, Path: l.Backing, Deleted: l.Deleted, Offset: l.Offset, Size: l.Size,
			DirectIO: l.DirectIO, dev: l.Dev, inode: l.Inode,
		})
	}
	return all, nil
}

// Detach takes the file from the device that List showed. If the device
// serves another file by now, that is left alone; while a mount still uses the
// device, the kernel detaches it after the last one.
func Detach(d AttachedDisk) error {
	device, err := linux.Open(d.Device, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("detach disk %s: %w", d.Path, err)
	}
	defer device.Close()
	now, err := linux.LoopInfo(device)
	switch {
	case errors.Is(err, syscall.ENXIO), errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("detach disk %s: %w", d.Path, err)
	case now.Dev != d.dev || now.Inode != d.inode || now.Offset != d.Offset:
		return nil
	}
	if err := linux.LoopDetach(device); err != nil {
		return fmt.Errorf("detach disk %s: %w", d.Path, err)
	}
	return nil
}
