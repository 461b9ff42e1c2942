package linux

import (
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SetSeccomp confines the calling thread, and what it forks, by a program of
// struct sock_filter (8 bytes each) with the flags of seccomp(2). The caller
// has locked its thread, and has CAP_SYS_ADMIN in its user namespace or
// no_new_privs set; there is no way back.
func SetSeccomp(program []byte, flags uint32) error {
	if len(program) == 0 || len(program)%8 != 0 || len(program)/8 > unix.BPF_MAXINSNS {
		return os.NewSyscallError("seccomp", unix.EINVAL)
	}
	// A copy in the kernel's own type: its alignment is not that of bytes.
	filter := make([]unix.SockFilter, len(program)/8)
	copy(unsafe.Slice((*byte)(unsafe.Pointer(&filter[0])), len(program)), program)
	fprog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&fprog)))
	runtime.KeepAlive(filter)
	if errno != 0 {
		return os.NewSyscallError("seccomp", errno)
	}
	return nil
}

// SetNoNewPrivs keeps the calling thread and what it executes from ever
// gaining privileges by execve(2).
func SetNoNewPrivs() error {
	return os.NewSyscallError("prctl PR_SET_NO_NEW_PRIVS", unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
}

// HasSeccomp tells whether this kernel has seccomp filters and the actions
// that Silo's own need (KILL_PROCESS, Linux 4.14).
func HasSeccomp() bool {
	action := uint32(unix.SECCOMP_RET_KILL_PROCESS)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errno == 0
}
