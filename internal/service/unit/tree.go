package unit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// tree reads the container's files. It follows links itself, from the
// container's root and never above it, so fsys need not follow any.
type tree struct {
	fsys fs.ReadLinkFS
	dirs map[string]string // folders already resolved: absolute as asked to absolute as is
}

var errLinks = errors.New("too many symbolic links")

// real gives the absolute path that p leads to, all links followed, and what
// is there. The last part need not exist for parents to be resolved: then the
// error is fs.ErrNotExist.
func (t *tree) real(p string) (string, fs.FileInfo, error) {
	if t.dirs == nil {
		t.dirs = map[string]string{}
	}
	todo := strings.Split(path.Clean("/"+p), "/")[1:]
	slices.Reverse(todo)
	at, budget := "/", mostLinks
	var info fs.FileInfo
	for len(todo) > 0 {
		part := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			info = nil
			continue
		}
		next := path.Join(at, part)
		if len(todo) > 0 && t.dirs[next] == next {
			at = next
			continue
		}
		i, err := t.fsys.Lstat(next[1:])
		if err != nil {
			return next, nil, err
		}
		if i.Mode()&fs.ModeSymlink == 0 {
			if i.IsDir() {
				t.dirs[next] = next
			}
			at, info = next, i
			continue
		}
		if budget--; budget < 0 {
			return "", nil, fmt.Errorf("%s: %w", p, errLinks)
		}
		parts, absolute, err := t.link(next)
		if err != nil || len(todo)+len(parts) > mostParts {
			return "", nil, errors.Join(err, fmt.Errorf("%s: %w", p, errLinks))
		}
		if absolute {
			at = "/"
		}
		todo, info = append(todo, parts...), nil
	}
	var err error
	if info == nil {
		info, err = t.fsys.Lstat(inner(at))
	}
	return at, info, err
}

// link reads a symbolic link; its parts come last first.
func (t *tree) link(p string) (parts []string, absolute bool, err error) {
	target, err := t.fsys.ReadLink(inner(p))
	if err != nil {
		return nil, false, err
	}
	parts = strings.Split(target, "/")
	slices.Reverse(parts)
	return parts, path.IsAbs(target), nil
}

// inner is an absolute path as package fs wants it.
func inner(p string) string {
	if p == "/" {
		return "."
	}
	return strings.TrimPrefix(p, "/")
}

// read gives the content of a regular file.
func (t *tree) read(p string) ([]byte, error) {
	real, info, err := t.real(p)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", p)
	}
	if info.Size() > mostFileSize {
		return nil, fmt.Errorf("%s: larger than %d bytes", p, mostFileSize)
	}
	f, err := t.fsys.Open(real[1:])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostFileSize+1))
	if err == nil && len(text) > mostFileSize {
		err = fmt.Errorf("%s: larger than %d bytes", p, mostFileSize)
	}
	return text, err
}

// list gives the entries of a folder, sorted, and the folder's real path. One
// that cannot be read is empty.
func (t *tree) list(p string) ([]fs.DirEntry, string) {
	real, info, err := t.real(p)
	if err != nil || !info.IsDir() {
		return nil, ""
	}
	f, err := t.fsys.Open(inner(real))
	if err != nil {
		return nil, real
	}
	defer f.Close()
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, real
	}
	entries, _ := d.ReadDir(mostDirEntries) // what was read before an error counts
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, real
}
