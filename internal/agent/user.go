package agent

import (
	"bufio"
	"io"
	"strconv"
	"strings"

	"silo/internal/errs"
	"silo/internal/linux"
)

// maxAccounts limits what is read of a container's passwd and group files.
const maxAccounts = 4 << 20

// maxID is the highest id that exists in a container: its private range has
// 65,536.
const maxID = 65535

// user is who a command runs as.
type user struct {
	uid, gid uint32
	groups   []uint32
	home     string
}

// accounts reads one of the container's account files: lines of fields apart
// by colons. A file that is missing, or is no regular file, has no lines.
func accounts(path string) [][]string {
	fd, err := linux.Open(path, linux.ORdonly|linux.ONonblock, 0)
	if err != nil {
		return nil
	}
	f := fd.File()
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	var out [][]string
	in := bufio.NewScanner(io.LimitReader(f, maxAccounts))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		line := strings.TrimSpace(in.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		out = append(out, strings.Split(line, ":"))
	}
	return out
}

func id(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err == nil
}

// lookupUser reads "[user][:group]" and further groups against the
// container's own files. A number needs no entry; a name does.
func lookupUser(spec string, more []string) (user, error) {
	u := user{home: "/"}
	name, group, hasGroup := strings.Cut(spec, ":")
	if name == "" {
		name = "0"
	}
	number, isNumber := id(name)
	found := false
	for _, f := range accounts("/etc/passwd") {
		if len(f) < 6 {
			continue
		}
		uid, ok := id(f[2])
		if !ok || (f[0] != name && !(isNumber && uid == number)) {
			continue
		}
		gid, _ := id(f[3])
		u.uid, u.gid, u.home, name, found = uid, gid, f[5], f[0], true
		break
	}
	if !found {
		if !isNumber {
			return u, errs.Invalidf("user %s: unable to find it: no matching entries in passwd file", name)
		}
		u.uid = number
		if number == 0 {
			u.home = "/root"
		}
	}
	if u.home == "" {
		u.home = "/"
	}
	groups := accounts("/etc/group")
	if hasGroup && group != "" {
		gid, err := lookupGroup(groups, group)
		if err != nil {
			return u, err
		}
		u.gid = gid
	} else {
		u.groups = memberships(groups, name)
	}
	for _, g := range more {
		gid, err := lookupGroup(groups, g)
		if err != nil {
			return u, err
		}
		u.groups = append(u.groups, gid)
	}
	if u.uid > maxID || u.gid > maxID {
		return u, errs.Invalidf("user %s is %d:%d: a container has the ids 0 to %d", spec, u.uid, u.gid, maxID)
	}
	return u, nil
}

func lookupGroup(groups [][]string, name string) (uint32, error) {
	number, isNumber := id(name)
	for _, f := range groups {
		if len(f) < 3 {
			continue
		}
		if gid, ok := id(f[2]); ok && (f[0] == name || isNumber && gid == number) {
			return checkGroup(gid)
		}
	}
	if isNumber {
		return checkGroup(number)
	}
	return 0, errs.Invalidf("group %s: unable to find it: no matching entries in group file", name)
}

func checkGroup(gid uint32) (uint32, error) {
	if gid > maxID {
		return 0, errs.Invalidf("group %d: a container has the ids 0 to %d", gid, maxID)
	}
	return gid, nil
}

// memberships lists the groups that name a user as member.
func memberships(groups [][]string, name string) (out []uint32) {
	for _, f := range groups {
		if len(f) < 4 {
			continue
		}
		for _, m := range strings.Split(f[3], ",") {
			if gid, ok := id(f[2]); ok && m == name && gid <= maxID {
				out = append(out, gid)
			}
		}
	}
	return out
}
