package linux

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// threadNetNS is the network namespace of the calling thread; /proc/self
// would be that of the process's first thread.
const threadNetNS = "/proc/thread-self/ns/net"

// CurrentNetNS opens the network namespace of the calling thread.
func CurrentNetNS() (*FD, error) { return Open(threadNetNS, unix.O_RDONLY, 0) }

// NewNetNS makes an empty network namespace owned by the caller's user
// namespace. It lives as long as the FD, or a process or link in it.
func NewNetNS() (ns *FD, err error) {
	err = onThread(func() error {
		if err := os.NewSyscallError("unshare", unix.Unshare(unix.CLONE_NEWNET)); err != nil {
			return err
		}
		ns, err = Open(threadNetNS, unix.O_RDONLY, 0)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("new network namespace: %w", err)
	}
	return ns, nil
}

// InNetNS runs fn with its thread in network namespace ns; a nil ns means
// where the process is. Sockets that fn opens stay in ns, processes that it
// starts run there, /proc/sys/net shows it. fn must not hand work to other
// goroutines.
func InNetNS(ns *FD, fn func() error) error {
	if ns == nil {
		return fn()
	}
	return onThread(func() error {
		if err := unix.Setns(ns.Int(), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter %s: %w", ns.Name(), os.NewSyscallError("setns", err))
		}
		return fn()
	})
}

// onThread runs fn on a thread of its own, and gives the thread back in the
// network namespace that it had. If that cannot be done the thread dies with
// its goroutine, so that no other work ever runs on it.
func onThread(fn func() error) error {
	var err error
	OwnThread(func() {
		var old *FD
		if old, err = CurrentNetNS(); err != nil {
			runtime.UnlockOSThread()
			return
		}
		defer old.Close()
		err = fn()
		if back := unix.Setns(old.Int(), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
	})
	return err
}

// ReadSysctl reads a network setting, such as "net/ipv4/ip_forward", of the
// calling thread's network namespace.
func ReadSysctl(key string) (string, error) {
	data, err := os.ReadFile(filepath.Join("/proc/sys", key))
	return strings.TrimSpace(string(data)), err
}

// WriteSysctl sets what ReadSysctl reads. It writes only what differs, so that
// it also works where /proc/sys is read-only and the value is right already.
func WriteSysctl(key, value string) error {
	if now, err := ReadSysctl(key); err == nil && strings.Join(strings.Fields(now), " ") == value {
		return nil
	}
	f, err := os.OpenFile(filepath.Join("/proc/sys", key), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}
