// Package passwd reads names of users and groups from /etc/passwd and
// /etc/group. It does without os/user, which brings package net's start-up
// cost with it in some builds and asks nothing else here.
package passwd

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// User is a line of /etc/passwd.
type User struct {
	Name, Home, Shell string
	UID, GID          uint32
}

// Names knows all users and groups.
type Names struct {
	Users  []User
	Groups map[uint32]string
	member map[string][]uint32 // user name to ids of groups that list it
}

// Load reads both files; one that is missing has no names.
func Load() *Names {
	n := &Names{Groups: map[uint32]string{}, member: map[string][]uint32{}}
	for _, f := range fields("/etc/passwd", 7) {
		n.Users = append(n.Users, User{Name: f[0], UID: number(f[2]), GID: number(f[3]), Home: f[5], Shell: f[6]})
	}
	for _, f := range fields("/etc/group", 4) {
		gid := number(f[2])
		n.Groups[gid] = f[0]
		for _, m := range strings.Split(f[3], ",") {
			n.member[m] = append(n.member[m], gid)
		}
	}
	return n
}

func fields(path string, count int) [][]string {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	var all [][]string
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == count {
			all = append(all, f)
		}
	}
	return all
}

func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 65534
	}
	return uint32(n)
}

// User is the name of a user id, or the number.
func (n *Names) User(uid uint32) string {
	for _, u := range n.Users {
		if u.UID == uid {
			return u.Name
		}
	}
	return strconv.FormatUint(uint64(uid), 10)
}

// Group is the name of a group id, or the number.
func (n *Names) Group(gid uint32) string {
	if g, ok := n.Groups[gid]; ok {
		return g
	}
	return strconv.FormatUint(uint64(gid), 10)
}

// Find gives the user of that name or number.
func (n *Names) Find(name string) (User, error) {
	for _, u := range n.Users {
		if u.Name == name || strconv.FormatUint(uint64(u.UID), 10) == name {
			return u, nil
		}
	}
	return User{}, fmt.Errorf("%s: no such user", name)
}

// GroupID gives the id of a group by name or number.
func (n *Names) GroupID(name string) (uint32, error) {
	for id, g := range n.Groups {
		if g == name {
			return id, nil
		}
	}
	id, err := strconv.ParseUint(name, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%s: no such group", name)
	}
	return uint32(id), nil
}

// Memberships are the ids of the groups that list the user.
func (n *Names) Memberships(user string) []uint32 { return n.member[user] }
