package property

import (
	"fmt"
	"strconv"
	"strings"

	"silo/api"
	"silo/internal/facts"
)

// mainInside is the container's command as it sees it.
func (v *view) mainInside() *facts.Process {
	for _, m := range v.matched {
		if m.out != nil && m.out.PID == v.out.Main {
			return m.in
		}
	}
	return nil
}

func (v *view) mainOutside() *facts.Process {
	for i := range v.out.Processes {
		if p := &v.out.Processes[i]; p.PID == v.out.Main {
			return p
		}
	}
	return nil
}

// ofMain is an entry about the process of the container's command.
func ofMain(e entry, get func(*facts.Process) string) entry {
	e.in = func(v *view) value {
		if p := v.mainInside(); p != nil {
			return say("%s", get(p))
		}
		return unknown("its command is not to be seen")
	}
	e.out = func(v *view) value {
		if p := v.mainOutside(); p != nil {
			return say("%s", get(p))
		}
		return unknown("the container is not running")
	}
	return e
}

func commandText(args []string, terminal bool) string {
	text := strings.Join(args, " ")
	if terminal {
		text += " (on a terminal)"
	}
	return text
}

var processTable = []entry{
	ofMain(entry{
		name: "command", group: "processes", title: "Command", belongs: ofBoth, want: api.Same, seed: []string{"S1"},
		inside: "/proc/PID/cmdline", outside: "the host's /proc/PID/cmdline",
		record: func(o *Outside) string { return commandText(o.Args, o.Terminal) },
	}, func(p *facts.Process) string { return commandText(p.Args, p.Terminal) }),
	ofMain(entry{
		name: "number", group: "processes", title: "Number of its process", belongs: ofBoth, want: api.Same, wantPID: api.Differs, seed: []string{"S21"},
		inside: "/proc", outside: "the host's /proc", note: func(v *view) string {
			if v.out.PIDs {
				return "isolation pid: it numbers its processes by itself"
			}
			return ""
		},
	}, func(p *facts.Process) string { return strconv.Itoa(p.PID) }),
	ofMain(entry{
		name: "executable", group: "processes", title: "Its executable", belongs: ofBoth, want: api.Same, seed: []string{"S22"},
		inside: "/proc/PID/exe", outside: "the host's /proc/PID/exe",
	}, func(p *facts.Process) string { return p.Executable }),
	{
		name: "processes", group: "processes", title: "Processes", belongs: ofContainer, want: api.Same, seed: []string{"S9", "S10", "S21"},
		inside: "/proc", outside: "its control group and the host's /proc", in: countInside, out: countOutside,
		unsure: func(v *view) string {
			if v.unlike() == 0 {
				return "some began or ended while the two sides were read"
			}
			return ""
		},
		note: func(v *view) string {
			if n := v.unlike(); n > 0 && v.in != nil {
				return fmt.Sprintf("not the same from both sides: %d of them", n)
			}
			return ""
		},
	},
	ofMain(entry{
		name: "session", group: "processes", title: "Session", belongs: ofBoth, want: api.Same, seed: []string{"S9", "S23"},
		inside: "/proc/PID/sessionid", outside: "the host's /proc/PID/sessionid",
	}, func(p *facts.Process) string {
		if p.Session == 0 {
			return ""
		}
		return strconv.FormatUint(uint64(p.Session), 10)
	}),
	{
		name: "session-zero", group: "processes", title: "Processes of other sessions", belongs: ofBoth, want: api.Differs, seed: []string{"S9", "S24"},
		inside: "/proc/PID/sessionid", outside: "the host's /proc, session 0",
		in: func(v *view) value {
			n := 0
			for _, p := range v.in.Processes {
				if p.Session != v.out.Session {
					n++
				}
			}
			return say("%d", n)
		},
		out: func(v *view) value { return say("%d", v.out.HostSession) },
	},
	{
		name: "usage", group: "processes", title: "Uses", belongs: ofHost, want: api.NotSupported, seed: []string{"S20"},
		outside: "its control group", out: func(v *view) value {
			if !v.out.Live() {
				return unknown("the container is not running")
			}
			return say("%d ms of processor time, %d bytes, group %s", v.out.CPU, v.out.Memory, v.out.Cgroup)
		},
	},
}

func countInside(v *view) value {
	n := 0
	for _, m := range v.matched {
		if m.in != nil {
			n++
		}
	}
	return say("%d", n)
}

func countOutside(v *view) value {
	if !v.out.Live() {
		return unknown("the container is not running")
	}
	n := 0
	for _, m := range v.matched {
		if m.out != nil {
			n++
		}
	}
	return say("%d", n)
}

var userTable = []entry{
	{
		name: "user", group: "users", title: "User of the command", belongs: ofContainer, want: api.Differs, seed: []string{"S14", "S25"},
		inside: "/proc/PID/status and /etc/passwd", outside: "the host's /proc/PID/status and accounts",
		record: func(o *Outside) string { return o.User },
		in: func(v *view) value {
			p := v.mainInside()
			if p == nil {
				return unknown("its command is not to be seen")
			}
			if name := nameOf(v.in.Users, p.UID); name != "" {
				return say("%s (%d)", name, p.UID)
			}
			return say("%d", p.UID)
		},
		out: func(v *view) value {
			p := v.mainOutside()
			if p == nil {
				return unknown("the container is not running")
			}
			if name := v.out.Account(p.UID); name != "" {
				return say("%s (%d)", name, p.UID)
			}
			return say("%d", p.UID)
		},
	},
	field(entry{
		name: "accounts", group: "users", title: "Accounts", belongs: ofContainer, want: api.Same, seed: []string{"S13"},
		inside: "/etc/passwd", outside: "the same file in its root folder",
	}, "users", func(f *facts.Facts) string {
		var names []string
		for _, u := range f.Users {
			names = append(names, u.Name)
		}
		return strings.Join(names, " ")
	}),
	{
		name: "ids", group: "users", title: "User ids", belongs: ofContainer, want: api.Same, seed: []string{"S25"},
		inside: "/proc/self/uid_map", outside: "its record",
		in:  func(v *view) value { return say("%s", v.in.Limits.UserIDs) },
		out: func(v *view) value { return say("0 %d %d", v.out.FirstID, v.out.IDs) },
	},
}

func nameOf(list []facts.User, uid uint32) string {
	for _, u := range list {
		if u.UID == uid {
			return u.Name
		}
	}
	return ""
}

var diskTable = []entry{
	{
		name: "layers", group: "disk", title: "Layers", belongs: ofHost, want: api.NotSupported, seed: []string{"S26"},
		outside: "layerchain.json of its folder and of its image's layers", out: func(v *view) value {
			if len(v.out.Chain) == 0 {
				return unknown("layerchain.json could not be read")
			}
			return say("%d, nearest %s", len(v.out.Chain), v.out.Chain[0].Path)
		},
	},
	{
		name: "disk", group: "disk", title: "Sandbox disk", belongs: ofHost, want: api.NotSupported, seed: []string{"S27", "S29"},
		outside: "its folder and the loop devices", out: func(v *view) value {
			d := v.out.Disk
			if d.Path == "" {
				return unknown("its disk could not be read")
			}
			device := "not attached"
			if d.Device != "" {
				device = "attached as " + d.Device
			}
			return say("%s %d bytes, takes %d, %s", d.Path, d.Size, d.Allocated, device)
		},
		note: func(v *view) string {
			if v.out.Removed {
				return "goes when the container ends (--rm)"
			}
			return "goes when the container is removed"
		},
	},
	field(entry{
		name: "size", group: "disk", title: "Size of the system drive", belongs: ofBoth, want: api.Same, seed: []string{"S28"},
		inside: "statfs(2) of /", outside: "statfs(2) of its root folder",
		record: func(o *Outside) string {
			if o.Disk.Size == 0 {
				return ""
			}
			return bytesText(o.Disk.Size) + " of disk"
		},
		note: func(v *view) string {
			if v.out.Live() && v.out.Disk.Size > 0 {
				return fmt.Sprintf("%.1f%% of the disk; the rest is what ext4 needs", float64(v.out.Facts.Disk.Size)*100/float64(v.out.Disk.Size))
			}
			return ""
		},
	}, "disk", func(f *facts.Facts) string { return bytesText(f.Disk.Size) }),
}

// limit is an entry about a limit: what a program inside sees, and what the
// kernel holds it to; set is what was asked for.
func limit(name, title string, text func(facts.Limits) string, set func(*Outside) string) entry {
	return entry{
		name: name, group: "limits", title: title, belongs: ofContainer, want: api.Same,
		inside: "its own control group below /sys/fs/cgroup", outside: "its control group on the host",
		in: func(v *view) value { return say("%s", text(v.in.Limits)) },
		out: func(v *view) value {
			if !v.out.Live() {
				return unknown("the container is not running")
			}
			return say("%s", text(v.out.Limits))
		},
		note: func(v *view) string { return "set: " + set(v.out) },
	}
}

func orNone(n int64, unit string) string {
	if n == 0 {
		return "none"
	}
	return strconv.FormatInt(n, 10) + unit
}

func cpuText(n float64) string {
	if n == 0 {
		return "none"
	}
	return strconv.FormatFloat(n, 'f', -1, 64)
}

var limitTable = []entry{
	limit("memory-limit", "Memory", func(l facts.Limits) string { return orNone(l.Memory, " bytes") }, func(o *Outside) string { return orNone(o.SetMemory, " bytes") }),
	limit("cpu-limit", "Processor time", func(l facts.Limits) string { return cpuText(l.CPUs) }, func(o *Outside) string { return cpuText(o.SetCPUs) }),
	limit("cpuset", "Processors", func(l facts.Limits) string { return l.CPUSet }, func(o *Outside) string {
		if o.Limits.CPUSet == "" {
			return "none"
		}
		return o.Limits.CPUSet
	}),
	limit("process-limit", "Processes", func(l facts.Limits) string { return orNone(l.Processes, "") }, func(o *Outside) string {
		if o.SetPids == 0 {
			return "none"
		}
		return fmt.Sprintf("%d, and %d for the agent", o.SetPids, o.AgentTasks)
	}),
}

var securityTable = []entry{
	ofMain(entry{
		name: "capabilities", group: "security", title: "Capabilities (bounding set)", belongs: ofContainer, want: api.Same,
		inside: "CapBnd in /proc/PID/status", outside: "CapBnd in the host's /proc/PID/status",
	}, func(p *facts.Process) string { return p.CapBounding }),
	ofMain(entry{
		name: "seccomp", group: "security", title: "System call filter", belongs: ofContainer, want: api.Same,
		inside: "Seccomp in /proc/PID/status", outside: "Seccomp in the host's /proc/PID/status",
	}, func(p *facts.Process) string {
		return map[string]string{"0": "none", "1": "strict", "2": "filter"}[p.Seccomp]
	}),
	ofMain(entry{
		name: "no-new-privileges", group: "security", title: "No new privileges", belongs: ofContainer, want: api.Same,
		inside: "NoNewPrivs in /proc/PID/status", outside: "NoNewPrivs in the host's /proc/PID/status",
	}, func(p *facts.Process) string { return map[string]string{"0": "no", "1": "yes"}[p.NoNewPrivs] }),
	{
		name: "namespaces", group: "security", title: "Namespaces", belongs: ofContainer, want: api.Same,
		inside: "/proc/self/ns", outside: "/proc/PID/ns of its command",
		in: func(v *view) value { return say("%s", spaces(v.in.Limits.Namespaces)) },
		out: func(v *view) value {
			if len(v.out.Limits.Namespaces) == 0 {
				return unknown("the container is not running")
			}
			return say("%s", spaces(v.out.Limits.Namespaces))
		},
	},
}

func spaces(m map[string]string) string {
	var out []string
	for _, kind := range []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"} {
		if s := m[kind]; s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, " ")
}
