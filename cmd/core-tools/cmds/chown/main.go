// Command chown changes owners: chown USER[:GROUP] or :GROUP, names or numbers.
// With --group-only, as chgrp, it takes just the group.
package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"coretools.silo/getopt"
	"coretools.silo/passwd"
)

func main() {
	opt := getopt.Parse("RhvfG", "chown [-Rh] user[:group] file ...", map[string]string{"recursive": "R", "no-dereference": "h", "group-only": "G"})
	if len(opt.Operands) < 2 {
		opt.Usage("needs an owner and a file")
	}
	names, word := passwd.Load(), opt.Operands[0]
	if opt.Has('G') {
		word = ":" + word
	}
	user, group, hasGroup := strings.Cut(word, ":")
	uid, gid := -1, -1
	if user != "" {
		id, err := userID(names, user)
		if err != nil {
			opt.Usage("%v", err)
		}
		uid = id
	}
	if hasGroup && group != "" {
		id, err := names.GroupID(group)
		if err != nil {
			opt.Usage("%v", err)
		}
		gid = int(id)
	}
	change := os.Chown
	if opt.Has('h') || opt.Has('R') {
		change = os.Lchown
	}
	var status getopt.Status
	for _, f := range opt.Operands[1:] {
		if !opt.Has('R') {
			status.Note(change(f, uid, gid))
			continue
		}
		_ = filepath.WalkDir(f, func(p string, _ fs.DirEntry, err error) error {
			if err == nil {
				err = change(p, uid, gid)
			}
			status.Note(err)
			return nil
		})
	}
	status.Exit()
}

func userID(names *passwd.Names, word string) (int, error) {
	u, err := names.Find(word)
	if err == nil {
		return int(u.UID), nil
	}
	id, bad := names.GroupID(word) // a plain number needs no entry
	if bad != nil || names.Group(id) == word && !strings.ContainsAny(word, "0123456789") {
		return 0, err
	}
	return int(id), nil
}
