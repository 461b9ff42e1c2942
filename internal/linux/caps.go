package linux

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// capNames are the capabilities by number, from <linux/capability.h> of 6.18.
var capNames = [...]string{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
	"LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
	"SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
	"SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
	"MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
	"CHECKPOINT_RESTORE",
}

// CapNumber gives the number of a capability named "CAP_CHOWN" or "chown".
func CapNumber(name string) (int, bool) {
	name = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
	for i, n := range capNames {
		if n == name {
			return i, true
		}
	}
	return 0, false
}

// CapNames lists every capability that Silo knows, as "CAP_…".
func CapNames() []string {
	out := make([]string, len(capNames))
	for i, n := range capNames {
		out[i] = "CAP_" + n
	}
	return out
}

// StepsDropCaps removes every capability from the bounding set but keep. have
// are those in it, nil if that is not known. A process of root executes with
// what is left; any other with none.
func StepsDropCaps(have, keep []string) []Step {
	drop := ^uint64(0)
	if have != nil {
		drop = capMask(have)
	}
	drop &^= capMask(keep)
	var steps []Step
	for n := range 64 {
		if drop&(1<<n) != 0 {
			name := "drop capability"
			if n < len(capNames) {
				name += " " + capNames[n]
			}
			// EINVAL: the kernel knows fewer capabilities.
			steps = append(steps, StepPrctl(name, unix.PR_CAPBSET_DROP, uintptr(n)).IgnoreErrors(syscall.EINVAL))
		}
	}
	return steps
}

func capMask(names []string) (mask uint64) {
	for _, name := range names {
		if n, ok := CapNumber(name); ok {
			mask |= 1 << n
		}
	}
	return mask
}
