package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ReadDirNames lists an open folder.
func ReadDirNames(dir *FD) ([]string, error) {
	d, err := OpenBeneath(dir, ".", ORdonly|ODirectory, 0)
	if err != nil {
		return nil, err
	}
	f := d.File()
	defer f.Close()
	return f.Readdirnames(-1)
}

// maxDepth bounds the recursion of CopyTree; PATH_MAX allows no more.
const maxDepth = 2048

// CopyTree copies what is in src into dst, both open folders, with owners,
// modes and times; copyFile moves the content of regular files and owns both
// descriptors. Sockets and device nodes are left out.
func CopyTree(src, dst *FD, copyFile func(src, dst *FD) error) error {
	return copyTree(src, dst, copyFile, 0)
}

func copyTree(src, dst *FD, copyFile func(src, dst *FD) error, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("copy %s: folders deeper than %d", src.Name(), maxDepth)
	}
	names, err := ReadDirNames(src)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := copyEntry(src, dst, name, copyFile, depth); err != nil {
			return err
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(src.Int(), &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	return copyMeta(dst, "", &st)
}

func copyEntry(src, dst *FD, name string, copyFile func(src, dst *FD) error, depth int) error {
	var st unix.Stat_t
	if err := unix.Fstatat(src.Int(), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "fstatat", Path: name, Err: err}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if err := MkdirAt(dst, name, 0o700); err != nil {
			return err
		}
		s, err := OpenBeneath(src, name, ORdonly|ODirectory, 0)
		if err != nil {
			return err
		}
		defer s.Close()
		d, err := OpenBeneath(dst, name, ORdonly|ODirectory, 0)
		if err != nil {
			return err
		}
		defer d.Close()
		return copyTree(s, d, copyFile, depth+1)
	case unix.S_IFREG:
		s, err := OpenBeneath(src, name, ORdonly|ONonblock, 0)
		if err != nil {
			return err
		}
		d, err := OpenBeneath(dst, name, OWronly|OCreat|OExcl, 0o600)
		if err != nil {
			s.Close()
			return err
		}
		if err := copyFile(s, d); err != nil {
			return err
		}
	case unix.S_IFLNK:
		buf := make([]byte, 4096)
		n, err := unix.Readlinkat(src.Int(), name, buf)
		if err == nil {
			err = unix.Symlinkat(string(buf[:n]), dst.Int(), name)
		}
		if err != nil {
			return &os.PathError{Op: "copy link", Path: name, Err: err}
		}
	case unix.S_IFIFO:
		if err := unix.Mkfifoat(dst.Int(), name, 0o600); err != nil {
			return &os.PathError{Op: "mkfifoat", Path: name, Err: err}
		}
	default:
		return nil
	}
	return copyMeta(dst, name, &st)
}

// copyMeta gives dst (or name in it) the owner, mode and times of st.
func copyMeta(dst *FD, name string, st *unix.Stat_t) error {
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	if err := unix.Fchownat(dst.Int(), name, int(st.Uid), int(st.Gid), flags); err != nil {
		return &os.PathError{Op: "fchownat", Path: dst.Name() + "/" + name, Err: err}
	}
	var err error
	switch {
	case st.Mode&unix.S_IFMT == unix.S_IFLNK:
	case name == "":
		err = unix.Fchmod(dst.Int(), st.Mode&0o7777)
	default:
		err = unix.Fchmodat(dst.Int(), name, st.Mode&0o7777, 0)
	}
	if err != nil {
		return &os.PathError{Op: "chmod", Path: dst.Name() + "/" + name, Err: err}
	}
	times := []unix.Timespec{st.Atim, st.Mtim}
	if name == "" {
		name = "."
	}
	if err := unix.UtimesNanoAt(dst.Int(), name, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &os.PathError{Op: "utimensat", Path: dst.Name() + "/" + name, Err: err}
	}
	return nil
}
