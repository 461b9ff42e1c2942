package linux

import "syscall"

// IDMapTree idmaps a detached tree of mounts (see IDMap). The top mount must
// take the map; one below it whose file system cannot stays as it is, and
// shows its owners as nobody: less right, never more.
func IDMapTree(tree, userns *FD) error {
	err := IDMap(tree, userns, true)
	if err == nil || !IsErrno(err, syscall.EINVAL, syscall.EPERM, syscall.EOPNOTSUPP) {
		return err
	}
	// All or nothing was refused: the top by itself, then what lies below.
	if err := IDMap(tree, userns, false); err != nil {
		return err
	}
	points, err := mountsBelow(tree)
	if err != nil {
		return err
	}
	for _, p := range points {
		sub, err := OpenIn(tree, p, OPath, 0)
		if err != nil {
			continue // hidden by a later mount
		}
		err = IDMap(sub, userns, false)
		sub.Close()
		if err != nil && !IsErrno(err, syscall.EINVAL, syscall.EPERM, syscall.EOPNOTSUPP, syscall.EBUSY) {
			return err
		}
	}
	return nil
}
