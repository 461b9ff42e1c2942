package main

import (
	"os"
	"syscall"
	"unsafe"
)

// place is a name in a folder that is held open: whoever puts a link in the
// place of a folder above it changes nothing about what is meant.
type place struct {
	fd   int
	name string
	path string // as it is told
}

const (
	atCWD     = -100  // AT_FDCWD
	noFollow  = 0x100 // AT_SYMLINK_NOFOLLOW
	removeDir = 0x200 // AT_REMOVEDIR
	writable  = 2     // W_OK
)

// open opens a folder. It fails with ENOTDIR or ELOOP for anything else, a link
// to a folder too, and opens nothing then.
func (p place) open() (*os.File, error) {
	for {
		fd, err := syscall.Openat(p.fd, p.name, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
		if err == nil {
			return os.NewFile(uintptr(fd), p.path), nil
		}
		if err != syscall.EINTR {
			return nil, err
		}
	}
}

func (p place) unlink() error { return p.unlinkAt(0) }
func (p place) rmdir() error  { return p.unlinkAt(removeDir) }

func (p place) unlinkAt(flags uintptr) error {
	name, err := syscall.BytePtrFromString(p.name)
	if err != nil {
		return err
	}
	_, _, errno := syscall.Syscall(syscall.SYS_UNLINKAT, uintptr(p.fd), uintptr(unsafe.Pointer(name)), flags)
	if errno != 0 {
		return errno
	}
	return nil
}

// protected tells whether the file, not what it leads to, may not be written.
func (p place) protected() bool {
	return syscall.Faccessat(p.fd, p.name, writable, noFollow) == syscall.EACCES
}
