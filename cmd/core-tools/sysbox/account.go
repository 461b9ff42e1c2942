package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"coretools.silo/getopt"
	"coretools.silo/passwd"
	"coretools.silo/table"
)

var accountCommands = []command{
	{"get-localuser", "[NAME...]", "local user accounts", true, getLocalUser},
	{"whoami", "[--all | --user | --groups | --priv]", "the user that runs commands here, its groups and privileges", true, whoAmI},
	{"hostname", "[-fsdiI] | NAME", "the name of this system, or set it", false, hostName},
}

// isLocal tells whether an entry is a local account: one that can have a
// password. Built-in identities such as ContainerAdministrator cannot; their
// entry only gives the number a name.
func isLocal(u passwd.User) bool { return u.Password != "*" }

func getLocalUser(c *call, args []string) error {
	shadow, err := c.shadow()
	if err != nil {
		return err
	}
	t := &table.Table{Columns: []table.Column{
		{Name: "name"},
		{Name: "enabled"},
		{Name: "id"},
		{Name: "description"},
		{Name: "group", Detail: true},
		{Name: "home", Detail: true},
		{Name: "shell", Detail: true},
	}}
	names, sought := c.names(), seek(args)
	for _, u := range names.Users {
		if !isLocal(u) || !sought.matches(u.Name) {
			continue
		}
		t.Add(u.Name, enabled(u, shadow, time.Now()), int64(u.UID), textOf(u.Description), names.Group(u.GID), textOf(u.Home), textOf(u.Shell))
	}
	missing := sought.missing("no such local account")
	if missing != nil && len(t.Rows) == 0 {
		return missing
	}
	if err := c.write(t); err != nil {
		return err
	}
	return missing
}

// shadow reads the passwords' file by name of user; nil if it may not be read.
func (c *call) shadow() (map[string][]string, error) {
	path := string(c.root) + "/etc/shadow"
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err == nil {
		f.Close()
	}
	all := map[string][]string{}
	for _, l := range passwd.Fields(path, 9) {
		all[l[0]] = l
	}
	return all, nil
}

// enabled tells whether somebody can log in to an account with a password:
// nil if it cannot be told.
func enabled(u passwd.User, shadow map[string][]string, now time.Time) any {
	password := u.Password
	if password == "x" {
		if shadow == nil {
			return nil
		}
		line, ok := shadow[u.Name]
		if !ok {
			return false
		}
		password = line[1]
		if days, err := strconv.ParseInt(line[7], 10, 64); err == nil && now.Unix()/86400 >= days {
			return false // it has expired
		}
	}
	return password == "" || password[0] != '!' && password[0] != '*'
}

func whoAmI(c *call, args []string) error {
	for i, a := range args {
		if rest, ok := strings.CutPrefix(a, "/"); ok { // as it is written elsewhere
			args[i] = "--" + strings.ToLower(rest)
		}
	}
	opt, err := getopt.Read("augp", map[string]string{"all": "a", "user": "u", "groups": "g", "priv": "p"}, args)
	if err == nil {
		err = none(opt.Operands)
	}
	if err != nil {
		return usageError{err}
	}
	uid := uint32(os.Geteuid())
	name := c.names().User(uid)
	every := opt.Has('a') || c.asTable() && !opt.Has('u') && !opt.Has('g') && !opt.Has('p')
	if !every && !opt.Has('u') && !opt.Has('g') && !opt.Has('p') {
		_, err := fmt.Fprintln(c.out, table.Clean(name))
		return err
	}
	t := &table.Table{Columns: []table.Column{{Name: "kind"}, {Name: "name"}, {Name: "id"}}}
	if every || opt.Has('u') {
		t.Add("user", name, int64(uid))
	}
	if every || opt.Has('g') {
		groups, err := os.Getgroups()
		if err != nil {
			groups = nil
		}
		seen := map[int]bool{}
		for _, g := range append([]int{os.Getegid()}, groups...) {
			if !seen[g] {
				seen[g] = true
				t.Add("group", c.names().Group(uint32(g)), int64(g))
			}
		}
	}
	if every || opt.Has('p') {
		for _, p := range c.root.Capabilities() {
			t.Add("privilege", p, nil)
		}
	}
	return c.write(t)
}

func hostName(c *call, args []string) error {
	opt, err := getopt.Read("fsdiI", nil, args)
	if err != nil {
		return usageError{err}
	}
	switch len(opt.Operands) {
	case 0:
	case 1:
		if err := syscall.Sethostname([]byte(opt.Operands[0])); err != nil {
			return fmt.Errorf("set the name to %s: %w", opt.Operands[0], err)
		}
		return nil
	default:
		return badUsage("takes one name")
	}
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	short, domain, _ := strings.Cut(name, ".")
	switch {
	case opt.Has('s'):
		name = short
	case opt.Has('d'):
		name = domain
	case opt.Has('i'), opt.Has('I'):
		var all []string
		for _, a := range readAdapters(c.root) {
			for _, p := range a.IPv4 {
				if !a.Loopback {
					all = append(all, p.Addr().String())
				}
			}
		}
		name = strings.Join(all, " ")
	}
	_, err = fmt.Fprintln(c.out, table.Clean(name))
	return err
}
