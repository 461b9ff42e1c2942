package linux

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Open flags, for callers that may not import x/sys.
const (
	OPath      = unix.O_PATH
	ODirectory = unix.O_DIRECTORY
	ORdonly    = unix.O_RDONLY
	ORdwr      = unix.O_RDWR
	OWronly    = unix.O_WRONLY
	OCreat     = unix.O_CREAT
	OExcl      = unix.O_EXCL
	OTrunc     = unix.O_TRUNC
	ONoFollow  = unix.O_NOFOLLOW
	ONonblock  = unix.O_NONBLOCK
)

// MkdirAt makes a folder in an open folder.
func MkdirAt(dir *FD, name string, mode uint32) error {
	if err := unix.Mkdirat(dir.Int(), name, mode); err != nil {
		return &os.PathError{Op: "mkdirat", Path: dir.Name() + ":" + name, Err: err}
	}
	return nil
}

// SymlinkAt makes a symbolic link in an open folder.
func SymlinkAt(target string, dir *FD, name string) error {
	if err := unix.Symlinkat(target, dir.Int(), name); err != nil {
		return &os.PathError{Op: "symlinkat", Path: dir.Name() + ":" + name, Err: err}
	}
	return nil
}

// MkdirAllIn opens the folder at path as seen from root (see OpenIn), making
// what is missing with the given mode.
func MkdirAllIn(root *FD, p string, mode uint32) (*FD, error) {
	p = path.Clean("/" + p)
	if fd, err := OpenIn(root, p, OPath|ODirectory, 0); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return fd, err
	}
	done := "/"
	for _, name := range strings.Split(p[1:], "/") {
		parent, err := OpenIn(root, done, OPath|ODirectory, 0)
		if err != nil {
			return nil, err
		}
		err = MkdirAt(parent, name, mode)
		parent.Close()
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		done = path.Join(done, name)
	}
	return OpenIn(root, p, OPath|ODirectory, 0)
}

// TargetIn opens the object at path as seen from root for mounting over it,
// making a folder or an empty file where nothing is. A symbolic link that
// leads nowhere is followed to where it leads, inside root.
func TargetIn(root *FD, p string, dir bool) (*FD, error) {
	for range 40 { // as many links as the kernel follows
		fd, err := OpenIn(root, p, OPath, 0)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return fd, err
		}
		if dir {
			if fd, err = MkdirAllIn(root, p, 0o755); err == nil || !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
				return fd, err
			}
		} else {
			parent, err := MkdirAllIn(root, path.Dir(p), 0o755)
			if err != nil {
				return nil, err
			}
			f, err := openat2(parent, path.Base(p), OWronly|OCreat|OExcl|ONoFollow, 0o644, unix.RESOLVE_BENEATH|unix.RESOLVE_NO_SYMLINKS)
			parent.Close()
			if err == nil {
				f.Close()
				continue
			}
			if !errors.Is(err, fs.ErrExist) {
				return nil, err
			}
		}
		to, err := readlinkIn(root, p)
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(to, "/") {
			to = path.Join(path.Dir(path.Clean("/"+p)), to)
		}
		p = to
	}
	return nil, &os.PathError{Op: "open", Path: p, Err: unix.ELOOP}
}

func readlinkIn(root *FD, p string) (string, error) {
	parent, err := OpenIn(root, path.Dir(path.Clean("/"+p)), OPath|ODirectory, 0)
	if err != nil {
		return "", err
	}
	defer parent.Close()
	buf := make([]byte, 4096)
	n, err := unix.Readlinkat(parent.Int(), path.Base(p), buf)
	if err != nil {
		return "", &os.PathError{Op: "readlinkat", Path: p, Err: err}
	}
	return string(buf[:n]), nil
}

// PivotTo makes an attached mount the root of this process's mount namespace
// and detaches the old root with all that is mounted there.
func PivotTo(root *FD) error {
	if err := unix.Fchdir(root.Int()); err != nil {
		return &os.PathError{Op: "fchdir", Path: root.Name(), Err: err}
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return &os.PathError{Op: "pivot_root", Path: root.Name(), Err: err}
	}
	// The old root now lies over the new one at ".".
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return &os.PathError{Op: "umount2", Path: "old root", Err: err}
	}
	return os.NewSyscallError("chdir", unix.Chdir("/"))
}

// MakePrivate cuts the mounts of this namespace off from all others.
func MakePrivate() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return &os.PathError{Op: "make private", Path: "/", Err: err}
	}
	return nil
}

// IsDir tells whether an open object is a folder.
func (f *FD) IsDir() (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.Int(), &st); err != nil {
		return false, &os.PathError{Op: "fstat", Path: f.name, Err: err}
	}
	return st.Mode&unix.S_IFMT == unix.S_IFDIR, nil
}

// OnProc tells whether an open file is of a proc file system.
func (f *FD) OnProc() (bool, error) {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(f.Int(), &st) }); err != nil {
		return false, &os.PathError{Op: "fstatfs", Path: f.Name(), Err: err}
	}
	return st.Type == unix.PROC_SUPER_MAGIC, nil
}

// SameAs tells whether two open objects are one, of one mount.
func (f *FD) SameAs(other *FD) (bool, error) {
	a, err := f.identity()
	if err != nil {
		return false, err
	}
	b, err := other.identity()
	return err == nil && a.Ino == b.Ino && a.Mnt_id == b.Mnt_id, err
}

// identity asks which object of which mount is open.
func (f *FD) identity() (st unix.Statx_t, err error) {
	err = retry(func() error {
		return unix.Statx(f.Int(), "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_MNT_ID, &st)
	})
	if err != nil {
		err = &os.PathError{Op: "statx", Path: f.Name(), Err: err}
	}
	return st, err
}
