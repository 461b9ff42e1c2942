package engine

import (
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/moby/moby/api/types/container"

	"silo/internal/errs"
	"silo/internal/linux"
)

// defaultCaps are the capabilities of a container, Docker's default set.
var defaultCaps = []string{
	"CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
	"CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

// defaultMasked and defaultReadOnly are the kernel files that Docker hides
// and protects.
var (
	defaultMasked = []string{
		"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
		"/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
	}
	defaultReadOnly = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// capabilities gives the set of a container, sorted.
func capabilities(h *container.HostConfig) ([]string, error) {
	set := map[string]bool{}
	all := func() {
		for _, c := range linux.CapNames() {
			set[c] = true
		}
	}
	if h.Privileged {
		all()
	} else {
		for _, c := range defaultCaps {
			set[c] = true
		}
	}
	for _, name := range h.CapAdd {
		if strings.EqualFold(name, "ALL") {
			all()
		}
	}
	for _, name := range h.CapDrop {
		if strings.EqualFold(name, "ALL") {
			clear(set)
		}
	}
	for _, step := range []struct {
		names []string
		on    bool
	}{{h.CapAdd, true}, {h.CapDrop, false}} {
		for _, name := range step.names {
			if strings.EqualFold(name, "ALL") {
				continue
			}
			if _, ok := linux.CapNumber(name); !ok {
				return nil, errs.Invalidf("invalid capability %q: see capabilities(7) for the names", name)
			}
			set["CAP_"+strings.TrimPrefix(strings.ToUpper(name), "CAP_")] = step.on
		}
	}
	var out []string
	for c, on := range set {
		if on {
			out = append(out, c)
		}
	}
	sort.Strings(out)
	return out, nil
}

// security is what --security-opt says.
type security struct {
	noNewPrivs     bool
	unconfined     bool   // no seccomp
	profile        []byte // nil is the default
	systemUnmasked bool
}

func securityOptions(h *container.HostConfig) (s security, err error) {
	for _, o := range h.SecurityOpt {
		key, value, ok := strings.Cut(o, "=")
		if !ok {
			key, value, _ = strings.Cut(o, ":")
		}
		switch {
		case key == "no-new-privileges" && (value == "" || value == "true"):
			s.noNewPrivs = true
		case key == "no-new-privileges" && value == "false":
			s.noNewPrivs = false
		case key == "seccomp" && value == "unconfined":
			s.unconfined = true
		case key == "seccomp" && value == "builtin":
		case key == "seccomp":
			s.profile = []byte(value)
		case key == "systempaths" && value == "unconfined":
			s.systemUnmasked = true
		case (key == "apparmor" && value == "unconfined") || (key == "label" && value == "disable"):
			// No label is ever set, so this is how it is already.
		default:
			return s, errs.Invalidf("invalid --security-opt %q: known are no-new-privileges, seccomp=unconfined|PROFILE, systempaths=unconfined, apparmor=unconfined, label=disable", o)
		}
	}
	if h.Privileged {
		s.unconfined, s.systemUnmasked = s.profile == nil, true
	}
	return s, nil
}

// inits are programs that insist on being process 1.
var inits = map[string]bool{
	"init": true, "systemd": true, "s6-svscan": true, "s6-overlay-suexec": true, "s6-init": true, "runit": true, "runit-init": true,
	"openrc-init": true, "tini": true, "tini-static": true, "dumb-init": true, "docker-init": true, "catatonit": true, "my_init": true,
}

// initEnv is the environment of a container's command. A system's init is told
// that it runs in a container, unless image or user do: it then leaves alone what
// is the host's to do (https://systemd.io/CONTAINER_INTERFACE).
func initEnv(r *configRecord, args []string) []string {
	env := r.Config.Env
	told := slices.ContainsFunc(env, func(v string) bool { return v == "container" || strings.HasPrefix(v, "container=") })
	if !r.PID || told || len(args) == 0 || !slices.Contains([]string{"init", "systemd"}, path.Base(args[0])) {
		return env
	}
	return append(slices.Clip(env), "container=silo")
}

// wantsPID decides the isolation of a container.
func wantsPID(h *container.HostConfig, args []string) (bool, error) {
	switch mode := string(h.PidMode); {
	case mode == "private":
		return true, nil
	case mode == "host":
		if h.Isolation == "pid" {
			return false, errs.Invalidf("--isolation pid and --pid host exclude each other")
		}
		return false, nil
	case strings.HasPrefix(mode, "container:"):
		return false, errs.New(errs.NotSupported, "--pid %s: PID namespaces are not shared: run the command inside with silo exec", mode)
	case mode != "":
		return false, errs.Invalidf("invalid --pid %q: give private or host", mode)
	}
	switch strings.ToLower(string(h.Isolation)) {
	case "", "default":
		return len(args) > 0 && inits[path.Base(args[0])], nil
	case "process":
		return false, nil
	case "pid":
		return true, nil
	}
	return false, errs.Invalidf("invalid isolation %q: silo supports default, process and pid", h.Isolation)
}

// protection gives the masked and read-only paths of a container.
func protection(h *container.HostConfig, s security) (masked, readOnly []string) {
	if s.systemUnmasked {
		return nil, nil
	}
	masked, readOnly = defaultMasked, defaultReadOnly
	if h.MaskedPaths != nil {
		masked = h.MaskedPaths
	}
	if h.ReadonlyPaths != nil {
		readOnly = h.ReadonlyPaths
	}
	return masked, readOnly
}

// below keeps the paths that lie below dir, or do not.
func below(paths []string, dir string, want bool) (out []string) {
	for _, p := range paths {
		if (p == dir || strings.HasPrefix(p, dir+"/")) == want {
			out = append(out, p)
		}
	}
	return out
}
