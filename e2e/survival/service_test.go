package survival

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// unitsOf are services of a container that are steered from /ctl.
var unitsOf = map[string]string{
	"counter.service": "[Service]\nExecStart=/bin/sh -c 'i=0; while [ ! -e /ctl/stop ]; do echo line $i; i=$((i+1)); sleep 0.002; done; echo end $i'\nRemainAfterExit=yes\n",
	"fragile.service": "[Service]\nExecStart=/bin/sh -c 'while [ ! -e /ctl/break ]; do sleep 0.02; done; exit 3'\n",
	"off.service":     "[Service]\nExecStart=/bin/sleep 100000\n",
	"tick.service":    "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo tick >>/ctl/ticks'\n",
	"tick.timer":      "[Timer]\nOnActiveSec=50ms\nOnUnitActiveSec=50ms\nAccuracySec=1ms\n",
}

// serving starts a container of core with services of its own, and waits until
// they are up.
func (d *daemon) serving(name string, args ...string) (ctl string) {
	d.t.Helper()
	ctl, mount := d.control()
	units := filepath.Join(ctl, "units")
	wants := filepath.Join(units, "multi-user.target.wants")
	if err := os.MkdirAll(wants, 0o755); err != nil {
		d.t.Fatal(err)
	}
	for unit, text := range unitsOf {
		if err := os.WriteFile(filepath.Join(units, unit), []byte(text), 0o644); err != nil {
			d.t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"counter.service": "../counter.service", "fragile.service": "../fragile.service", "tick.timer": "../tick.timer",
		"eventlog.service": "/usr/lib/systemd/system/eventlog.service", "epmap.service": "/usr/lib/systemd/system/epmap.service",
		"../default.target": "/usr/lib/systemd/system/multi-user.target",
	} {
		if err := os.Symlink(target, filepath.Join(wants, name)); err != nil {
			d.t.Fatal(err)
		}
	}
	args = append([]string{"run", "-d", "--name", name, "--services", "-v", mount, "-v", units + ":/etc/systemd/system"}, args...)
	d.silo(append(args, "core", "sleep", "100000")...)
	d.served(name)
	return ctl
}

// served waits until the services of a container are up.
func (d *daemon) served(name string) {
	d.t.Helper()
	d.until("the services are up", func() bool {
		all := d.services(name)
		return all["counter"].Status == "running" && all["fragile"].Status == "running" && all["eventlog"].Status == "running"
	})
}

// shown is a line of silo service ls.
type shown struct{ Name, Status, PID string }

func (d *daemon) services(name string) map[string]shown {
	d.t.Helper()
	all := map[string]shown{}
	out, _, _ := d.try("service", "ls", "--format", "json", name)
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var s shown
		if json.Unmarshal([]byte(line), &s) == nil {
			all[s.Name] = s
		}
	}
	return all
}

// ticks waits until a timer has fired so many times more.
func (d *daemon) ticks(ctl string, more int) {
	d.t.Helper()
	count := func() int {
		data, _ := os.ReadFile(filepath.Join(ctl, "ticks"))
		return strings.Count(string(data), "tick")
	}
	before := count()
	d.until("the timer has fired again", func() bool { return count() >= before+more })
}

// alive tells whether the process of a service is the one that it was.
func (d *daemon) alive(s shown) bool {
	data, err := os.ReadFile("/proc/" + s.PID + "/cmdline")
	return err == nil && strings.Contains(string(data), "/ctl/")
}

func TestServicesSurviveSilodAndItsKeepersUpgrade(t *testing.T) {
	d := startDaemon(t)
	next, err := nextVersion()
	if err != nil {
		t.Fatal(err)
	}
	ctl := d.serving("box")
	before, keeper := d.services("box"), d.keeperPID()
	d.ticks(ctl, 2)
	for _, bin := range []string{programs, next, programs} { // the keeper is upgraded twice
		d.kill()
		if !d.alive(before["counter"]) {
			t.Fatal("a service has ended with silod")
		}
		d.ticks(ctl, 3)
		d.bin = bin
		d.start()
		d.ticks(ctl, 3)
		if got := d.keeperPID(); got != keeper {
			t.Fatalf("the keeper was process %d and is %d", keeper, got)
		}
		now := d.services("box")
		for _, name := range []string{"counter", "fragile", "eventlog", "epmap", "off"} {
			if now[name] != before[name] {
				t.Errorf("%s was %v and is %v", name, before[name], now[name])
			}
		}
		d.silo("service", "start", "box", "off")
		if got := d.services("box")["off"].Status; got != "running" {
			t.Errorf("a service that was started is %s", got)
		}
		d.silo("service", "stop", "box", "off")
	}
	d.kill()
	d.touch(ctl, "break")
	d.touch(ctl, "stop")
	d.until("a service has ended while silod is away", func() bool { return !d.alive(before["fragile"]) && !d.alive(before["counter"]) })
	d.start()
	d.until("its failure is known", func() bool { return d.services("box")["fragile"].Status == "failed" })
	lines := strings.Split(d.silo("service", "logs", "box", "counter"), "\n")
	for i, l := range lines {
		want := "line " + strconv.Itoa(i)
		if i == len(lines)-1 {
			want = "end " + strconv.Itoa(i)
		}
		if l != want {
			t.Fatalf("log of the service: line %d of %d is %q, want %q", i, len(lines), l, want)
		}
	}
	if got := d.status("box"); got != "running 0" {
		t.Errorf("the container is %s", got)
	}
	d.silo("rm", "-f", "box")
	d.stop()
	d.clean(nil)
}

// What --service-failure asks for is done by silod, later if it is away; a
// keeper that is upgraded meanwhile does not forget.
func TestServiceFailsWhileSilodIsAway(t *testing.T) {
	d := startDaemon(t)
	next, err := nextVersion()
	if err != nil {
		t.Fatal(err)
	}
	ctl := d.serving("box", "--service-failure", "exit")
	before := d.services("box")
	d.kill()
	d.touch(ctl, "break")
	d.until("the service has ended", func() bool { return !d.alive(before["fragile"]) })
	d.ticks(ctl, 3)
	d.bin = next
	d.start()
	d.until("the container has ended", func() bool { return strings.HasPrefix(d.status("box"), "exited") })
	if got := d.status("box"); got == "exited 0" {
		t.Errorf("the container is %s", got)
	}
	d.silo("rm", "box")
	d.stop()
	d.clean(nil)
}

func TestServicesEndWithTheKeeper(t *testing.T) {
	d := startDaemon(t)
	d.serving("ends")
	ctl := d.serving("comes-back", "--restart", "always")
	ends, back, keeper := d.services("ends"), d.services("comes-back"), d.keeperPID()
	if err := syscall.Kill(keeper, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.until("the container has ended", func() bool { return d.status("ends") == "exited 137" })
	d.until("the other is started again", func() bool {
		return d.keeperPID() != keeper && strings.HasPrefix(d.status("comes-back"), "running")
	})
	d.served("comes-back")
	d.ticks(ctl, 2)
	for _, s := range []shown{ends["counter"], ends["fragile"], back["counter"], back["fragile"]} {
		if d.alive(s) {
			t.Errorf("%s has outlived the keeper as process %s", s.Name, s.PID)
		}
	}
	if _, errs, code := d.try("service", "ls", "ends"); code != 1 || !strings.Contains(errs, "not running") {
		t.Errorf("services of an ended container: exit %d, %q", code, errs)
	}
	d.silo("rm", "-f", "ends", "comes-back")
	d.stop()
	d.clean(nil)
}
