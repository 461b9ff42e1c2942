// Package paths tells where files lie.
package paths

import (
	"io/fs"
	"os"
	"path/filepath"
)

// Inside tells whether a folder is the other one or lies below it.
func Inside(dir string, other fs.FileInfo) (bool, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false, err
	}
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return false, err
		}
		if os.SameFile(info, other) {
			return true, nil
		}
		if dir == "/" {
			return false, nil
		}
		dir = filepath.Dir(dir)
	}
}
