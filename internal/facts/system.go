package facts

import (
	"os"
	"strconv"
	"strings"

	"silo/internal/linux"
)

// problem notes why a part is missing.
func (f *Facts) problem(part string, err error) {
	if f.Problems == nil {
		f.Problems = map[string]string{}
	}
	f.Problems[part] = Text(err.Error())
}

// ReadMachine takes in what the kernel says of itself and the machine, as
// proc and sys show it.
func (f *Facts) ReadMachine(proc, sys string) {
	s := &f.System
	h, err := linux.HostInfo()
	if err != nil {
		f.problem("kernel", err)
	}
	s.Kernel, s.Machine = Text(h.Release), Text(h.Machine)
	for line := range strings.Lines(readSome(proc+"/meminfo", 4096)) {
		if kb, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(kb), " kB"), 10, 64)
			s.Memory = n << 10
		}
	}
	for line := range strings.Lines(readSome(proc+"/cpuinfo", maxFile)) {
		key, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(key) {
		case "processor":
			s.Processors++
		case "model name", "Model":
			if s.Model == "" {
				s.Model = Text(strings.TrimSpace(value))
			}
		}
	}
	for line := range strings.Lines(readSome(proc+"/stat", maxFile)) {
		if v, ok := strings.CutPrefix(line, "btime "); ok {
			s.Boot, _ = strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		}
	}
	var firmware []string
	for _, name := range []string{"bios_vendor", "bios_version", "bios_date"} {
		if v := strings.TrimSpace(readSome(sys+"/class/dmi/id/"+name, 256)); v != "" {
			firmware = append(firmware, Text(v))
		}
	}
	s.Firmware = strings.Join(firmware, " ")
}

// ReadHostname takes in the name that the kernel gives the calling thread.
func (f *Facts) ReadHostname() {
	h, err := linux.HostInfo()
	if err != nil {
		f.problem("hostname", err)
		return
	}
	f.System.Hostname = Text(h.Name)
}

// ReadRoot takes in what the files of an image say: the system's name and
// version, accounts, name servers, the time zone. env is the environment of
// the container's programs.
func (f *Facts) ReadRoot(r Root, env []string) {
	get := func(part, path string) string {
		text, err := r.read(path)
		if err != nil {
			f.problem(part, err)
		}
		return text
	}
	s := &f.System
	s.HostnameFile = Text(strings.TrimSpace(get("hostname-file", "/etc/hostname")))
	release := get("os", "/etc/os-release")
	if release == "" {
		release = get("os", "/usr/lib/os-release")
	}
	s.OS, s.Release = osRelease(release)
	s.Language = Text(lookup(env, "LC_ALL", "LC_CTYPE", "LANG"))
	s.TimeZone = f.timeZone(r, env)
	f.Users = accounts(get("users", "/etc/passwd"))
	if len(f.Users) > MaxUsers {
		f.Users, f.Truncated = f.Users[:MaxUsers], true
	}
	for line := range strings.Lines(get("dns", "/etc/resolv.conf")) {
		if w := strings.Fields(line); len(w) > 1 && w[0] == "nameserver" && len(f.Network.Nameservers) < 16 {
			f.Network.Nameservers = append(f.Network.Nameservers, Text(w[1]))
		}
	}
}

// osRelease takes name and version out of an os-release(5).
func osRelease(text string) (name, version string) {
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = Text(strings.Trim(value, `"'`))
		switch key {
		case "NAME":
			name = value
		case "VERSION_ID":
			version = value
		case "VERSION":
			if version == "" {
				version = value
			}
		}
	}
	return name, version
}

// lookup gives the first of some variables that is set.
func lookup(env []string, names ...string) string {
	for _, name := range names {
		for _, e := range env {
			if v, ok := strings.CutPrefix(e, name+"="); ok && v != "" {
				return v
			}
		}
	}
	return ""
}

// timeZone is TZ, or the zone that /etc/localtime leads to or holds; without
// either it is UTC, as the C library decides.
func (f *Facts) timeZone(r Root, env []string) string {
	if tz := lookup(env, "TZ"); tz != "" {
		return Text(strings.TrimPrefix(tz, ":"))
	}
	if to := r.link("/etc/localtime"); to != "" {
		if _, name, ok := strings.Cut(to, "zoneinfo/"); ok {
			return Text(name)
		}
	}
	data, err := r.read("/etc/localtime")
	if err != nil {
		f.problem("timezone", err)
		return ""
	}
	// A tzfile(5) ends with a line of rules, as in CET-1CEST,M3.5.0,M10.5.0/3.
	if lines := strings.Split(strings.TrimSuffix(data, "\n"), "\n"); len(lines) > 1 && strings.HasPrefix(data, "TZif") {
		return Text(lines[len(lines)-1])
	}
	return "UTC"
}

// accounts reads a passwd(5); lines that are none are passed over.
func accounts(text string) (out []User) {
	for line := range strings.Lines(text) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) < 7 || f[0] == "" || f[0][0] == '#' {
			continue
		}
		uid, err1 := strconv.ParseUint(f[2], 10, 32)
		gid, err2 := strconv.ParseUint(f[3], 10, 32)
		if err1 != nil || err2 != nil {
			continue
		}
		out = append(out, User{Name: Text(f[0]), UID: uint32(uid), GID: uint32(gid), Home: Text(f[5]), Shell: Text(f[6])})
		if len(out) > MaxUsers {
			break
		}
	}
	return out
}

// ReadDisk takes in the size of the file system at a path.
func (f *Facts) ReadDisk(path string) {
	d, err := linux.StatFS(path)
	if err != nil {
		f.problem("disk", err)
		return
	}
	f.Disk = Disk{Size: d.Size, Free: d.Free, ReadOnly: d.ReadOnly}
}

// Namespaces of a process are named as the kernel does; proc is its folder.
func Namespaces(proc string) map[string]string {
	out := map[string]string{}
	for _, kind := range []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"} {
		if to, err := os.Readlink(proc + "/ns/" + kind); err == nil {
			out[kind] = Text(to)
		}
	}
	return out
}
