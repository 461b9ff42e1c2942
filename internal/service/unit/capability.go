package unit

import (
	"fmt"
	"slices"
	"strings"
)

// capabilityNames are all that the kernel has, by number.
const capabilityNames = `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
 NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE
 SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND
 AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`

// allCapabilities lists CAP_… names by number.
func allCapabilities() []string {
	list := strings.Fields(capabilityNames)
	for i := range list {
		list[i] = "CAP_" + list[i]
	}
	return list
}

// setCapabilities reads a set: names are added, ~ before them takes them away,
// from all if the set was not touched before. An empty value empties it.
func setCapabilities(field func(*Unit) *[]string, fullAtFirst bool) setter {
	return func(d *decoder, value string) error {
		set := field(d.u)
		if value == "" {
			*set = []string{}
			return nil
		}
		names, invert := strings.CutPrefix(value, "~")
		list, err := d.words(names, quoting{})
		if err != nil {
			return err
		}
		all := allCapabilities()
		for i, name := range list {
			list[i] = strings.ToUpper(name)
			if !slices.Contains(all, list[i]) {
				return fmt.Errorf("capability %q is not known", shorten(name))
			}
		}
		untouched := *set == nil
		switch {
		case invert && untouched && fullAtFirst:
			*set = all
		case untouched:
			*set = []string{}
		}
		if invert && len(list) == 0 {
			*set = all // ~ alone: all but none
			return nil
		}
		*set = slices.DeleteFunc(*set, func(c string) bool { return slices.Contains(list, c) })
		if !invert {
			*set = append(*set, list...)
		}
		return nil
	}
}
