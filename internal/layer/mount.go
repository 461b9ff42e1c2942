package layer

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"silo/internal/errs"
	"silo/internal/linux"
)

// MountBase makes a detached mount of a base: read-only, without device nodes.
// Set-user-id programs work in it. The kernel reads the file itself from 6.12
// on; below, a loop device stands between, which goes when the mount goes.
func MountBase(path string) (*linux.FD, error) {
	m, err := mountFile(path)
	if errors.Is(err, syscall.ENOTBLK) { // before 6.12, or without CONFIG_EROFS_FS_BACKED_BY_FILE
		m, err = mountLoop(path)
	}
	switch {
	case err == nil:
		return m, nil
	case errors.Is(err, linux.ErrNoLoop):
		return nil, errs.New(errs.Unavailable, "mount base %s: this kernel mounts no EROFS from a file, and there is no free loop device (%v): load the module loop, or free a device", path, err)
	case errors.Is(err, syscall.ENODEV):
		return nil, errs.New(errs.NotSupported, "mount base %s: this kernel has no EROFS: load the module erofs, or use a kernel with CONFIG_EROFS_FS", path)
	}
	return nil, fmt.Errorf("mount base %s: %w", path, err)
}

func mountFile(path string) (*linux.FD, error) {
	source := path
	if len(path) > 255 { // fsconfig(2) takes no longer strings
		f, err := linux.Open(path, os.O_RDONLY, 0)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		source = f.Path()
	}
	return linux.MountFS("erofs", []linux.FSOption{{Key: "source", Value: source}, {Key: "ro"}}, linux.AttrReadOnly|linux.AttrNoDev)
}

// mountLoop has the file served by a loop device, which nothing but the mount
// keeps.
func mountLoop(path string) (*linux.FD, error) {
	f, err := linux.Open(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	loop, err := linux.LoopAttach(f, 0, 0, linux.LoopOptions{ReadOnly: true, Autoclear: true})
	if err != nil {
		return nil, err
	}
	defer loop.FD.Close()
	return linux.MountFS("erofs", []linux.FSOption{{Key: "source", Value: loop.Device}, {Key: "ro"}}, linux.AttrReadOnly|linux.AttrNoDev)
}

// MountsFiles tells whether this kernel mounts the base at path from its file,
// without a loop device (6.12).
func MountsFiles(path string) (bool, error) {
	m, err := mountFile(path)
	m.Close()
	if errors.Is(err, syscall.ENOTBLK) {
		return false, nil
	}
	return err == nil, err
}
