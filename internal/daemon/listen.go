package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"silo/internal/errs"
)

// firstFD is where systemd puts the sockets it hands over, sd_listen_fds(3).
const firstFD = 3

// Listen opens the listener that a -H flag names: unix:///path, made with
// mode 0660 for root and the group silo, or fd://, fd://3, fd://NAME, a socket
// that systemd hands over.
func Listen(host string) (net.Listener, error) {
	scheme, rest, ok := strings.Cut(host, "://")
	switch {
	case ok && scheme == "unix":
		return listenUnix(rest)
	case ok && scheme == "fd":
		return listenFD(rest)
	}
	return nil, errs.Invalidf("listen on %s: give unix:///path or fd:// (a network socket would let anyone be root)", host)
}

func listenUnix(path string) (net.Listener, error) {
	if !filepath.IsAbs(path) {
		return nil, errs.Invalidf("listen on unix://%s: give an absolute path", path)
	}
	if err := clearStale(path); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	// Until here whoever may write it could connect; such a peer is asked for
	// its user with each request anyway, see access.go.
	if err = os.Chmod(path, 0o600); err == nil {
		if gid := groupID(); gid >= 0 && os.Geteuid() == 0 {
			err = os.Chown(path, 0, gid)
		}
	}
	if err == nil {
		err = os.Chmod(path, 0o660)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	return l, nil
}

// clearStale removes the socket of a daemon that has gone.
func clearStale(path string) error {
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if fi.Mode()&fs.ModeSocket == 0 {
		return errs.Conflictf("listen on %s: there is a file that is not a socket: move it away, or choose another path with -H", path)
	}
	c, err := net.DialTimeout("unix", path, 2*time.Second)
	if err == nil {
		c.Close()
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return errs.Conflictf("listen on %s: another daemon answers there: stop it, or choose another path with -H", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	return nil
}

func listenFD(which string) (net.Listener, error) {
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if pid, _ := strconv.Atoi(os.Getenv("LISTEN_PID")); pid != os.Getpid() || n < 1 {
		return nil, errs.Invalidf("listen on fd://%s: no socket was handed over: start it as a systemd socket unit, or use -H unix:///path", which)
	}
	fd, err := pickFD(which, n, strings.Split(os.Getenv("LISTEN_FDNAMES"), ":"))
	if err != nil {
		return nil, err
	}
	return fileListener(fd)
}

// pickFD finds a socket by its number or name among the n handed over.
func pickFD(which string, n int, names []string) (int, error) {
	if which == "" {
		if n > 1 {
			return 0, errs.Invalidf("listen on fd://: %d sockets were handed over: say which, from fd://%d on", n, firstFD)
		}
		return firstFD, nil
	}
	if fd, err := strconv.Atoi(which); err == nil && fd >= firstFD && fd < firstFD+n {
		return fd, nil
	}
	for i, name := range names {
		if name == which && i < n {
			return firstFD + i, nil
		}
	}
	return 0, errs.Invalidf("listen on fd://%s: no such socket among the %d handed over", which, n)
}

func fileListener(fd int) (net.Listener, error) {
	f := os.NewFile(uintptr(fd), "fd://"+strconv.Itoa(fd))
	defer f.Close() // FileListener works on a copy, which is close-on-exec
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("listen on fd://%d: %w", fd, err)
	}
	if _, ok := l.(*net.UnixListener); !ok {
		l.Close()
		return nil, errs.Invalidf("listen on fd://%d: it is not a unix socket", fd)
	}
	return l, nil
}
