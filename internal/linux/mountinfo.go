package linux

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mountPoint is a line of /proc/self/mountinfo (proc(5)).
type mountPoint struct {
	id   uint64
	path string
	kind string // of its file system
}

// mountPoints lists the mounts of this process's namespace.
func mountPoints() (list []mountPoint, err error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewScanner(f)
	for in.Scan() {
		before, after, _ := strings.Cut(in.Text(), " - ")
		mount, source := strings.Fields(before), strings.Fields(after)
		if len(mount) < 5 || len(source) < 1 {
			continue
		}
		if id, err := strconv.ParseUint(mount[0], 10, 64); err == nil {
			list = append(list, mountPoint{id, unescapeMount(mount[4]), source[0]})
		}
	}
	return list, in.Err()
}

// mountsBelow lists the mount points of this namespace below the folder that
// a tree was cloned from, as paths within it.
func mountsBelow(tree *FD) (out []string, err error) {
	top := strings.TrimPrefix(tree.Name(), "tree ")
	list, err := mountPoints()
	for _, m := range list {
		if rest, ok := strings.CutPrefix(m.path, strings.TrimSuffix(top, "/")+"/"); ok && rest != "" {
			out = append(out, rest)
		}
	}
	return out, err
}

// unescapeMount undoes the octal escapes of mountinfo (proc(5)).
func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		var n int
		if s[i] == '\\' && i+3 < len(s) {
			if _, err := fmt.Sscanf(s[i+1:i+4], "%03o", &n); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// MountID is the number of the mount that an open file is of. When the mount is
// gone another may get it.
func MountID(f *FD) (uint64, error) {
	st, err := f.identity()
	return st.Mnt_id, err
}

// UnmountOverlay detaches one overlay that is mounted at path, told by its
// MountID, and nothing else: ErrAbsent if it is not there any more, and another
// error if something is mounted over it.
func UnmountOverlay(path string, id uint64) error {
	list, err := mountPoints()
	if err != nil {
		return err
	}
	at := ""
	for _, m := range list {
		if m.id == id && m.kind == "overlay" && (at == "" || m.path == path) {
			at = m.path
		}
	}
	switch at {
	case path:
	case "":
		return fmt.Errorf("unmount %s: %w: nothing of ours is there", path, ErrAbsent)
	default: // a folder above it was renamed, or the number is another's by now
		return fmt.Errorf("unmount %s: the mount has moved to %s: umount %s by hand, then try again", path, at, at)
	}
	f, err := Open(path, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	switch now, err := MountID(f); {
	case err != nil:
		return err
	case now != id:
		return fmt.Errorf("unmount %s: something else is mounted over it: unmount that first", path)
	}
	if err := unix.Unmount(f.Path(), unix.MNT_DETACH); err != nil {
		return &os.PathError{Op: "umount2", Path: path, Err: err}
	}
	return nil
}
