package linux

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// This file builds the steps (see Step) of which children are made.

// StepExec executes the program at path.
func StepExec(path string, argv, envv []string) Step {
	s := NewStep("exec "+path, unix.SYS_EXECVE).str(0, path)
	return s.vector(1, argv).vector(2, envv)
}

// StepExecFD executes an open program.
func StepExecFD(f *FD, argv, envv []string) Step {
	s := NewStep("exec "+f.Name(), unix.SYS_EXECVEAT, uintptr(f.Int())).str(1, "")
	s = s.vector(2, argv).vector(3, envv)
	s.Args[4] = unix.AT_EMPTY_PATH
	return s
}

func (s Step) vector(n int, list []string) Step {
	ptrs := make([]uintptr, len(list)+1)
	for i, v := range list {
		b := append([]byte(v), 0)
		ptrs[i] = uintptr(unsafe.Pointer(&b[0]))
		s.Refs = append(s.Refs, b)
	}
	s.Args[n] = uintptr(unsafe.Pointer(&ptrs[0]))
	s.Refs = append(s.Refs, ptrs)
	return s
}

// StepDup makes descriptor to a copy of from that survives exec.
func StepDup(from, to int) Step {
	if from == to { // dup3 refuses equal numbers
		return NewStep("keep descriptor", unix.SYS_FCNTL, uintptr(from), unix.F_SETFD, 0)
	}
	return NewStep("dup descriptor", unix.SYS_DUP3, uintptr(from), uintptr(to), 0)
}

// StepCloseFrom marks every descriptor from first on as close-on-exec.
func StepCloseFrom(first int) Step {
	return NewStep("close descriptors", unix.SYS_CLOSE_RANGE, uintptr(first), uintptr(^uint32(0)), unix.CLOSE_RANGE_CLOEXEC)
}

// StepSetsid makes the child leader of a new session (of terminals).
func StepSetsid() Step { return NewStep("setsid", unix.SYS_SETSID) }

// StepControllingTTY makes descriptor fd the controlling terminal.
func StepControllingTTY(fd int) Step {
	return NewStep("set controlling terminal", unix.SYS_IOCTL, uintptr(fd), unix.TIOCSCTTY, 0)
}

// StepChdir changes the working directory.
func StepChdir(path string) Step {
	return NewStep("chdir to "+path, unix.SYS_CHDIR).str(0, path)
}

// StepsEnterDir changes the working directory to a path that somebody else gives:
// no link of /proc is followed on the way, as those lead to what this process
// has open, outside of its root too.
func StepsEnterDir(path string) []Step {
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS}
	open := NewStep("chdir to "+path, unix.SYS_OPENAT2, atCWD, 0, uintptr(unsafe.Pointer(how)), unix.SizeofOpenHow).str(1, path)
	open.Refs = append(open.Refs, how)
	return []Step{open, NewStep("chdir to "+path, unix.SYS_FCHDIR, 0).FromPrev(0)}
}

// StepRlimit sets a resource limit of the child itself.
func StepRlimit(name string, resource int, soft, hard uint64) Step {
	lim := &unix.Rlimit{Cur: soft, Max: hard}
	s := NewStep("set ulimit "+name, unix.SYS_PRLIMIT64, 0, uintptr(resource), uintptr(unsafe.Pointer(lim)), 0)
	s.Refs = append(s.Refs, lim)
	return s
}

// UsualTimerSlack is what the kernel gives process 1 (PR_SET_TIMERSLACK in
// prctl(2)).
const UsualTimerSlack = 50 * time.Microsecond

// StepTimerSlack sets how late timers of the child may be.
func StepTimerSlack(d time.Duration) Step {
	return NewStep("set timer slack", unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, uintptr(d.Nanoseconds()))
}

// StepUmask sets the file mode mask.
func StepUmask(mask uint32) Step { return NewStep("umask", unix.SYS_UMASK, uintptr(mask)) }

// StepUnshare leaves namespaces.
func StepUnshare(flags uintptr) Step { return NewStep("unshare", unix.SYS_UNSHARE, flags) }

// StepPrctl calls prctl(2).
func StepPrctl(name string, option int, arg uintptr) Step {
	return NewStep(name, unix.SYS_PRCTL, uintptr(option), arg, 0, 0, 0)
}

// StepNewSessionKeyring gives the child a session keyring of its own, so that
// none of the host's keys can be reached. Kernels without keys are passed by.
func StepNewSessionKeyring() Step {
	return NewStep("new session keyring", unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING, 0).
		IgnoreErrors(syscall.ENOSYS, syscall.EDQUOT, syscall.EPERM)
}

// StepSetID sets all group ids, supplementary groups and user ids.
func StepSetID(uid, gid uint32, groups []uint32) []Step {
	g := NewStep("set groups", unix.SYS_SETGROUPS, uintptr(len(groups)))
	if len(groups) > 0 {
		list := append([]uint32(nil), groups...)
		g.Args[1] = uintptr(unsafe.Pointer(&list[0]))
		g.Refs = append(g.Refs, list)
	}
	return []Step{
		g,
		NewStep("set group id", unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)),
		NewStep("set user id", unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)),
	}
}

// StepSeccomp installs a compiled filter (struct sock_filter records).
func StepSeccomp(filter []byte, flags uint32) Step {
	type fprog struct {
		n uint16
		_ [6]byte
		p uintptr
	}
	p := &fprog{n: uint16(len(filter) / 8), p: uintptr(unsafe.Pointer(&filter[0]))}
	s := NewStep("install seccomp filter", unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(p)))
	s.Refs = append(s.Refs, p, filter)
	return s
}

// StepMount calls mount(2).
func StepMount(source, target, fstype string, flags uintptr, data string) Step {
	s := NewStep("mount "+target, unix.SYS_MOUNT, 0, 0, 0, flags, 0).str(0, source).str(1, target).str(2, fstype)
	if data != "" {
		s = s.str(4, data)
	}
	return s
}

// StepUnmount detaches the mount at target.
func StepUnmount(target string) Step {
	return NewStep("unmount "+target, unix.SYS_UMOUNT2, 0, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW).str(0, target)
}

// StepsMountProc mounts a new proc of the child's own PID namespace at target
// in place of what is mounted there. The kernel demands that an unmasked proc
// is mounted while the new one is made, so the old one goes after that.
func StepsMountProc(target string, scratch int) []Step {
	fsopen := NewStep("open proc", unix.SYS_FSOPEN, 0, unix.FSOPEN_CLOEXEC).str(0, "proc")
	create := NewStep("create proc", unix.SYS_FSCONFIG, uintptr(scratch), unix.FSCONFIG_CMD_CREATE, 0, 0, 0)
	mount := NewStep("mount proc", unix.SYS_FSMOUNT, uintptr(scratch), unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	move := NewStep("attach proc", unix.SYS_MOVE_MOUNT, uintptr(scratch), 0, atCWD, 0, unix.MOVE_MOUNT_F_EMPTY_PATH).str(1, "").str(3, target)
	return []Step{
		fsopen, NewStep("dup", unix.SYS_DUP3, 0, uintptr(scratch), unix.O_CLOEXEC).FromPrev(0),
		create, mount, NewStep("dup", unix.SYS_DUP3, 0, uintptr(scratch), unix.O_CLOEXEC).FromPrev(0),
		StepUnmount(target), move, NewStep("close", unix.SYS_CLOSE, uintptr(scratch)),
	}
}

// StepsWriteFile writes data to an existing file, for /proc/self files.
func StepsWriteFile(path, data string) []Step {
	b := []byte(data)
	open := NewStep("open "+path, unix.SYS_OPENAT, atCWD, 0, unix.O_WRONLY|unix.O_CLOEXEC).str(1, path)
	write := NewStep("write "+path, unix.SYS_WRITE, 0, 0, uintptr(len(b))).bytes(1, b).FromPrev(0)
	return []Step{open, write}
}

// atCWD is AT_FDCWD as a system call argument.
const atCWD = ^uintptr(99)

// StepBind binds the object at source over target.
func StepBind(source, target string) Step {
	return StepMount(source, target, "", unix.MS_BIND|unix.MS_REC, "")
}

// StepRemountReadOnly makes the mount at target read-only; what a less
// privileged mount namespace must keep (nosuid, nodev, noexec) is kept.
func StepRemountReadOnly(target string) Step {
	return StepMount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
}

// StepMountTmpfsReadOnly covers the folder at target with an empty one.
func StepMountTmpfsReadOnly(target string) Step {
	return StepMount("tmpfs", target, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=4k,mode=555")
}

// CloneNewPID makes the child process 1 of a new PID namespace.
const CloneNewPID = unix.CLONE_NEWPID

// StepNoNewPrivs keeps exec from ever granting rights again.
func StepNoNewPrivs() Step {
	return NewStep("no_new_privs", unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}

// StepsForeground puts the child into a process group of its own and makes
// that the foreground group of the terminal on descriptor 0.
func StepsForeground() []Step {
	zero := new(int32)
	take := NewStep("take the terminal", unix.SYS_IOCTL, 0, unix.TIOCSPGRP, uintptr(unsafe.Pointer(zero)))
	take.Refs = append(take.Refs, zero)
	return []Step{NewStep("setpgid", unix.SYS_SETPGID, 0, 0), take.IgnoreErrors(syscall.ENOTTY, syscall.EPERM, syscall.ESRCH)}
}
