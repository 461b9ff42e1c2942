package linux

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

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

// mountsBelow lists the mount points of this namespace below the folder that
// a tree was cloned from, as paths within it.
func mountsBelow(tree *FD) ([]string, error) {
	top := strings.TrimPrefix(tree.Name(), "tree ")
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []string
	in := bufio.NewScanner(f)
	for in.Scan() {
		fields := strings.Fields(in.Text())
		if len(fields) < 5 {
			continue
		}
		point := unescapeMount(fields[4])
		if rest, ok := strings.CutPrefix(point, strings.TrimSuffix(top, "/")+"/"); ok && rest != "" {
			out = append(out, rest)
		}
	}
	return out, in.Err()
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
