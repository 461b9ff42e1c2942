package unit

import "strings"

// provided tells why a unit need not be run since the container itself does
// what it is for; "" for all others. It counts as started for those that
// depend on it.
func provided(n Name) string {
	switch n.Ending {
	case "mount", "automount", "swap":
		return "what is mounted in a container is decided outside"
	case "device":
		return "devices of a container are decided outside"
	case "slice", "scope":
		return "services of a container have one control group"
	}
	// A package that brings systemd into the image brings its own parts too.
	// Those below do for a machine what engine and agent do for a container.
	if strings.HasPrefix(n.Full, "systemd-") && !strings.HasPrefix(n.Full, "systemd-tmpfiles-") && !strings.HasPrefix(n.Full, "systemd-sysusers.") {
		return "a part of systemd: agent and engine do its work in a container"
	}
	switch n.Prefix {
	case "kmod", "kmod-static-nodes", "quotaon", "quotacheck", "udev", "modprobe", "ldconfig", "initrd-cleanup", "initrd-parse-etc", "initrd-switch-root", "initrd-udevadm-cleanup-db":
		return "prepares a machine: a container is prepared outside"
	case "getty", "serial-getty", "console-getty", "container-getty", "getty-static", "autovt":
		if n.Kind() == KindService {
			return "logins on terminals: a container has none; use silo exec -it"
		}
	case "systemd-tmpfiles-setup-dev", "systemd-tmpfiles-setup-dev-early":
		return "devices of a container are made outside"
	case "debug-shell", "emergency", "rescue":
		if n.Kind() == KindService {
			return "a shell on the console: use silo exec -it"
		}
	}
	return ""
}

// The targets of a system's start and end, as synthetic makes them.
const (
	sysinitTarget  = "sysinit.target"
	basicTarget    = "basic.target"
	shutdownTarget = "shutdown.target"
	socketsTarget  = "sockets.target"
	timersTarget   = "timers.target"
)

// targets are those that systemd always has. Each line is a name, a colon, and
// what it Requires (a bare name) or Wants (with a ?); it comes after these.
const targets = `
default.target: multi-user.target
graphical.target: multi-user.target ?display-manager.service
multi-user.target: basic.target
basic.target: sysinit.target ?sockets.target ?timers.target ?paths.target ?slices.target
sysinit.target: ?local-fs.target ?swap.target
rescue.target: sysinit.target
network-online.target: ?network.target
sockets.target: 
timers.target: 
paths.target: 
slices.target: 
local-fs.target: 
local-fs-pre.target: 
remote-fs.target: 
remote-fs-pre.target: 
swap.target: 
network.target: 
network-pre.target: 
nss-lookup.target: 
nss-user-lookup.target: 
rpcbind.target: 
time-sync.target: 
time-set.target: 
getty.target: 
getty-pre.target: 
cryptsetup.target: 
cryptsetup-pre.target: 
integritysetup.target: 
veritysetup.target: 
remote-cryptsetup.target: 
machines.target: 
printer.target: 
sound.target: 
bluetooth.target: 
smartcard.target: 
usb-gadget.target: 
first-boot-complete.target: 
initrd-fs.target: 
umount.target: 
final.target: 
shutdown.target: 
emergency.target: 
exit.target: 
halt.target: 
poweroff.target: 
reboot.target: 
kexec.target: 
sleep.target: 
suspend.target: 
hibernate.target: 
`

// synthetic makes a target without a file, if systemd always has it.
func synthetic(u *Unit) bool {
	for entry := range strings.SplitSeq(targets, "\n") {
		name, deps, ok := strings.Cut(entry, ":")
		if !ok || name != u.Name {
			continue
		}
		u.State, u.Reason = Synthetic, "systemd's own, needs no file"
		// Those of the start and end stand outside the default dependencies.
		u.DefaultDeps = name != shutdownTarget && name != sysinitTarget && name != basicTarget
		for _, dep := range strings.Fields(deps) {
			r := Requires
			if dep[0] == '?' {
				r, dep = Wants, dep[1:]
			}
			u.Deps[r] = append(u.Deps[r], dep)
			u.Deps[After] = append(u.Deps[After], dep)
		}
		return true
	}
	return false
}
