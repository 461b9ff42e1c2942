package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNoLoop is returned where the host gives out no loop device: the loop
// module is not loaded, its devices are used up, or /dev has no node for one.
var ErrNoLoop = errors.New("no free loop device")

// loopTries bounds the race for a free device: in each round at least one of
// all who try gets one.
const loopTries = 1000

// LoopOptions says how a loop device treats its file.
type LoopOptions struct {
	DirectIO  bool   // bypass the page cache of the file; see Loop.DirectIO for what came of it
	ReadOnly  bool   // refuse writes
	Autoclear bool   // give the device back when its last user closes it
	BlockSize uint32 // logical block size in bytes; 0: 512
}

// Loop is a loop device that LoopAttach took.
type Loop struct {
	Device   string // /dev/loopN
	FD       *FD    // keeps the device in use; with Autoclear until a mount does
	DirectIO bool   // false if the file's file system refuses direct I/O
}

// LoopAttach serves size bytes of file from offset on (both in bytes) as a
// free loop device. The caller closes Loop.FD. The error is ErrNoLoop where no
// device can be had.
func LoopAttach(file *FD, offset, size int64, o LoopOptions) (*Loop, error) {
	return loopAttach("/dev", file, offset, size, o)
}

func loopAttach(dev string, file *FD, offset, size int64, o LoopOptions) (*Loop, error) {
	control, err := Open(dev+"/loop-control", unix.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoLoop, err)
	}
	defer control.Close()
	config := loopConfig(file, offset, size, o)
	var last error
	missing := 0
	for range loopTries {
		number, err := loopFree(control)
		if errors.Is(err, unix.ENOSPC) {
			return nil, fmt.Errorf("%w: all of this host are in use: %w", ErrNoLoop, err)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoLoop, err)
		}
		path := dev + "/loop" + strconv.Itoa(number)
		device, err := Open(path, unix.O_RDWR, 0)
		if err != nil {
			// Another process may have removed it; but a /dev without devtmpfs
			// never gets the node.
			if missing++; missing < 10 && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENXIO)) {
				continue
			}
			return nil, fmt.Errorf("%w: all that /dev has are in use: %w", ErrNoLoop, err)
		}
		err = retry(func() error { return unix.IoctlLoopConfigure(device.Int(), &config) })
		if err == nil {
			return loopTaken(device)
		}
		device.Close()
		last = &os.PathError{Op: "ioctl LOOP_CONFIGURE", Path: path, Err: err}
		// EINVAL: kernels that refuse rather than ignore direct I/O which the
		// file cannot have.
		if err == unix.EINVAL && config.Info.Flags&unix.LO_FLAGS_DIRECT_IO != 0 {
			config.Info.Flags &^= unix.LO_FLAGS_DIRECT_IO
		} else if err != unix.EBUSY {
			return nil, last
		}
	}
	return nil, fmt.Errorf("%w: %w", ErrNoLoop, last)
}

func loopConfig(file *FD, offset, size int64, o LoopOptions) unix.LoopConfig {
	config := unix.LoopConfig{Fd: uint32(file.Int()), Size: o.BlockSize}
	config.Info.Offset, config.Info.Sizelimit = uint64(offset), uint64(size)
	for flag, on := range map[uint32]bool{unix.LO_FLAGS_DIRECT_IO: o.DirectIO, unix.LO_FLAGS_READ_ONLY: o.ReadOnly, unix.LO_FLAGS_AUTOCLEAR: o.Autoclear} {
		if on {
			config.Info.Flags |= flag
		}
	}
	// For tools that know no sysfs; the whole path is in backing_file there.
	copy(config.Info.File_name[:len(config.Info.File_name)-1], file.Name())
	return config
}

func loopFree(control *FD) (number int, err error) {
	err = retry(func() (err error) {
		number, err = unix.IoctlRetInt(control.Int(), unix.LOOP_CTL_GET_FREE)
		return
	})
	if err != nil {
		return 0, &os.PathError{Op: "ioctl LOOP_CTL_GET_FREE", Path: control.Name(), Err: err}
	}
	return number, nil
}

// loopTaken reads back whether direct I/O was granted: the kernel drops it
// without an error. It goes on with a read-only descriptor, as kernels built
// without BLK_DEV_WRITE_MOUNTED (6.8) mount no device that is open for writing.
func loopTaken(device *FD) (*Loop, error) {
	defer device.Close()
	keep, err := Open(device.Name(), unix.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	info, err := loopStatus(keep)
	if err != nil {
		keep.Close()
		return nil, err
	}
	return &Loop{Device: keep.Name(), FD: keep, DirectIO: info.DirectIO}, nil
}

// LoopStatus describes a loop device in use.
type LoopStatus struct {
	Device       string // /dev/loopN
	Backing      string // path of the file, without " (deleted)"
	Deleted      bool   // the file has no name any more
	Offset, Size int64  // the part of the file, in bytes; Size 0: up to its end
	Dev, Inode   uint64 // of the file, as stat(2) gives them
	DirectIO     bool
	ReadOnly     bool
	Autoclear    bool
}

// LoopInfo asks an open loop device for its state; the error is ENXIO if it is
// not in use. Backing and Deleted come from sysfs.
func LoopInfo(device *FD) (LoopStatus, error) {
	s, err := loopStatus(device)
	if err != nil {
		return s, err
	}
	s.Backing, s.Deleted, err = loopBacking("/sys/block", filepath.Base(device.Name()))
	return s, err
}

func loopStatus(device *FD) (LoopStatus, error) {
	var info *unix.LoopInfo64
	err := retry(func() (err error) { info, err = unix.IoctlLoopGetStatus64(device.Int()); return })
	if err != nil {
		return LoopStatus{}, &os.PathError{Op: "ioctl LOOP_GET_STATUS64", Path: device.Name(), Err: err}
	}
	return LoopStatus{
		Device:    device.Name(),
		Offset:    int64(info.Offset),
		Size:      int64(info.Sizelimit),
		Dev:       info.Device,
		Inode:     info.Inode,
		DirectIO:  info.Flags&unix.LO_FLAGS_DIRECT_IO != 0,
		ReadOnly:  info.Flags&unix.LO_FLAGS_READ_ONLY != 0,
		Autoclear: info.Flags&unix.LO_FLAGS_AUTOCLEAR != 0,
	}, nil
}

// loopBacking reads the path of the file behind a device below sys.
func loopBacking(sys, name string) (path string, deleted bool, err error) {
	data, err := os.ReadFile(filepath.Join(sys, name, "loop", "backing_file"))
	if err != nil {
		return "", false, err
	}
	path, deleted = strings.CutSuffix(strings.TrimSuffix(string(data), "\n"), " (deleted)")
	return path, deleted, nil
}

// Loops lists the loop devices in use whose file wanted takes, by its path
// without " (deleted)"; nil takes all. Only those are opened. Devices that are
// given back meanwhile are left out.
func Loops(wanted func(backing string) bool) ([]LoopStatus, error) {
	entries, err := os.ReadDir("/sys/block")
	if err != nil {
		return nil, err
	}
	var all []LoopStatus
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "loop") {
			continue
		}
		backing, deleted, err := loopBacking("/sys/block", e.Name())
		if err != nil || wanted != nil && !wanted(backing) {
			continue // not in use: it has no loop folder
		}
		device, err := Open("/dev/"+e.Name(), unix.O_RDONLY, 0)
		if err != nil {
			return all, err
		}
		s, err := loopStatus(device)
		device.Close()
		if errors.Is(err, unix.ENXIO) {
			continue
		}
		if err != nil {
			return all, err
		}
		s.Backing, s.Deleted = backing, deleted
		all = append(all, s)
	}
	return all, nil
}

// LoopDetach takes the file from a loop device. While others use the device,
// a mount for one, the kernel does so after the last of them has closed it.
func LoopDetach(device *FD) error {
	err := retry(func() error { return unix.IoctlSetInt(device.Int(), unix.LOOP_CLR_FD, 0) })
	if err != nil && err != unix.ENXIO { // ENXIO: it has none
		return &os.PathError{Op: "ioctl LOOP_CLR_FD", Path: device.Name(), Err: err}
	}
	return nil
}

// LockExclusive takes the lock of an open file (flock(2)) and fails with
// EWOULDBLOCK while another open of it has it. The lock belongs to the open
// file, not to the process: a loop device that serves it keeps the lock after
// the descriptor is closed, until it gives the file back.
func LockExclusive(f *FD) error {
	if err := retry(func() error { return unix.Flock(f.Int(), unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return &os.PathError{Op: "flock", Path: f.Name(), Err: err}
	}
	return nil
}

// LockWait is LockExclusive that waits for its turn.
func LockWait(f *FD) error {
	if err := retry(func() error { return unix.Flock(f.Int(), unix.LOCK_EX) }); err != nil {
		return &os.PathError{Op: "flock", Path: f.Name(), Err: err}
	}
	return nil
}

// NextData gives the first run of data of a sparse file at or after offset
// from, as [start, end); start and end are -1 if there is none. It moves the
// file's position. A file system without holes shows one run.
func NextData(f *os.File, from int64) (start, end int64, err error) {
	start, err = f.Seek(from, unix.SEEK_DATA)
	if errors.Is(err, unix.ENXIO) {
		return -1, -1, nil
	}
	if err != nil {
		return 0, 0, err
	}
	end, err = f.Seek(start, unix.SEEK_HOLE)
	return start, end, err
}

// Preallocate gives a part of a file, in bytes, its room on the disk: what is a
// hole there reads as zeros still, and writes to it find room. The file keeps
// its size.
func Preallocate(f *FD, offset, size int64) error {
	err := retry(func() error { return unix.Fallocate(f.Int(), unix.FALLOC_FL_KEEP_SIZE, offset, size) })
	if err != nil {
		return &os.PathError{Op: "fallocate", Path: f.Name(), Err: err}
	}
	return nil
}
