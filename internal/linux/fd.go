package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// ErrClosed is returned when a closed FD is used.
var ErrClosed = errors.New("descriptor is closed")

// FD owns one file descriptor. It is closed once, by Close or Release's caller.
// All descriptors are opened close-on-exec.
type FD struct {
	n    atomic.Int64 // the number, -1 once closed
	name string       // what it is, for messages
}

// NewFD takes ownership of a raw descriptor. name appears in messages.
func NewFD(raw int, name string) *FD {
	f := &FD{name: name}
	f.n.Store(int64(raw))
	return f
}

// Int gives the raw number; it stays valid until Close. -1 after Close.
func (f *FD) Int() int {
	if f == nil {
		return -1
	}
	return int(f.n.Load())
}

// Name tells what the descriptor is.
func (f *FD) Name() string { return f.name }

// Path gives a path under /proc/self/fd that resolves to the open object.
// It is valid in this process only, until Close.
func (f *FD) Path() string { return "/proc/self/fd/" + strconv.Itoa(f.Int()) }

// Close closes the descriptor; a second Close and a nil FD are no error.
func (f *FD) Close() error {
	if f == nil {
		return nil
	}
	n := f.n.Swap(-1)
	if n < 0 {
		return nil
	}
	return os.NewSyscallError("close", unix.Close(int(n)))
}

// Release gives up ownership and returns the raw number, which the caller
// must close.
func (f *FD) Release() int { return int(f.n.Swap(-1)) }

// Dup makes a second descriptor for the same open object.
func (f *FD) Dup() (*FD, error) {
	n, err := unix.FcntlInt(uintptr(f.Int()), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("dup %s: %w", f.name, os.NewSyscallError("fcntl", err))
	}
	return NewFD(n, f.name), nil
}

// Rewrite replaces the content of a regular file that is open for writing.
func (f *FD) Rewrite(data []byte) error {
	if err := retry(func() error { return unix.Ftruncate(f.Int(), 0) }); err != nil {
		return &os.PathError{Op: "truncate", Path: f.name, Err: err}
	}
	for at := 0; at < len(data); {
		var n int
		err := retry(func() (err error) { n, err = unix.Pwrite(f.Int(), data[at:], int64(at)); return })
		if err != nil {
			return &os.PathError{Op: "write", Path: f.name, Err: err}
		}
		at += n
	}
	return nil
}

// Raise moves the descriptor to a number of at least least, if it is lower:
// out of the way of the fixed numbers that a child is given.
func (f *FD) Raise(least int) error {
	old := f.Int()
	if old >= least {
		return nil
	}
	n, err := unix.FcntlInt(uintptr(old), unix.F_DUPFD_CLOEXEC, least)
	if err != nil {
		return fmt.Errorf("dup %s: %w", f.name, os.NewSyscallError("fcntl", err))
	}
	f.n.Store(int64(n))
	return os.NewSyscallError("close", unix.Close(old))
}

// Replace closes the descriptor and takes over that of other.
func (f *FD) Replace(other *FD) error {
	old := f.n.Swap(int64(other.Release()))
	return os.NewSyscallError("close", unix.Close(int(old)))
}

// File turns the FD into an *os.File, which takes over ownership.
func (f *FD) File() *os.File { return os.NewFile(uintptr(f.Release()), f.name) }

// retry repeats call while it is interrupted by a signal.
func retry(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// Open opens path close-on-exec. For paths that an image or a container
// controls use OpenIn instead.
func Open(path string, flags int, mode uint32) (*FD, error) {
	var n int
	err := retry(func() (err error) { n, err = unix.Open(path, flags|unix.O_CLOEXEC, mode); return })
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return NewFD(n, path), nil
}

// OpenIn opens path as a process would whose root directory is root: symbolic
// links and ".." never leave it, magic links are refused (RESOLVE_IN_ROOT |
// RESOLVE_NO_MAGICLINKS).
func OpenIn(root *FD, path string, flags int, mode uint32) (*FD, error) {
	return openat2(root, path, flags, mode, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS)
}

// OpenBeneath opens path below dir and refuses any path that would leave it,
// and every symbolic link (RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS).
func OpenBeneath(dir *FD, path string, flags int, mode uint32) (*FD, error) {
	return openat2(dir, path, flags, mode, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS|unix.RESOLVE_NO_MAGICLINKS)
}

func openat2(dir *FD, path string, flags int, mode uint32, resolve uint64) (*FD, error) {
	how := unix.OpenHow{Flags: uint64(flags | unix.O_CLOEXEC), Resolve: resolve}
	if flags&(unix.O_CREAT|unix.O_TMPFILE) != 0 {
		how.Mode = uint64(mode)
	}
	var n int
	var err error
	// EAGAIN: a rename or mount raced with the resolution (openat2(2)).
	for range 64 {
		err = retry(func() (err error) { n, err = unix.Openat2(dir.Int(), path, &how); return })
		if err != unix.EAGAIN {
			break
		}
	}
	if err != nil {
		return nil, &os.PathError{Op: "openat2", Path: dir.Name() + ":" + path, Err: err}
	}
	return NewFD(n, dir.Name()+":"+path), nil
}

// ReadRegular reads a regular file, at most max bytes of it, without opening
// anything else that may lie at path: a pipe would block. It takes fewer system
// calls than package os.
func ReadRegular(path string, most int) ([]byte, error) {
	fd, err := Open(path, ORdonly|ONonblock, 0)
	if err != nil {
		return nil, err
	}
	defer fd.Close()
	var st unix.Stat_t
	if err := unix.Fstat(fd.Int(), &st); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, &os.PathError{Op: "read", Path: path, Err: unix.EINVAL}
	}
	return fd.ReadMost(int(st.Size), most)
}

// Stamp tells one state of a file from others: it changes with whatever changes
// the file, its contents or which file lies at a path.
type Stamp struct {
	dev, inode   uint64
	size         int64
	mtime, ctime unix.Timespec
}

// settleTime is how old a file's last change must be so that a further one shows
// in its stamp for sure: more than file systems' clocks take for a tick.
const settleTime = 100 * time.Millisecond

// StampOf looks at a file; settled tells that its state can be told from every
// later one.
func StampOf(path string) (s Stamp, settled bool, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return s, false, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	age := time.Since(time.Unix(st.Ctim.Unix()))
	return Stamp{dev: st.Dev, inode: st.Ino, size: st.Size, mtime: st.Mtim, ctime: st.Ctim}, age > settleTime, nil
}

// ModeOf gives type and permissions of a file, following links. It is os.Stat
// without all else.
func ModeOf(path string) (fs.FileMode, error) {
	var st unix.Stat_t
	if err := retry(func() error { return unix.Stat(path, &st) }); err != nil {
		return 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	mode := fs.FileMode(st.Mode & 0o777)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	default:
		mode |= fs.ModeIrregular
	}
	return mode, nil
}

// ReadMost reads to the end, at most most bytes; size is how many to expect.
// With an error comes what was read before it.
func (f *FD) ReadMost(size, most int) ([]byte, error) {
	data := make([]byte, 0, min(size+512, most))
	for len(data) < most {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := ReadFD(f.Int(), data[len(data):min(cap(data), most)])
		data = data[:len(data)+n]
		if err != nil || n == 0 {
			return data, err
		}
	}
	return data, nil
}
