package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Mount attributes, from <linux/mount.h>.
const (
	AttrReadOnly = unix.MOUNT_ATTR_RDONLY
	AttrNoSuid   = unix.MOUNT_ATTR_NOSUID
	AttrNoDev    = unix.MOUNT_ATTR_NODEV
	AttrNoExec   = unix.MOUNT_ATTR_NOEXEC
	AttrNoAtime  = unix.MOUNT_ATTR_NOATIME
)

// FSOption is one parameter of a file system to be made: a string value, or
// a descriptor if FD is set, or a flag if both are empty.
type FSOption struct {
	Key, Value string
	FD         *FD
}

// MountFS makes a detached mount of file system type fstype with the given
// options and mount attributes (Attr…). The mount lives as long as the FD, or
// what it was moved to. Errors carry the kernel's own message if there is one.
func MountFS(fstype string, options []FSOption, attrs int) (*FD, error) {
	raw, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", fstype, os.NewSyscallError("fsopen", err))
	}
	fs := NewFD(raw, "fscontext "+fstype)
	defer fs.Close()
	for _, o := range options {
		switch {
		case o.FD != nil:
			err = unix.FsconfigSetFd(raw, o.Key, o.FD.Int())
		case o.Value != "":
			err = unix.FsconfigSetString(raw, o.Key, o.Value)
		default:
			err = unix.FsconfigSetFlag(raw, o.Key)
		}
		if err != nil {
			return nil, fmt.Errorf("mount %s: option %s=%s: %w%s", fstype, o.Key, o.Value, os.NewSyscallError("fsconfig", err), kernelLog(raw))
		}
	}
	if err := unix.FsconfigCreate(raw); err != nil {
		return nil, fmt.Errorf("mount %s: %w%s", fstype, os.NewSyscallError("fsconfig create", err), kernelLog(raw))
	}
	m, err := unix.Fsmount(raw, unix.FSMOUNT_CLOEXEC, attrs)
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w%s", fstype, os.NewSyscallError("fsmount", err), kernelLog(raw))
	}
	return NewFD(m, "mount "+fstype), nil
}

// kernelLog reads what the kernel said about a file system context.
func kernelLog(raw int) string {
	var buf [512]byte
	var out string
	for {
		n, err := unix.Read(raw, buf[:])
		if err != nil || n <= 2 {
			return out
		}
		out += " (" + string(buf[2:n]) + ")" // after "e ", "w " or "i "
	}
}

// CloneTree makes a detached copy of the mount at dir:path (dir nil: an
// absolute path), with all mounts below it if recursive.
func CloneTree(dir *FD, path string, recursive bool) (*FD, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	at := unix.AT_FDCWD
	if dir != nil {
		at = dir.Int()
	}
	if path == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	n, err := unix.OpenTree(at, path, flags)
	if err != nil {
		name := path
		if name == "" && dir != nil {
			name = dir.Name()
		}
		return nil, &os.PathError{Op: "open_tree", Path: name, Err: err}
	}
	return NewFD(n, "tree "+path), nil
}

// SetMountAttr sets and clears attributes (Attr…) of a mount.
func SetMountAttr(mount *FD, set, clear uint64, recursive bool) error {
	return setattr(mount, &unix.MountAttr{Attr_set: set, Attr_clr: clear}, recursive)
}

// IDMap makes a detached mount show owners through the id map of a user
// namespace: host id 0 of the file system appears as the namespace's id 0.
// The error is unix.EINVAL's where the file system cannot be idmapped.
func IDMap(mount, userns *FD, recursive bool) error {
	return setattr(mount, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns.Int())}, recursive)
}

func setattr(mount *FD, attr *unix.MountAttr, recursive bool) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	if err := unix.MountSetattr(mount.Int(), "", flags, attr); err != nil {
		return &os.PathError{Op: "mount_setattr", Path: mount.Name(), Err: err}
	}
	return nil
}

// MoveMount attaches a detached mount at target:path. An empty path means the
// object target itself.
func MoveMount(mount, target *FD, path string) error {
	flags := unix.MOVE_MOUNT_F_EMPTY_PATH
	at := unix.AT_FDCWD
	if target != nil {
		at = target.Int()
	}
	if path == "" {
		flags |= unix.MOVE_MOUNT_T_EMPTY_PATH
	}
	if err := unix.MoveMount(mount.Int(), "", at, path, flags); err != nil {
		name := path
		if target != nil {
			name = target.Name() + ":" + path
		}
		return &os.PathError{Op: "move_mount", Path: name, Err: err}
	}
	return nil
}

// UnmountDetach detaches the mount at path and all below it, at once.
func UnmountDetach(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
		return &os.PathError{Op: "umount2", Path: path, Err: err}
	}
	return nil
}
