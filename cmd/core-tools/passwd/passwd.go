// Package passwd reads names of users and groups from /etc/passwd and
// /etc/group. It does without os/user, which brings package net's start-up
// cost with it in some builds and asks nothing else here.
package passwd

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// User is a line of /etc/passwd.
type User struct {
	Name, Home, Shell string
	UID, GID          uint32
	Password          string // "x": it is in /etc/shadow; "*": there can be none
	Description       string
}

// ContainerUserID is the id of the built-in identity ContainerUser, which an
// image need not know.
const ContainerUserID = 65530

// Names knows all users and groups.
type Names struct {
	Users  []User
	Groups map[uint32]string
	member map[string][]uint32 // user name to ids of groups that list it
}

// Load reads both files; one that is missing has no names.
func Load() *Names { return LoadFrom("") }

// LoadFrom is Load for the system below a folder.
func LoadFrom(root string) *Names {
	n := &Names{Groups: map[uint32]string{}, member: map[string][]uint32{}}
	for _, f := range Fields(root+"/etc/passwd", 7) {
		uid, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil || f[0] == "" {
			continue
		}
		description, _, _ := strings.Cut(f[4], ",")
		n.Users = append(n.Users, User{
			Name: f[0], UID: uint32(uid), GID: number(f[3]), Home: f[5], Shell: f[6], Password: f[1], Description: description,
		})
	}
	for _, f := range Fields(root+"/etc/group", 4) {
		gid := number(f[2])
		n.Groups[gid] = f[0]
		for _, m := range strings.Split(f[3], ",") {
			n.member[m] = append(n.member[m], gid)
		}
	}
	return n
}

// mostFile limits what is read of a file, in bytes.
const mostFile = 4 << 20

// Fields reads lines of so many fields apart by colons. Other lines are left
// out, and so is a file that is none.
func Fields(path string, count int) [][]string {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	data, err := io.ReadAll(io.LimitReader(f, mostFile))
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
	if uid == ContainerUserID {
		return "ContainerUser"
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
