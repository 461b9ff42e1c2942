// Command id prints the numbers and names of a user and its groups.
package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"coretools.silo/getopt"
	"coretools.silo/passwd"
)

func main() {
	opt := getopt.Parse("ugGnr", "id [-u | -g | -G] [-nr] [user]", nil)
	names := passwd.Load()
	uid, gid := uint32(os.Geteuid()), uint32(os.Getegid())
	if opt.Has('r') {
		uid, gid = uint32(os.Getuid()), uint32(os.Getgid())
	}
	groups := []uint32{gid}
	if len(opt.Operands) > 0 {
		u, err := names.Find(opt.Operands[0])
		if err != nil {
			var st getopt.Status
			st.Note(err)
			st.Exit()
		}
		uid, gid = u.UID, u.GID
		groups = append([]uint32{gid}, names.Memberships(u.Name)...)
	} else if more, err := os.Getgroups(); err == nil {
		for _, g := range more {
			groups = append(groups, uint32(g))
		}
	}
	slices.Sort(groups[1:])
	groups = compact(groups)
	show := func(id uint32, name func(uint32) string) string {
		if opt.Has('n') {
			return name(id)
		}
		return fmt.Sprint(id)
	}
	switch {
	case opt.Has('u'):
		fmt.Println(show(uid, names.User))
	case opt.Has('g'):
		fmt.Println(show(gid, names.Group))
	case opt.Has('G'):
		var words []string
		for _, g := range groups {
			words = append(words, show(g, names.Group))
		}
		fmt.Println(strings.Join(words, " "))
	default:
		var words []string
		for _, g := range groups {
			words = append(words, named(g, names.Group(g)))
		}
		fmt.Printf("uid=%s gid=%s groups=%s\n", named(uid, names.User(uid)), named(gid, names.Group(gid)), strings.Join(words, ","))
	}
}

// compact drops groups that were listed before, the first one stays first.
func compact(groups []uint32) []uint32 {
	var out []uint32
	for _, g := range groups {
		if !slices.Contains(out, g) {
			out = append(out, g)
		}
	}
	return out
}

func named(id uint32, name string) string {
	if name == fmt.Sprint(id) {
		return name
	}
	return fmt.Sprintf("%d(%s)", id, name)
}
