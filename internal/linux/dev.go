package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// DeviceNode is a device file to be made in a /dev.
type DeviceNode struct {
	Name         string // may have slashes
	Major, Minor uint32
	Block        bool
	Mode         uint32
}

// devNodes are the devices that every container has (OCI runtime
// specification, "Default Devices"); ptmx is a link into the devpts.
var devNodes = []DeviceNode{
	{Name: "null", Major: 1, Minor: 3, Mode: 0o666},
	{Name: "zero", Major: 1, Minor: 5, Mode: 0o666},
	{Name: "full", Major: 1, Minor: 7, Mode: 0o666},
	{Name: "random", Major: 1, Minor: 8, Mode: 0o666},
	{Name: "urandom", Major: 1, Minor: 9, Mode: 0o666},
	{Name: "tty", Major: 5, Minor: 0, Mode: 0o666},
}

var devLinks = [][2]string{
	{"fd", "/proc/self/fd"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
	{"ptmx", "pts/ptmx"},
	{"core", "/proc/kcore"},
}

// MakeDev makes a detached tmpfs with the nodes, links and folders of a
// container's /dev, owned by the host id root. Only real root can make
// device nodes, so a container can add none.
func MakeDev(root uint32, more []DeviceNode) (m *FD, err error) {
	id := fmt.Sprint(root)
	m, err = MountFS("tmpfs", []FSOption{{Key: "mode", Value: "755"}, {Key: "size", Value: "64k"}, {Key: "uid", Value: id}, {Key: "gid", Value: id}}, AttrNoSuid|AttrNoExec)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			m.Close()
		}
	}()
	for _, n := range append(devNodes[:len(devNodes):len(devNodes)], more...) {
		if err := mknod(m, n, int(root)); err != nil {
			return nil, err
		}
	}
	for _, l := range devLinks {
		if err := SymlinkAt(l[1], m, l[0]); err != nil {
			return nil, err
		}
	}
	for _, dir := range []string{"pts", "shm", "mqueue"} {
		if err := MkdirAt(m, dir, 0o755); err != nil {
			return nil, err
		}
	}
	console, err := OpenBeneath(m, "console", OWronly|OCreat|OExcl, 0o600)
	if err != nil {
		return nil, err
	}
	defer console.Close()
	return m, console.Chown(int(root), int(root))
}

func mknod(dir *FD, n DeviceNode, owner int) error {
	at := dir
	name := n.Name
	for i := 0; i < len(name); i++ {
		if name[i] != '/' {
			continue
		}
		sub, err := MkdirAllIn(at, name[:i], 0o755)
		if err != nil {
			return err
		}
		defer sub.Close()
		at, name, i = sub, name[i+1:], -1
	}
	kind := uint32(unix.S_IFCHR)
	if n.Block {
		kind = unix.S_IFBLK
	}
	old := unix.Umask(0)
	err := unix.Mknodat(at.Int(), name, kind|n.Mode, int(unix.Mkdev(n.Major, n.Minor)))
	unix.Umask(old)
	if err == nil {
		err = unix.Fchownat(at.Int(), name, owner, owner, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err != nil {
		return &os.PathError{Op: "mknod", Path: n.Name, Err: err}
	}
	return nil
}

// DeviceOf tells what device node is at an absolute host path.
func DeviceOf(path string) (n DeviceNode, err error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return n, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
	case unix.S_IFBLK:
		n.Block = true
	default:
		return n, &os.PathError{Op: "stat", Path: path, Err: unix.ENODEV}
	}
	n.Major, n.Minor = unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev)) //nolint:unconvert // 32 bits on some architectures
	n.Mode = st.Mode & 0o777
	return n, nil
}
