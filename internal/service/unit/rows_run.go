package unit

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
)

func runRows() []row {
	const s = "Service"
	list := []row{
		{s, "User", false, toUser(func(u *Unit) *string { return &u.Service.Run.User })},
		{s, "Group", false, toUser(func(u *Unit) *string { return &u.Service.Run.Group })},
		{s, "SupplementaryGroups", false, toList(func(u *Unit) *[]string { return &u.Service.Run.ExtraGroups }, quoting{}, userName)},
		{s, "DynamicUser", false, toBool(func(u *Unit) *bool { return &u.Service.Run.DynamicUser })},
		{s, "WorkingDirectory", false, setWorkingDirectory},
		{s, "UMask", false, toMode(func(u *Unit) *uint32 { return &u.Service.Run.UMask })},
		{s, "Environment", false, toList(func(u *Unit) *[]string { return &u.Service.Run.Environment }, quoting{escapes: true}, assignment)},
		{s, "EnvironmentFile", false, setEnvFile},
		{s, "PassEnvironment", true, toList(func(u *Unit) *[]string { return &u.Service.Run.PassEnvironment }, quoting{}, variable)},
		{s, "UnsetEnvironment", false, toList(func(u *Unit) *[]string { return &u.Service.Run.UnsetEnvironment }, quoting{escapes: true}, nil)},
		{s, "StandardInput", false, setStdin},
		{s, "StandardInputText", false, setStdinText},
		{s, "StandardInputData", false, setStdinData},
		{s, "StandardOutput", false, setOutput(func(u *Unit) *Stdio { return &u.Service.Run.Stdout })},
		{s, "StandardError", false, setOutput(func(u *Unit) *Stdio { return &u.Service.Run.Stderr })},
		{s, "SyslogIdentifier", true, toText(func(u *Unit) *string { return &u.Service.Run.LogName })},
		{s, "Nice", true, toOptionalInt(func(u *Unit) **int { return &u.Service.Run.Nice }, -20, 19)},
		{s, "OOMScoreAdjust", true, toOptionalInt(func(u *Unit) **int { return &u.Service.Run.OOMScore }, -1000, 1000)},
		{s, "NoNewPrivileges", false, toBool(func(u *Unit) *bool { return &u.Service.Run.NoNewPrivs })},
		{s, "IgnoreSIGPIPE", true, toBool(func(u *Unit) *bool { return &u.Service.Run.IgnoreSIGPIPE })},
		{s, "CapabilityBoundingSet", false, setCapabilities(func(u *Unit) *[]string { return &u.Service.Run.BoundingSet }, true)},
		{s, "AmbientCapabilities", false, setCapabilities(func(u *Unit) *[]string { return &u.Service.Run.AmbientSet }, false)},
		{s, "RuntimeDirectoryPreserve", true, setPreserve},
	}
	for _, kind := range dirKinds {
		list = append(list, row{s, string(kind), false, setDirs(kind)})
		list = append(list, row{s, string(kind) + "Mode", false, func(d *decoder, value string) error {
			mode, err := parseMode(value)
			return d.dirs(kind, err, func(set *DirSet) { set.Mode = mode })
		}})
	}
	return list
}

var dirKinds = [...]DirKind{RuntimeDirectory, StateDirectory, CacheDirectory, LogsDirectory, ConfigurationDirectory}

// dirs changes the set of one kind of directory, unless there is an error.
func (d *decoder) dirs(kind DirKind, err error, change func(*DirSet)) error {
	if err != nil {
		return err
	}
	run := &d.u.Service.Run
	if run.Dirs == nil {
		run.Dirs = map[DirKind]DirSet{}
	}
	set, ok := run.Dirs[kind]
	if !ok {
		set = DirSet{Mode: 0o755, Preserve: "no"}
	}
	change(&set)
	run.Dirs[kind] = set
	return nil
}

func setDirs(kind DirKind) setter {
	return func(d *decoder, value string) error {
		if value == "" {
			return d.dirs(kind, nil, func(set *DirSet) { set.Dirs = nil })
		}
		list, err := d.words(value, quoting{escapes: true})
		if err != nil {
			return err
		}
		for _, text := range list {
			name, link, linked := strings.Cut(text, ":")
			if name, err = innerPath(name); err != nil {
				return err
			}
			if linked && link != "" {
				if kind == ConfigurationDirectory {
					return errors.New("links are not for configuration directories")
				}
				if link, err = innerPath(link); err != nil {
					return err
				}
			}
			err = d.dirs(kind, nil, func(set *DirSet) { set.add(name, link) })
			if err != nil || len(d.u.Service.Run.Dirs[kind].Dirs) > mostList {
				return errors.Join(err, errTooMany)
			}
		}
		return nil
	}
}

func (set *DirSet) add(name, link string) {
	i := slices.IndexFunc(set.Dirs, func(dir Dir) bool { return dir.Name == name })
	if i < 0 {
		i = len(set.Dirs)
		set.Dirs = append(set.Dirs, Dir{Name: name})
	}
	if link != "" && !slices.Contains(set.Dirs[i].Links, link) {
		set.Dirs[i].Links = append(set.Dirs[i].Links, link)
	}
}

// innerPath wants a relative path that stays below where it begins.
func innerPath(p string) (string, error) {
	if p == "" || p[0] == '/' {
		return "", fmt.Errorf("directory %q: want a relative path", shorten(p))
	}
	clean, err := cleanPath("/" + p)
	if err != nil || clean == "/" {
		return "", fmt.Errorf("directory %q: want a path below its place", shorten(p))
	}
	if first, _, _ := strings.Cut(clean[1:], "/"); first == "private" {
		return "", errors.New("directory private is kept for dynamic users")
	}
	return clean[1:], nil
}

func setPreserve(d *decoder, value string) error {
	if yes, ok := parseBool(value); ok {
		value = map[bool]string{true: "yes", false: "no"}[yes]
	} else if value != "restart" {
		return errors.New("want yes, no or restart")
	}
	return d.dirs(RuntimeDirectory, nil, func(set *DirSet) { set.Preserve = value })
}

func setWorkingDirectory(d *decoder, value string) error {
	run := &d.u.Service.Run
	value, err := d.expand(value)
	if err != nil {
		return err
	}
	dir, optional := strings.CutPrefix(value, "-")
	if dir != "" && dir != "~" {
		if dir, err = cleanPath(dir); err != nil {
			return err
		}
	}
	run.WorkingDirectory, run.WorkingOptional = dir, optional
	return nil
}

// assignment wants NAME=value.
func assignment(s string) (string, error) {
	name, _, ok := strings.Cut(s, "=")
	if !ok || !envName(name) {
		return "", fmt.Errorf("%q is no NAME=value", shorten(s))
	}
	return s, nil
}

func variable(s string) (string, error) {
	if !envName(s) {
		return "", fmt.Errorf("%q cannot name a variable", shorten(s))
	}
	return s, nil
}

func setEnvFile(d *decoder, value string) error {
	run := &d.u.Service.Run
	if value == "" {
		run.EnvironmentFiles = nil
		return nil
	}
	value, err := d.expand(value)
	if err != nil {
		return err
	}
	p, optional := strings.CutPrefix(value, "-")
	if p, err = cleanPath(p); err != nil {
		return err
	}
	if _, err := path.Match(p, ""); err != nil {
		return err
	}
	if len(run.EnvironmentFiles) >= mostList {
		return errTooMany
	}
	run.EnvironmentFiles = append(run.EnvironmentFiles, EnvFile{Path: p, Optional: optional})
	return nil
}

func setStdin(d *decoder, value string) error {
	in := &d.u.Service.Run.Stdin
	kind, rest, _ := strings.Cut(value, ":")
	switch kind {
	case "null", "":
		*in = Stdio{Kind: StdioNull}
	case "data", "socket":
		*in = Stdio{Kind: StdioKind(kind)}
	case "fd", "file":
		return stdioPath(d, in, kind, rest)
	case "tty", "tty-force", "tty-fail":
		return errors.New("a service has no terminal of its own; run such a program with silo exec -t")
	default:
		return errors.New("want null, data, file:, fd: or socket")
	}
	return nil
}

func setOutput(field func(*Unit) *Stdio) setter {
	return func(d *decoder, value string) error {
		out := field(d.u)
		kind, rest, _ := strings.Cut(value, ":")
		switch kind {
		case "":
			*out = Stdio{}
		case "inherit", "null", "journal", "socket":
			*out = Stdio{Kind: StdioKind(kind)}
		case "syslog", "kmsg", "journal+console", "syslog+console", "kmsg+console", "tty":
			*out = Stdio{Kind: StdioJournal}
			if value != "syslog" {
				d.note("%s=%s: goes to the service's log alone", d.key, value)
			}
		case "fd", "file", "append", "truncate":
			return stdioPath(d, out, kind, rest)
		default:
			return errors.New("want journal, null, inherit, file:, append:, truncate:, fd: or socket")
		}
		return nil
	}
}

// stdioPath reads what stands after file: and its like.
func stdioPath(d *decoder, to *Stdio, kind, rest string) error {
	rest, err := d.expand(rest)
	if err != nil {
		return err
	}
	if kind == "fd" {
		if rest == "" {
			rest = d.key[len("Standard"):]
			rest = map[string]string{"Input": "stdin", "Output": "stdout", "Error": "stderr"}[rest]
		}
	} else if rest, err = cleanPath(rest); err != nil {
		return err
	}
	*to = Stdio{Kind: StdioKind(kind), Path: rest}
	return nil
}

func setStdinText(d *decoder, value string) error {
	list, err := d.words(`"`+strings.ReplaceAll(value, `"`, `\"`)+`"`, quoting{escapes: true})
	if err != nil {
		return err
	}
	return d.stdinData(value == "", []byte(strings.Join(list, "")+"\n"))
}

func setStdinData(d *decoder, value string) error {
	data, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(value, " ", ""))
	if err != nil {
		return errors.New("want base64")
	}
	return d.stdinData(value == "", data)
}

func (d *decoder) stdinData(reset bool, more []byte) error {
	run := &d.u.Service.Run
	if reset {
		run.StdinData = nil
		return nil
	}
	if len(run.StdinData)+len(more) > mostExpanded {
		return errors.New("too much data")
	}
	run.StdinData = append(run.StdinData, more...)
	return nil
}
