package agent

import (
	"errors"
	"io"
	"io/fs"
	"syscall"

	"silo/internal/linux"
)

// populate copies what the image has at target into a volume, if the volume
// is empty: owners, modes, times and links with it. What is mounted in the root
// is not the image's. Both trees are opened beneath their own roots, so no link
// in either leads anywhere else.
func populate(root *linux.FD, target string, volume *linux.FD) error {
	image, err := linux.CloneTree(root, "", false)
	if err != nil {
		return err
	}
	defer image.Close()
	source, err := linux.OpenIn(image, target, linux.ODirectory, 0)
	if errors.Is(err, fs.ErrNotExist) || linux.IsErrno(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer source.Close()
	dest, err := linux.OpenBeneath(volume, ".", linux.ODirectory, 0)
	if err != nil {
		return err
	}
	defer dest.Close()
	names, err := linux.ReadDirNames(dest)
	if err != nil || len(names) > 0 {
		return err
	}
	return linux.CopyTree(source, dest, func(src, dst *linux.FD) error {
		in, out := src.File(), dst.File()
		defer in.Close()
		defer out.Close()
		_, err := io.Copy(out, in)
		return err
	})
}
