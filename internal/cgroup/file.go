package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"silo/internal/errs"
)

// write puts a value into a file of the kernel's; it makes no file. The error
// names file and value, and has the kind that the kernel's refusal means.
func write(dir, file, value string) error {
	path := filepath.Join(dir, file)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err == nil {
		_, err = f.WriteString(value)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return errs.New(errs.NotSupported, "write %q to %s: %w: this kernel or the parent group does not offer it", value, path, syscall.ENOENT)
	case errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ERANGE), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ENXIO):
		return errs.Invalidf("write %q to %s: %w: the kernel does not take this value", value, path, errno(err))
	case errors.Is(err, syscall.EBUSY):
		return errs.Conflictf("write %q to %s: %w: more is in use than that: free some, or ask for more", value, path, syscall.EBUSY)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EPERM):
		return errs.New(errs.Forbidden, "write %q to %s: %w: a parent group allows less, or this group was not delegated", value, path, errno(err))
	}
	return fmt.Errorf("write %q: %w", value, err)
}

// errno takes the number out of a path error, which would repeat the path.
func errno(err error) error {
	var e syscall.Errno
	if errors.As(err, &e) {
		return e
	}
	return err
}

func has(dir, file string) bool {
	_, err := os.Lstat(filepath.Join(dir, file))
	return err == nil
}

// readText reads a file of the kernel's without the final newline.
func readText(dir, file string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if errors.Is(err, syscall.ENODEV) { // the group went while the file was open
		err = &os.PathError{Op: "read", Path: filepath.Join(dir, file), Err: fs.ErrNotExist}
	}
	return strings.TrimSpace(string(text)), err
}

// readNumber reads one number; "max" and what is greater than an int64, as v1
// writes for unlimited, are math.MaxUint64.
func readNumber(dir, file string) (uint64, error) {
	text, err := readText(dir, file)
	if err != nil {
		return 0, err
	}
	n, err := number(text)
	if err != nil {
		return 0, fmt.Errorf("read %s: %v", filepath.Join(dir, file), err)
	}
	return n, nil
}

func number(text string) (uint64, error) {
	if text == "max" || text == "-1" {
		return math.MaxUint64, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return n, nil
}

// readKeys reads a file of "key number" lines; others are passed over.
func readKeys(dir, file string) (map[string]uint64, error) {
	text, err := readText(dir, file)
	if err != nil {
		return nil, err
	}
	out := make(map[string]uint64, strings.Count(text, "\n")+1)
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok {
			continue
		}
		if n, err := number(value); err == nil {
			out[key] = n
		}
	}
	return out, nil
}

// readKey reads one key of such a file, 0 if it is not there.
func readKey(dir, file, key string) (uint64, error) {
	keys, err := readKeys(dir, file)
	return keys[key], err
}
