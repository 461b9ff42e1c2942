package facts

import (
	"errors"
	"io/fs"
	"os"

	"silo/internal/linux"
)

// Root is the folder that a container's programs see as /.
type Root struct{ dir *linux.FD }

// OwnRoot is that of this process.
func OwnRoot() Root { return Root{} }

// RootAt is one seen from outside; links in it never lead out of it. dir stays
// the caller's.
func RootAt(dir *linux.FD) Root { return Root{dir: dir} }

// errNoFile tells that a folder, a pipe or a device is where a file should be.
var errNoFile = errors.New("not a regular file")

// read reads a small regular file; a missing one is "" and no error.
func (r Root) read(path string) (string, error) {
	var fd *linux.FD
	var err error
	if r.dir == nil {
		fd, err = linux.Open(path, linux.ORdonly|linux.ONonblock, 0)
	} else {
		fd, err = linux.OpenIn(r.dir, path, linux.ORdonly|linux.ONonblock, 0)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	f := fd.File()
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", &fs.PathError{Op: "read", Path: path, Err: errNoFile}
	}
	buf := make([]byte, min(info.Size(), maxFile))
	n := 0
	for n < len(buf) {
		m, err := f.Read(buf[n:])
		n += m
		if err != nil {
			break
		}
	}
	return string(buf[:n]), nil
}

// link gives where a symbolic link leads, "" if there is none.
func (r Root) link(path string) string {
	var to string
	var err error
	if r.dir == nil {
		to, err = os.Readlink(path)
	} else {
		to, err = linux.ReadlinkIn(r.dir, path)
	}
	if err != nil {
		return ""
	}
	return to
}
