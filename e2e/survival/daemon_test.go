package survival

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"silo/internal/testenv"
)

// patience bounds every wait; on an idle machine all of them are over in
// less than a second.
const patience = 30 * time.Second

// daemon is a silod with roots of its own.
type daemon struct {
	t      *testing.T
	dir    string
	bridge string
	pool   string
	bin    string
	cmd    *exec.Cmd
	ended  chan struct{}
}

var daemons atomic.Int32

// newDaemon prepares a daemon and takes away all of it after the test.
func newDaemon(t *testing.T) *daemon {
	t.Helper()
	testenv.NeedRoot(t)
	testenv.NeedCommand(t, "ip", "iproute2")
	testenv.NeedCommand(t, "nft", "nftables")
	n := daemons.Add(1)
	d := &daemon{t: t, dir: t.TempDir(), bridge: fmt.Sprintf("sv%d", n), pool: fmt.Sprintf("172.%d.%d.0/20", 30, 16*(n%16)), bin: programs}
	t.Cleanup(d.remove)
	return d
}

// startDaemon is newDaemon with silod running.
func startDaemon(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := newDaemon(t)
	d.start(args...)
	return d
}

func (d *daemon) data() string   { return filepath.Join(d.dir, "data") }
func (d *daemon) run() string    { return filepath.Join(d.dir, "run") }
func (d *daemon) socket() string { return filepath.Join(d.run(), "silo.sock") }

// spawn starts silod without waiting for it. Further arguments of the form
// NAME=VALUE go to its environment.
func (d *daemon) spawn(args ...string) {
	d.t.Helper()
	if err := os.MkdirAll(d.run(), 0o755); err != nil {
		d.t.Fatal(err)
	}
	all := []string{"--data-root", d.data(), "--exec-root", d.run(), "-H", "unix://" + d.socket(), "--bridge", d.bridge, "--address-pool", d.pool}
	env := os.Environ()
	standby := "1"
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--standby":
			i++
			standby = args[i]
		case strings.HasPrefix(args[i], "-"):
			all = append(all, args[i])
		default:
			env = append(env, args[i])
		}
	}
	log, err := os.OpenFile(filepath.Join(d.dir, "silod.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	d.cmd = exec.Command(filepath.Join(d.bin, "silod"), append(all, "--standby", standby)...)
	d.cmd.Env, d.cmd.Stderr = env, log
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) { _ = cmd.Wait(); close(ended) }(d.cmd, d.ended)
}

// start starts silod and waits until it answers.
func (d *daemon) start(args ...string) {
	d.t.Helper()
	d.spawn(args...)
	d.until("silod answers", func() bool {
		select {
		case <-d.ended:
			d.t.Fatal("silod ended at its start")
		default:
		}
		_, _, code := d.try("ps", "-q")
		return code == 0
	})
}

// kill ends silod as by kill -9.
func (d *daemon) kill() { d.signal(syscall.SIGKILL) }

// stop ends silod in order.
func (d *daemon) stop() { d.signal(syscall.SIGTERM) }

func (d *daemon) signal(s syscall.Signal) {
	d.t.Helper()
	_ = d.cmd.Process.Signal(s) // an error means that it has ended
	d.awaitEnd()
}

func (d *daemon) awaitEnd() {
	d.t.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		_ = d.cmd.Process.Signal(syscall.SIGABRT) // shows in the log where it hangs
		<-d.ended
		d.t.Fatal("silod does not end")
	}
}

// command prepares a client's command line, killed when its time is over.
func (d *daemon) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	d.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "silo"), args...)
	cmd.Env = append(os.Environ(), "SILO_HOST=unix://"+d.socket())
	cmd.WaitDelay = time.Second
	return cmd
}

// try runs a client.
func (d *daemon) try(args ...string) (stdout, stderr string, code int) {
	d.t.Helper()
	cmd := d.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.t.Fatalf("silo %q: %v", args, err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// silo runs a client that must succeed and returns what it printed.
func (d *daemon) silo(args ...string) string {
	d.t.Helper()
	out, errs, code := d.try(args...)
	if code != 0 {
		d.t.Fatalf("silo %q: exit code %d\n%s%s", args, code, out, errs)
	}
	return strings.TrimSuffix(out, "\n")
}

// status is a container's state in one word and its exit code.
func (d *daemon) status(name string) string {
	d.t.Helper()
	return d.silo("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name)
}

// until waits for a condition.
func (d *daemon) until(what string, ok func() bool) {
	d.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatalf("waited %s in vain until %s", patience, what)
		}
	}
}

// keeperPID asks the keeper's socket who listens on it; 0 is nobody.
func (d *daemon) keeperPID() int {
	d.t.Helper()
	conn, err := net.Dial("unix", filepath.Join(d.run(), "keeper.sock"))
	if err != nil {
		return 0
	}
	defer conn.Close()
	rc, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		d.t.Fatal(err)
	}
	pid := 0
	if err := rc.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = int(cred.Pid)
		}
	}); err != nil {
		d.t.Fatal(err)
	}
	return pid
}

// remove ends everything of the daemon and takes it off the host.
func (d *daemon) remove() {
	if d.t.Failed() {
		for _, name := range []string{filepath.Join(d.dir, "silod.log"), filepath.Join(d.run(), "keeper.log")} {
			data, _ := os.ReadFile(name)
			d.t.Logf("%s:\n%s", filepath.Base(name), data[max(0, len(data)-4000):])
		}
	}
	if d.cmd != nil {
		select {
		case <-d.ended:
			d.spawn("--standby", "0")
			for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if _, _, code := d.try("ps", "-q"); code == 0 {
					break
				}
			}
		default:
		}
		if ids, _, _ := d.try("ps", "-aq"); ids != "" {
			_, _, _ = d.try(append([]string{"rm", "-f", "-v"}, strings.Fields(ids)...)...)
		}
		_ = d.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-d.ended:
		case <-time.After(patience):
			d.t.Error("silod does not end")
			_ = d.cmd.Process.Kill()
			<-d.ended
		}
	}
	if pid := d.keeperPID(); pid > 1 && pid != os.Getpid() {
		d.t.Errorf("silo-keeper %d is left after all containers are removed", pid)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = exec.Command("ip", "link", "delete", d.bridge).Run()
	_ = exec.Command("nft", "delete", "table", "inet", "silo-"+d.bridge).Run()
	for _, dir := range d.cgroupParents() {
		_ = syscall.Rmdir(dir)
	}
}
