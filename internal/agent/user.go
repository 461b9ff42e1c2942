package agent

import (
	"slices"
	"strconv"
	"strings"
	"sync"

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

// keptAccounts limits, in bytes, the account files that are kept in memory.
const keptAccounts = 16 << 10

// accountFile is an account file as it was when it was read.
type accountFile struct {
	stamp linux.Stamp
	lines [][]string
}

var (
	accountsMu   sync.Mutex
	accountFiles = map[string]accountFile{}
)

// accounts reads one of the container's account files: lines of fields apart
// by colons. A file that is missing, or is no regular file, has no lines. It is
// read anew when it has changed, which it cannot have if it is fresh.
func accounts(path string, fresh bool) [][]string {
	accountsMu.Lock()
	kept, ok := accountFiles[path]
	accountsMu.Unlock()
	if ok && fresh {
		return kept.lines
	}
	stamp, settled, err := linux.StampOf(path)
	if err == nil && ok && kept.stamp == stamp {
		return kept.lines
	}
	var data []byte
	if err == nil {
		data, err = linux.ReadRegular(path, maxAccounts)
	}
	lines := accountLines(string(data))
	accountsMu.Lock()
	defer accountsMu.Unlock()
	delete(accountFiles, path)
	if err == nil && settled && len(data) <= keptAccounts {
		accountFiles[path] = accountFile{stamp, lines}
	}
	return lines
}

func accountLines(text string) (out [][]string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
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

// The two identities that every container has, also if its image does not
// know them: they are no accounts of the image.
const (
	containerAdministrator = "ContainerAdministrator" // whoever has id 0
	containerUser          = "ContainerUser"          // no privileges, no account
)

// containerUserID is user and group of ContainerUser: in 65520 to 65533, which
// no distribution hands out, and none of the numbers there that images have
// come to use for users of their own (65532, 65533).
const containerUserID = 65530

// lookupUser reads "[user][:group]" and further groups against the
// container's own files. A number needs no entry; a name does, unless it is
// one of the two that every container has. fresh tells that the files are as they
// were when they were read last.
func lookupUser(spec string, more []string, fresh bool) (user, error) {
	return resolveUser(accounts("/etc/passwd", fresh), accounts("/etc/group", fresh), spec, more)
}

// withPrimary adds the primary group to the others: else a process could leave
// it by a set-group-id program, and pass a file that is closed to the group
// (CVE-2022-36109).
func withPrimary(groups []uint32, gid uint32) []uint32 {
	if slices.Contains(groups, gid) {
		return groups
	}
	return slices.Insert(groups, 0, gid)
}

// resolveUser is lookupUser with the lines of both files.
func resolveUser(passwd, groups [][]string, spec string, more []string) (user, error) {
	name, group, hasGroup := strings.Cut(spec, ":")
	u, name, err := findUser(passwd, name)
	if err != nil {
		return u, err
	}
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

// findUser gives the user of a name or number and the name that groups list.
func findUser(passwd [][]string, name string) (user, string, error) {
	if name == "" {
		name = "0"
	}
	number, isNumber := id(name)
	for _, f := range passwd {
		if len(f) < 6 {
			continue
		}
		uid, ok := id(f[2])
		if !ok || (f[0] != name && !(isNumber && uid == number)) {
			continue
		}
		gid, _ := id(f[3])
		u := user{uid: uid, gid: gid, home: f[5]}
		if u.home == "" {
			u.home = "/"
		}
		return u, f[0], nil
	}
	switch {
	case name == "0":
		return user{home: "/root"}, name, nil
	case isNumber:
		return user{uid: number, home: "/"}, name, nil
	case name == containerAdministrator:
		return findUser(passwd, "0")
	case name == containerUser:
		return user{uid: containerUserID, gid: containerUserID, home: "/"}, name, nil
	}
	return user{home: "/"}, name, errs.Invalidf("user %s: unable to find it: no matching entries in passwd file", name)
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
