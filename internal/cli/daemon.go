package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"silo/client"
)

// daemonWait is how long a daemon that was started may take to answer.
const daemonWait = 10 * time.Second

// startDaemon starts silod for root when none listens at the default place.
func (a *app) startDaemon(cause error) error {
	if os.Geteuid() != 0 || !errors.Is(cause, syscall.ENOENT) && !errors.Is(cause, syscall.ECONNREFUSED) {
		return cause
	}
	program, err := findDaemon()
	if err != nil {
		return fmt.Errorf("%w, and silod is not found beside silo or in PATH", cause)
	}
	return a.launch(program, client.DefaultHost, daemonLogs())
}

// daemonLogs are the files that a daemon's own output may go to, best first.
func daemonLogs() []string { return []string{"/var/log/silod.log", "/run/silod.log"} }

// findDaemon gives the silod beside this program, or that in PATH.
func findDaemon() (string, error) {
	if self, err := os.Executable(); err == nil {
		beside := filepath.Join(filepath.Dir(self), "silod")
		if _, err := os.Stat(beside); err == nil {
			return beside, nil
		}
	}
	return exec.LookPath("silod")
}

// launch starts a daemon in a session of its own and waits until it answers at
// host.
func (a *app) launch(program, host string, logs []string) error {
	log, err := openFirst(logs)
	if err != nil {
		return fmt.Errorf("start %s: %w", program, err)
	}
	defer log.Close()
	from, _ := log.Seek(0, io.SeekEnd)
	cmd := exec.Command(program)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", program, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	deadline := time.After(daemonWait)
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if n, err := net.Dial("unix", strings.TrimPrefix(host, "unix://")); err == nil {
			n.Close()
			fmt.Fprintf(a.err, "silo: started silod (pid %d)\n", cmd.Process.Pid)
			return nil
		}
		select {
		case err := <-ended:
			// Another silo may have started one at the same time.
			if n, derr := net.Dial("unix", strings.TrimPrefix(host, "unix://")); derr == nil {
				n.Close()
				return nil
			}
			return fmt.Errorf("start %s: it ended at once (%v): %s: see %s", program, err, lastLine(log, from), log.Name())
		case <-deadline:
			return fmt.Errorf("start %s: pid %d does not answer at %s after %v: see %s", program, cmd.Process.Pid, host, daemonWait, log.Name())
		case <-time.After(pause):
		}
	}
}

// openFirst opens the first of the files that can be appended to.
func openFirst(paths []string) (f *os.File, err error) {
	for _, p := range paths {
		if f, err = os.OpenFile(p, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640); err == nil {
			return f, nil
		}
	}
	return nil, err
}

// lastLine gives the last line that was written after an offset.
func lastLine(f *os.File, from int64) string {
	data, err := io.ReadAll(io.NewSectionReader(f, from, 64<<10))
	text := strings.TrimSpace(string(data))
	if err != nil || text == "" {
		return "it said nothing"
	}
	return text[strings.LastIndexByte(text, '\n')+1:]
}
