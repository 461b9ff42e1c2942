package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// daemon is a running silod with roots, switch and addresses of its own.
type daemon struct {
	t      *testing.T
	root   string // holds data/, run/ and the log
	host   string
	bridge string
	pool   string
	flags  []string
	wrap   []string // a command to start silod by
	cmd    *exec.Cmd
	ports  map[string]bool // links that the switch has had
}

// count tells the daemons of one test binary apart.
var count atomic.Int32

// newDaemon starts a daemon, with further flags, and waits until it answers.
func newDaemon(standby int, flags ...string) (*daemon, error) {
	d, err := describeDaemon(standby, flags...)
	if err == nil {
		err = d.start()
	}
	if err != nil {
		return nil, errors.Join(err, d.end())
	}
	return d, nil
}

// describeDaemon is a daemon that has not been started.
func describeDaemon(standby int, flags ...string) (*daemon, error) {
	root, err := os.MkdirTemp("", "silo-e2e-daemon")
	if err != nil {
		return &daemon{}, err
	}
	n := int(count.Add(1))
	d := &daemon{root: root, bridge: fmt.Sprintf("se%x%d", os.Getpid()&0xffff, n), ports: map[string]bool{}}
	d.host = "unix://" + filepath.Join(root, "run/silo.sock")
	if d.pool, err = freePool(n); err == nil {
		d.flags = append([]string{
			"--data-root", filepath.Join(root, "data"), "--exec-root", filepath.Join(root, "run"), "-H", d.host, "--bridge", d.bridge,
			"--address-pool", d.pool, "--standby", strconv.Itoa(standby), "--log-level", "debug", "--config", filepath.Join(root, "silod.json"),
		}, flags...)
		err = os.WriteFile(filepath.Join(root, "silod.json"), []byte("{}"), 0o600)
	}
	return d, err
}

// freePool gives a /16 out of 172.16.0.0/12 that no address of the host is in.
func freePool(n int) (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for i := range 16 {
		_, pool, err := net.ParseCIDR(fmt.Sprintf("172.%d.0.0/16", 16+(os.Getpid()+n+i)%16))
		if err != nil {
			return "", err
		}
		free := true
		for _, a := range addrs {
			if ip, ok := a.(*net.IPNet); ok && (pool.Contains(ip.IP) || ip.Contains(pool.IP)) {
				free = false
			}
		}
		if free {
			return pool.String(), nil
		}
	}
	return "", errors.New("no /16 of 172.16.0.0/12 is free on this host")
}

// start runs silod and waits until it is ready.
func (d *daemon) start() error {
	log, err := os.OpenFile(filepath.Join(d.root, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append(append(d.wrap[:len(d.wrap):len(d.wrap)], filepath.Join(bins, "silod")), d.flags...)
	d.cmd = exec.Command(find(args[0]), args[1:]...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := d.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		if c, err := net.Dial("unix", strings.TrimPrefix(d.host, "unix://")); err == nil {
			return c.Close()
		}
		if ended(d.cmd.Process.Pid) || time.Now().After(deadline) {
			return fmt.Errorf("silod did not get ready:\n%s", d.log())
		}
	}
}

// ended tells whether a child has ended that nobody has waited for yet.
func ended(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || bytes.Contains(stat, []byte(") Z "))
}

// stop ends silod with a signal and waits for it.
func (d *daemon) stop(sig syscall.Signal) error {
	if d.cmd == nil || d.cmd.Process == nil {
		return nil
	}
	if err := d.cmd.Process.Signal(sig); err != nil {
		return err
	}
	stuck := time.AfterFunc(limit, func() { d.cmd.Process.Kill() })
	err := d.cmd.Wait()
	if !stuck.Stop() {
		return fmt.Errorf("silod did not stop:\n%s", d.log())
	}
	d.cmd = nil
	if sig == syscall.SIGKILL {
		return nil
	}
	return err
}

func (d *daemon) log() string {
	data, _ := os.ReadFile(filepath.Join(d.root, "log")) // nothing is as good as no log
	if len(data) > 6000 {
		data = data[len(data)-6000:]
	}
	return string(data)
}

// end removes what tests left, stops the daemon and tells what is still on
// the host of all it made.
func (d *daemon) end() error {
	var errs []error
	if d.cmd != nil {
		errs = append(errs, d.removeAll())
		for link := range d.links() {
			d.ports[link] = true
		}
		errs = append(errs, d.stop(syscall.SIGTERM))
	}
	var left []string
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if left = d.left(); len(left) == 0 || time.Now().After(deadline) {
			break
		}
	}
	if len(left) > 0 {
		errs = append(errs, fmt.Errorf("left on the host:\n  %s\nlog:\n%s", strings.Join(left, "\n  "), d.log()))
	}
	errs = append(errs, d.clean())
	return errors.Join(errs...)
}

// removeAll removes all containers; tests should have done so.
func (d *daemon) removeAll() error {
	c, cancel := d.command("ps", "-aq")
	defer cancel()
	out, err := c.Output()
	ids := strings.Fields(string(out))
	if err != nil || len(ids) == 0 {
		return err
	}
	rm, cancelRm := d.command(append([]string{"rm", "-f", "-v"}, ids...)...)
	defer cancelRm()
	if text, err := rm.CombinedOutput(); err != nil {
		return fmt.Errorf("remove containers: %w: %s", err, text)
	}
	return nil
}

// links gives the host's ends that are plugged into the switch.
func (d *daemon) links() map[string]bool {
	m := map[string]bool{}
	entries, _ := os.ReadDir("/sys/class/net/" + d.bridge + "/brif") // no switch, no links
	for _, e := range entries {
		m[e.Name()] = true
	}
	return m
}

// left names what a stopped daemon must not leave. The switch and its table
// may stay for the next start.
func (d *daemon) left() (left []string) {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for l := range strings.Lines(string(mounts)) {
		if strings.Contains(l, d.root) {
			left = append(left, "mount "+strings.TrimSpace(l))
		}
	}
	loops, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, path := range loops {
		if back, err := os.ReadFile(path); err == nil && bytes.Contains(back, []byte(d.root)) {
			left = append(left, "loop "+path+" of "+strings.TrimSpace(string(back)))
		}
	}
	for link := range d.links() {
		d.ports[link] = true
	}
	for link := range d.ports {
		if _, err := os.Stat("/sys/class/net/" + link); err == nil {
			left = append(left, "link "+link)
		}
	}
	for _, pattern := range []string{"/sys/fs/cgroup/silo-", "/sys/fs/cgroup/*/silo-"} {
		groups, _ := filepath.Glob(pattern + d.bridge)
		for _, g := range groups {
			left = append(left, "cgroup "+g)
		}
	}
	if folders, _ := os.ReadDir(filepath.Join(d.root, "data/containers")); len(folders) > 0 {
		left = append(left, fmt.Sprintf("%d folders of containers", len(folders)))
	}
	return append(left, d.processes()...)
}

// processes names what runs with this daemon's roots as arguments, or in its
// cgroups.
func (d *daemon) processes() (found []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		args, _ := os.ReadFile(dir + "/cmdline")
		group, _ := os.ReadFile(dir + "/cgroup")
		ours := bytes.Contains(args, []byte(d.root+"/")) && filepath.Base(string(bytes.SplitN(args, []byte{0}, 2)[0])) != "go"
		if ours || bytes.Contains(group, []byte("silo-"+d.bridge+"/")) {
			found = append(found, "process "+filepath.Base(dir)+" "+string(bytes.ReplaceAll(args, []byte{0}, []byte(" "))))
		}
	}
	return found
}

// clean takes away what silod keeps on the host for its next start, and the
// daemon's folder.
func (d *daemon) clean() error {
	var errs []error
	if _, err := os.Stat("/sys/class/net/" + d.bridge); err == nil {
		_, err := tool("ip", "link", "del", d.bridge)
		errs = append(errs, err)
	}
	if out, err := tool("nft", "list", "tables"); err == nil && strings.Contains(out, "inet silo-"+d.bridge+"\n") || strings.HasSuffix(out, "inet silo-"+d.bridge) {
		if elements, _ := tool("nft", "list", "table", "inet", "silo-"+d.bridge); strings.Contains(elements, " : 172.") {
			errs = append(errs, errors.New("ports are still published:\n"+elements))
		}
		_, err := tool("nft", "delete", "table", "inet", "silo-"+d.bridge)
		errs = append(errs, err)
	}
	return errors.Join(append(errs, os.RemoveAll(d.root))...)
}
