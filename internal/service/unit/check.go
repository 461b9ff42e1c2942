package unit

import (
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Verdict is what the conditions and asserts of a unit say.
type Verdict string

const (
	Go   Verdict = "go"
	Skip Verdict = "skip" // a condition does not hold: the start is left out, which is no failure
	Fail Verdict = "fail" // an assert does not hold: the start fails
)

// Check looks at the conditions and asserts of a unit as things are now. For
// Skip and Fail it names one that does not hold, as it stands in the file.
func (s *Set) Check(u *Unit) (Verdict, string) {
	if failed := s.checkAll(u.Conditions, true); failed != "" {
		return Fail, failed
	}
	if failed := s.checkAll(u.Conditions, false); failed != "" {
		return Skip, failed
	}
	return Go, ""
}

// checkAll wants all to hold that are no triggers, and one of these if there
// are any.
func (s *Set) checkAll(list []Condition, assert bool) string {
	trigger := ""
	triggered := false
	for _, c := range list {
		if c.Assert != assert {
			continue
		}
		holds := s.holds(c) != c.Negate
		switch {
		case c.Trigger && holds:
			triggered = true
		case c.Trigger:
			trigger = c.String()
		case !holds:
			return c.String()
		}
	}
	if triggered {
		return ""
	}
	return trigger
}

// holds evaluates one condition, ! apart.
func (s *Set) holds(c Condition) bool {
	h, v := &s.host, c.Value
	switch c.Kind {
	case "User":
		return v == h.User || v == strconv.Itoa(h.UID) || v == "@system" && h.UID < 1000
	case "Group":
		return v == h.Group || v == strconv.Itoa(h.GID)
	case "Virtualization":
		return virtualization(h.Virtualization, v)
	case "Architecture":
		return v == h.Architecture || v == "native"
	case "Host":
		ok, err := path.Match(strings.ToLower(v), strings.ToLower(h.Hostname))
		return strings.EqualFold(v, h.MachineID) || err == nil && ok
	case "Capability":
		return slices.Contains(h.Capabilities, strings.ToUpper(v))
	case "Environment":
		name, want, valued := strings.Cut(v, "=")
		got, ok := lookup(h.Environment, name)
		return ok && (!valued || got == want)
	case "KernelCommandLine":
		return onCommandLine(h.KernelCmdline, v)
	case "KernelVersion", "Version":
		return kernelVersion(h.KernelRelease, v)
	case "ControlGroupController":
		for _, want := range strings.Fields(v) {
			if !slices.Contains(h.Controllers, want) {
				return false
			}
		}
		return true
	case "CPUs":
		return compareNumber(uint64(max(h.CPUs, 0)), v)
	case "Memory":
		return compareNumber(h.Memory, v)
	case "OSRelease":
		return osRelease(h.OSRelease, v)
	case "ACPower":
		yes, _ := parseBool(v)
		return yes // a container hears nothing of batteries
	case "Security", "FirstBoot", "NeedsUpdate", "Credential", "CPUFeature", "Firmware", "KernelModuleLoaded", "CPUPressure", "MemoryPressure", "IOPressure":
		return false // of the host, or never so in a container
	}
	return s.pathHolds(c)
}

func (s *Set) pathHolds(c Condition) bool {
	if c.Kind == "PathIsSymbolicLink" {
		dir, _, err := s.tree.real(path.Dir(c.Value))
		if err != nil {
			return false
		}
		info, err := s.tree.fsys.Lstat(strings.TrimPrefix(path.Join(dir, path.Base(c.Value)), "/"))
		return err == nil && info.Mode()&fs.ModeSymlink != 0
	}
	if c.Kind == "PathExistsGlob" {
		return s.tree.globExists(c.Value)
	}
	real, info, err := s.tree.real(c.Value)
	if err != nil {
		return false
	}
	switch c.Kind {
	case "PathExists":
		return true
	case "PathIsDirectory":
		return info.IsDir()
	case "PathIsReadWrite":
		return info.Mode()&0o222 != 0
	case "PathIsMountPoint":
		return real == "/"
	case "DirectoryNotEmpty":
		entries, _ := s.tree.list(real)
		return len(entries) > 0
	case "FileNotEmpty":
		return info.Mode().IsRegular() && info.Size() > 0
	case "FileIsExecutable":
		return info.Mode().IsRegular() && info.Mode()&0o111 != 0
	}
	return false // PathIsEncrypted: nothing that a container can see
}

// globExists tells whether anything fits a pattern. It goes down one part at a
// time, over a bounded number of folders.
func (t *tree) globExists(pattern string) bool {
	at := []string{"/"}
	parts := strings.Split(strings.Trim(pattern, "/"), "/")
	for _, part := range parts {
		var next []string
		for _, dir := range at {
			if !strings.ContainsAny(part, `*?[\`) {
				if _, _, err := t.real(path.Join(dir, part)); err == nil {
					next = append(next, path.Join(dir, part))
				}
				continue
			}
			entries, _ := t.list(dir)
			for _, e := range entries {
				hidden := e.Name()[0] == '.' && part[0] != '.'
				if ok, err := path.Match(part, e.Name()); err == nil && ok && !hidden && len(next) < mostDirEntries {
					next = append(next, path.Join(dir, e.Name()))
				}
			}
		}
		at = next
	}
	return len(at) > 0
}

func virtualization(is, want string) bool {
	if is == "" {
		is = "container-other"
	}
	if yes, ok := parseBool(want); ok {
		return yes
	}
	// In a container of ours no virtual machine can be seen, and the user
	// namespace is always there.
	return want == "container" || want == is || want == "private-users"
}

func onCommandLine(cmdline, want string) bool {
	for _, w := range strings.Fields(cmdline) {
		name, _, _ := strings.Cut(w, "=")
		if w == want || !strings.Contains(want, "=") && name == want {
			return true
		}
	}
	return false
}
