package procfs

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// OSRelease reads os-release, which says what system the files are of.
func (r Root) OSRelease() map[string]string {
	data, err := r.Read("/etc/os-release")
	if err != nil {
		data, _ = r.Read("/usr/lib/os-release") // none: no values
	}
	return assignments(data)
}

// assignments reads lines of NAME=VALUE, with quotes around a value or not.
func assignments(data []byte) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || name == "" || name[0] == '#' {
			continue
		}
		if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
			value = value[1 : n-1]
		}
		values[name] = value
	}
	return values
}

// Locale is the language that programs use: of the environment, else of the
// system's configuration; "" if neither says.
func (r Root) Locale(getenv func(string) string) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := getenv(name); v != "" {
			return v
		}
	}
	for _, path := range []string{"/etc/locale.conf", "/etc/default/locale"} {
		if data, err := r.Read(path); err == nil {
			if v := assignments(data)["LANG"]; v != "" {
				return v
			}
		}
	}
	return ""
}

// Zone is the name of the time zone: of the environment, else of the system.
func (r Root) Zone(getenv func(string) string) string {
	if v := getenv("TZ"); v != "" {
		return strings.TrimPrefix(v, ":")
	}
	if target, err := os.Readlink(string(r) + "/etc/localtime"); err == nil {
		if _, name, ok := strings.Cut(target, "zoneinfo/"); ok {
			return name
		}
	}
	return r.Line("/etc/timezone")
}

// Firmware is what the host's kernel knows of the machine below it; parts that
// it does not tell are "".
type Firmware struct {
	Vendor, Version, Date, Maker, Model string
}

// Firmware reads the DMI table, or the model of a device tree.
func (r Root) Firmware() Firmware {
	dmi := func(name string) string { return r.Line("/sys/class/dmi/id/" + name) }
	f := Firmware{dmi("bios_vendor"), dmi("bios_version"), dmi("bios_date"), dmi("sys_vendor"), dmi("product_name")}
	if f.Model == "" {
		f.Model = strings.Trim(r.Line("/proc/device-tree/model"), "\x00")
	}
	return f
}

// Processor is one kind of processor and how many there are.
type Processor struct {
	Model string
	Count int
}

// Processors counts the processors by model.
func (r Root) Processors() []Processor {
	data, err := r.Read("/proc/cpuinfo")
	if err != nil {
		return nil
	}
	var all []Processor
	count, model := 0, ""
	flush := func() {
		if count > 0 {
			all = append(all, Processor{model, count})
		}
		count, model = 0, ""
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "processor":
			count++
		case "model name", "Processor":
			if model != "" && model != value {
				count--
				flush()
				count = 1
			}
			model = value
		}
	}
	flush()
	return all
}

// Memory is the host's memory in bytes, -1 for what is not told.
type Memory struct {
	Total, Available, SwapTotal, SwapFree int64
}

// Memory reads /proc/meminfo.
func (r Root) Memory() Memory {
	data, _ := r.Read("/proc/meminfo") // none: nothing is told
	values := map[string]int64{}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 {
			if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				values[strings.TrimSuffix(f[0], ":")] = n << 10
			}
		}
	}
	get := func(name string) int64 {
		if v, ok := values[name]; ok {
			return v
		}
		return -1
	}
	return Memory{get("MemTotal"), get("MemAvailable"), get("SwapTotal"), get("SwapFree")}
}

// Limits are those of the container, as its control group shows them: -1 for
// none.
type Limits struct {
	Memory, Swap int64   // bytes
	CPUs         float64 // processors' worth of time
	Processes    int64
	CPUSet       string // the processors it may use, "" for all
}

// noLimit is from where on version 1 means that there is none.
const noLimit = 1 << 60

// Limits reads control groups of version 2 or 1.
func (r Root) Limits() Limits {
	file := func(names ...string) string {
		for _, n := range names {
			if v := r.Line("/sys/fs/cgroup/" + n); v != "" {
				return v
			}
		}
		return ""
	}
	number := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || n >= noLimit {
			return -1
		}
		return n
	}
	l := Limits{
		Memory:    number(file("memory.max", "memory/memory.limit_in_bytes")),
		Swap:      number(file("memory.swap.max", "memory/memory.memsw.limit_in_bytes")),
		Processes: number(file("pids.max", "pids/pids.max")),
		CPUSet:    file("cpuset.cpus", "cpuset/cpuset.cpus"),
		CPUs:      -1,
	}
	var quota, period int64
	if f := strings.Fields(file("cpu.max")); len(f) == 2 {
		quota, period = number(f[0]), number(f[1])
	} else {
		quota = number(file("cpu/cpu.cfs_quota_us", "cpu,cpuacct/cpu.cfs_quota_us"))
		period = number(file("cpu/cpu.cfs_period_us", "cpu,cpuacct/cpu.cfs_period_us"))
	}
	if quota > 0 && period > 0 {
		l.CPUs = float64(quota) / float64(period)
	}
	return l
}

// Kernel is what the running kernel says of itself.
type Kernel struct {
	Name, Release, Version, Machine string
}

// ReadKernel asks the kernel.
func ReadKernel() Kernel {
	var u syscall.Utsname
	if syscall.Uname(&u) != nil {
		return Kernel{}
	}
	return Kernel{chars(u.Sysname[:]), chars(u.Release[:]), chars(u.Version[:]), chars(u.Machine[:])}
}

// chars reads text that ends with a NUL; its element type differs by
// architecture.
func chars[T int8 | uint8](c []T) string {
	var b strings.Builder
	for _, v := range c {
		if v == 0 {
			break
		}
		b.WriteByte(byte(v))
	}
	return b.String()
}

// Capabilities are the names of a process's effective capabilities.
func (r Root) Capabilities() []string {
	data, err := r.Read("/proc/self/status")
	if err != nil {
		return nil
	}
	names := []string{}
	for line := range strings.Lines(string(data)) {
		v, ok := strings.CutPrefix(line, "CapEff:")
		if !ok {
			continue
		}
		mask, err := strconv.ParseUint(strings.TrimSpace(v), 16, 64)
		if err != nil {
			return nil
		}
		for i := range 64 {
			switch {
			case mask>>i&1 == 0:
			case i < len(capabilities):
				names = append(names, capabilities[i])
			default:
				names = append(names, "cap_"+strconv.Itoa(i))
			}
		}
	}
	return names
}

// capabilities by their number.
var capabilities = []string{
	"chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap", "linux_immutable",
	"net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner", "sys_module", "sys_rawio", "sys_chroot",
	"sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice", "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease",
	"audit_write", "audit_control", "setfcap", "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read",
	"perfmon", "bpf", "checkpoint_restore",
}

// Resolver is what /etc/resolv.conf says.
type Resolver struct {
	Servers, Search []string
}

// Resolver reads /etc/resolv.conf.
func (r Root) Resolver() Resolver {
	var c Resolver
	data, _ := r.Read("/etc/resolv.conf") // none: no servers
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			c.Servers = append(c.Servers, f[1])
		case "search", "domain":
			c.Search = f[1:]
		}
	}
	return c
}
