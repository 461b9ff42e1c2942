// Package attr sets owners, modes and times of files, without following links.
package attr

import (
	"io/fs"
	"os"
	"syscall"
	"unsafe"
)

// Moments of SetTimes that are no times.
var (
	Now  = syscall.Timespec{Nsec: 1<<30 - 1} // UTIME_NOW: needs no more than the right to write
	Omit = syscall.Timespec{Nsec: 1<<30 - 2} // UTIME_OMIT: stays as it is
)

const (
	atCWD      = -100  // AT_FDCWD
	noFollow   = 0x100 // AT_SYMLINK_NOFOLLOW
	followLink = 0
)

// SetTimes sets the times of last access and change of a file, or of the link
// itself.
func SetTimes(path string, access, change syscall.Timespec, link bool) error {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return &os.PathError{Op: "set times of", Path: path, Err: err}
	}
	flags := uintptr(followLink)
	if link {
		flags = noFollow
	}
	cwd, times := atCWD, [2]syscall.Timespec{access, change}
	_, _, errno := syscall.Syscall6(syscall.SYS_UTIMENSAT, uintptr(cwd), uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&times)), flags, 0, 0)
	if errno != 0 {
		return &os.PathError{Op: "set times of", Path: path, Err: errno}
	}
	return nil
}

// Keep gives a copy the owner, mode and times of the original. A user other
// than root cannot give files away, and need not; the copy is then set-id for
// nobody.
func Keep(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	link, mode := info.Mode()&fs.ModeSymlink != 0, st.Mode&0o7777
	if err := os.Lchown(path, int(st.Uid), int(st.Gid)); err != nil {
		if os.Geteuid() == 0 {
			return err
		}
		mode &^= 0o6000
	}
	if !link {
		if err := syscall.Chmod(path, mode); err != nil { // after the owner, which takes set-id bits away
			return &os.PathError{Op: "chmod", Path: path, Err: err}
		}
	}
	return SetTimes(path, st.Atim, st.Mtim, link)
}
