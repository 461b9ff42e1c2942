package e2e

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"silo/api"
	"silo/internal/testenv"
)

// serviceImage imports an image of busybox and the given files; a text that
// begins with "-> " is a link. Units in etc/systemd/system are named without
// their folder, and enabled if their name ends with "+".
func serviceImage(t *testing.T, d *daemon, name string, files map[string]string) {
	t.Helper()
	testenv.NeedCommand(t, "busybox", "busybox-static")
	busybox, err := os.ReadFile(find("busybox"))
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	put := func(h *tar.Header, data string) {
		h.Size = int64(len(data))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	put(&tar.Header{Name: "bin/busybox", Mode: 0o755}, string(busybox))
	for _, n := range []string{"sh", "sleep", "id", "cat", "echo", "true", "ls", "kill", "httpd", "env", "touch", "test", "wget", "yes", "head", "nc", "rm", "setsid"} {
		put(&tar.Header{Typeflag: tar.TypeSymlink, Name: "bin/" + n, Linkname: "busybox"}, "")
	}
	all := map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nwww:x:33:33:www:/www:/bin/sh\n", "etc/group": "root:x:0:\nwww:x:33:\nstaff:x:50:www\n",
		"www/index.html": "served\n", "tmp/.keep": "",
	}
	for n, text := range files {
		if !strings.Contains(n, "/") {
			unit := strings.TrimSuffix(n, "+")
			if unit != n {
				all["etc/systemd/system/multi-user.target.wants/"+unit] = "-> ../" + unit
			}
			n = "etc/systemd/system/" + unit
		}
		all[n] = text
	}
	for n, text := range all {
		mode := int64(0o644)
		if strings.HasPrefix(n, "bin/") {
			mode = 0o755
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			put(&tar.Header{Typeflag: tar.TypeSymlink, Name: n, Linkname: target}, "")
			continue
		}
		put(&tar.Header{Name: n, Mode: mode}, text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	c, cancel := d.command("import", "--change", `CMD ["sleep","100000"]`, "--change", "LABEL "+api.Services+"=true", "-", name)
	defer cancel()
	c.Stdin = &buf
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
	t.Cleanup(func() { d.try("rmi", "-f", name) })
}

// services lists the services of a container.
func (d *daemon) services(id string) map[string]map[string]string {
	d.t.Helper()
	out := map[string]map[string]string{}
	for _, line := range strings.Split(d.silo("service", "ls", "--format", "json", id), "\n") {
		var s map[string]string
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			d.t.Fatalf("%v in %q", err, line)
		}
		out[s["Name"]] = s
	}
	return out
}

// awaitService waits until a service has a status.
func (d *daemon) awaitService(id, name, status string) {
	d.t.Helper()
	defer func() {
		if d.t.Failed() {
			d.t.Logf("%s\n%s", d.try("service", "status", id, name).out, d.try("service", "logs", "--tail", "20", id, name).out)
		}
	}()
	until(d.t, name+" is "+status, func() bool { return d.services(id)[name]["Status"] == status })
}

// The main path: services of an image start beside the command, are listed,
// changed and logged from outside, and stop with the container.
func TestServices(t *testing.T) {
	d := useDaemon(t)
	serviceImage(t, d, "svc-main", map[string]string{
		"web.service+":  "[Unit]\nDescription=Web pages\n[Service]\nExecStart=/bin/httpd -f -p 8080 -h /www\nUser=www\n[Install]\nWantedBy=multi-user.target\n",
		"fork.service+": "[Unit]\nAfter=web.service\n[Service]\nType=forking\nExecStart=/bin/httpd -p 8081 -h /www\nExecStop=/bin/sh -c 'echo stopping $MAINPID'\n",
		"talk.service+": "[Service]\nDynamicUser=yes\nRuntimeDirectory=talk\nExecStart=/bin/sh -c 'echo to out; echo to err >&2; id -u; touch $RUNTIME_DIRECTORY/x; exec sleep 100000'\n",
		"off.service":   "[Service]\nExecStart=/bin/sleep 100000\n[Install]\nWantedBy=multi-user.target\n",
	})
	id := d.detached("svc-main")
	for _, name := range []string{"web", "fork", "talk"} {
		d.awaitService(id, name, "running")
	}
	list := d.services(id)
	if got := list["web"]; got["Description"] != "Web pages" || got["Enabled"] != "true" {
		t.Errorf("web: %v", got)
	}
	if got := list["off"]; got["Status"] != "stopped" || got["Enabled"] != "false" || got["PID"] != "" {
		t.Errorf("off: %v", got)
	}
	pid, _ := strconv.Atoi(list["web"]["PID"])
	if args, err := os.ReadFile("/proc/" + list["web"]["PID"] + "/cmdline"); err != nil || !strings.HasPrefix(string(args), "/bin/httpd\x00-f") {
		t.Errorf("process %d on the host is %q, %v", pid, args, err)
	}
	for _, port := range []string{"8080", "8081"} {
		if out, err := tool("curl", "-sS", "--noproxy", "*", "--max-time", "5", "http://"+d.address(id)+":"+port+"/"); out != "served" {
			t.Errorf("port %s: %q, %v", port, out, err)
		}
	}
	var r result
	until(t, "the log of talk", func() bool {
		r = d.try("service", "logs", id, "talk")
		return strings.Contains(r.err, "to err") && strings.Count(r.out, "\n") == 2
	})
	if !strings.HasPrefix(r.err, "silo: passed over: PrivateTmp=, ") || !strings.HasSuffix(r.err, " tells why\nto err\n") || !strings.HasPrefix(r.out, "to out\n6") {
		t.Errorf("service logs: %q, %q", r.out, r.err)
	}
	want(t, "logs --details", d.silo("logs", "--details", id), "service=talk.service to out")

	d.silo("service", "stop", id, "fork")
	want(t, "ExecStop", d.silo("service", "logs", id, "fork"), "stopping ")
	d.silo("service", "start", id, "off")
	d.silo("service", "restart", id, "web")
	list = d.services(id)
	if list["fork"]["Status"] != "stopped" || list["off"]["Status"] != "running" || list["web"]["Status"] != "running" || list["web"]["PID"] == strconv.Itoa(pid) {
		t.Errorf("after stop, start and restart: %v", list)
	}
	if r := d.try("service", "status", id, "fork"); r.code != 3 {
		t.Errorf("status of a stopped service: exit %d\n%s", r.code, r.out)
	}
	for _, args := range [][]string{{"start", id, "nothing"}, {"reload", id, "web"}} {
		if r := d.try(append([]string{"service"}, args...)...); r.code != 1 || strings.Count(r.err, "\n") != 1 {
			t.Errorf("service %v: exit %d, %q", args, r.code, r.err)
		}
	}
	d.silo("service", "enable", id, "off")
	d.silo("service", "disable", id, "web")
	d.silo("restart", id)
	d.awaitService(id, "off", "running")
	if got := d.services(id)["web"]; got["Status"] != "stopped" || got["Enabled"] != "false" {
		t.Errorf("web after it was disabled: %v", got)
	}
	d.silo("stop", id)
	if r := d.try("service", "ls", id); r.code != 1 {
		t.Errorf("service ls of a stopped container: exit %d", r.code)
	}
	if r := d.try("run", "--rm", "--services=false", "svc-main", "ls", "/dev/silo"); r.code == 0 {
		t.Errorf("there are services with --services=false: %s", r.out)
	}
}

// The end of the command ends services that hold state in order, `silo stop`
// all of them.
func TestServicesEndInOrder(t *testing.T) {
	d := useDaemon(t)
	serviceImage(t, d, "svc-end", map[string]string{
		"first.service+":  "[Service]\nExecStart=/bin/sleep 100000\nExecStop=/bin/sh -c 'echo first >>/data'\n",
		"second.service+": "[Unit]\nAfter=first.service\nRequires=first.service\n[Service]\nExecStart=/bin/sleep 100000\nExecStop=/bin/sh -c 'echo second >>/data'\n",
	})
	id := d.detached("--wait-services", "svc-end", "sh", "-c", "while ! test -f /go; do sleep 0.02; done; exit 5")
	if list := d.services(id); list["first"]["Status"] != "running" || list["second"]["Status"] != "running" {
		t.Errorf("with --wait-services: %v", list)
	}
	d.silo("exec", id, "touch", "/go")
	if got := d.silo("wait", id); got != "5" {
		t.Errorf("exit code %s, want 5", got)
	}
	data := func() string {
		dir := t.TempDir()
		d.silo("disk", "mount", id, dir)
		defer d.silo("disk", "unmount", dir)
		text, err := os.ReadFile(filepath.Join(dir, "data"))
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	if got := data(); got != "second\nfirst\n" {
		t.Errorf("services stopped in the order %q", got)
	}
	d.silo("start", id) // /go is still there: it ends at once
	d.silo("wait", id)
	if got := data(); !strings.HasPrefix(got, "second\nfirst\n") {
		t.Errorf("the second run left %q", got)
	}
}

// What a failure of a service means for the container.
func TestServiceFailure(t *testing.T) {
	d := useDaemon(t)
	serviceImage(t, d, "svc-fail", map[string]string{
		"bad.service+": "[Service]\nExecStart=/bin/sh -c 'while ! test -f /go; do sleep 0.02; done; rm /go; exit 9'\n",
	})
	id := d.detached("svc-fail")
	d.silo("exec", id, "touch", "/go")
	d.awaitService(id, "bad", "failed")
	want(t, "status", d.try("service", "status", id, "bad").out, "exit-code, exit code 9")
	if got := d.field(id, "{{.State.Status}}"); got != "running" {
		t.Errorf("with ignore the container is %s", got)
	}
	id = d.detached("--service-failure", "exit", "svc-fail")
	d.awaitService(id, "bad", "running")
	d.silo("exec", id, "touch", "/go")
	until(t, "the container has ended", func() bool { return d.field(id, "{{.State.Status}}") == "exited" })
	want(t, "why it ended", d.field(id, "{{.State.Error}}"), "service bad.service failed: exit-code")
	polite := []string{"sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"}
	id = d.detached(append([]string{"--service-failure", "exit", "--restart", "on-failure:1", "svc-fail"}, polite...)...)
	d.awaitService(id, "bad", "running")
	d.silo("exec", id, "touch", "/go")
	until(t, "it runs again although its command ended with 0", func() bool { return d.field(id, "{{.RestartCount}} {{.State.Status}}") == "1 running" })
	id = d.detached("--service-failure", "restart", "svc-fail")
	d.awaitService(id, "bad", "running")
	d.silo("exec", id, "touch", "/go")
	until(t, "the container runs again", func() bool { return d.field(id, "{{.RestartCount}} {{.State.Status}}") == "1 running" })
	// One that fails each time is restarted ever more slowly, and can be stopped.
	serviceImage(t, d, "svc-doomed", map[string]string{"doomed.service+": "[Service]\nType=oneshot\nExecStart=/bin/false\n"})
	id = d.detached("--service-failure", "restart", "svc-doomed")
	until(t, "a third restart", func() bool { return d.field(id, "{{.RestartCount}}") == "3" })
	d.silo("stop", id)
	for range 10 { // longer than the pause before the next restart
		time.Sleep(100 * time.Millisecond)
		if got := d.field(id, "{{.State.Status}} {{.RestartCount}}"); got != "exited 3" && got != "exited 4" {
			t.Fatalf("after it was stopped it is %s", got)
		}
	}
	id = d.detached("--service-failure", "restart", "svc-doomed")
	until(t, "a restart", func() bool { return d.field(id, "{{.RestartCount}}") != "0" })
	d.silo("rm", "-f", id)
	if r := d.try("run", "--rm", "--isolation", "pid", "--services", "svc-fail", "true"); r.code != 125 {
		t.Errorf("services with a PID namespace: exit %d, %s", r.code, r.err)
	}
}

// A container that waits for services which never come up can be looked at, and
// ended in every way.
func TestWaitForServicesEnds(t *testing.T) {
	d := useDaemon(t)
	serviceImage(t, d, "svc-never", map[string]string{"never.service+": "[Service]\nType=notify\nTimeoutStartSec=infinity\nExecStart=/bin/sleep 100000\n"})
	for i, end := range [][]string{{"stop"}, {"kill"}, {"kill", "-s", "INT"}, {"rm", "-f"}} {
		name := "waits" + strconv.Itoa(i)
		cmd, cancel := d.command("run", "--name", name, "--services", "--wait-services", "svc-never", "true")
		defer cancel()
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, "its service is seen to start", func() bool { return strings.Contains(d.try("service", "ls", name).out, "starting") })
		if r := d.try("rm", name); r.code == 0 || !strings.Contains(r.err, "waits for its services") {
			t.Errorf("rm: exit %d, %s", r.code, r.err)
		}
		begin := time.Now()
		d.silo(append(end, name)...)
		if took := time.Since(begin); took > 30*time.Second { // the wait is bounded by two minutes
			t.Errorf("%v took %s", end, took)
		}
		if err := cmd.Wait(); err == nil || !strings.Contains(said.String(), "waited for its services") {
			t.Errorf("run, after %v: %v, %q", end, err, said.String())
		}
		if end[0] == "rm" {
			if d.try("inspect", name).code == 0 {
				t.Errorf("it is there after rm -f")
			}
			continue
		}
		if got := d.field(name, "{{.State.Status}} {{.State.ExitCode}}"); got != "created 128" {
			t.Errorf("after %v it is %s", end, got)
		}
		d.silo("rm", name)
	}
}

// Units that nobody should write: each is shown with its reason, and the
// container and its other services go on.
func TestHostileUnits(t *testing.T) {
	d := useDaemon(t)
	serviceImage(t, d, "svc-bad", map[string]string{
		"good.service+":   "[Service]\nExecStart=/bin/sleep 100000\n",
		"broken.service+": "[Service\nExecStart=\n=\n",
		"empty.service+":  "",
		"bus.service+":    "[Service]\nType=dbus\nBusName=a.b\nExecStart=/bin/sleep 100000\n",
		"a.service+":      "[Unit]\nAfter=b.service\nRequires=b.service\n[Service]\nExecStart=/bin/sleep 100000\n",
		"b.service+":      "[Unit]\nAfter=a.service\nRequires=a.service\n[Service]\nExecStart=/bin/sleep 100000\n",
		"never.service+":  "[Service]\nType=notify\nTimeoutStartSec=1\nExecStart=/bin/sleep 100000\n",
		"vanish.service+": "[Service]\nType=forking\nPIDFile=/run/none.pid\nExecStart=/bin/true\n",
		"flood.service+":  "[Service]\nExecStart=/bin/sh -c 'yes | head -c 30000000; exec sleep 100000'\n",
		"deaf.service+":   "[Service]\nTimeoutStopSec=1\nExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\n",
		"away.service+":   "[Service]\nType=forking\nExecStart=/bin/sh -c 'setsid env -i sleep 100000 & exec true'\n",
		"loop.service+":   "-> loop.service",
	})
	id := d.detached("svc-bad")
	d.awaitService(id, "good", "running")
	d.awaitService(id, "never", "failed")
	d.awaitService(id, "vanish", "failed")
	d.awaitService(id, "flood", "running")
	list := d.services(id)
	for _, name := range []string{"bus", "empty"} {
		if got := list[name]; got["Status"] != "stopped" {
			t.Errorf("%s: %v", name, got)
		}
		want(t, name, d.try("service", "status", id, name).out, "cannot start")
	}
	until(t, "the flood is in the log", func() bool { return len(d.silo("service", "logs", "--tail", "5", id, "flood")) == 9 })
	// A daemon that has left its session, its parent and its environment is
	// still known, and ended with its service.
	away, _ := strconv.Atoi(list["away"]["PID"])
	if list["away"]["Status"] != "running" || away == 0 {
		t.Fatalf("away: %v", list["away"])
	}
	d.silo("service", "stop", id, "away", "deaf")
	if !gone(away) {
		t.Errorf("process %d of a service that was stopped runs", away)
	}
	if got := d.services(id)["deaf"]; got["Status"] != "failed" || got["Result"] != "timeout" {
		t.Errorf("deaf: %v", got)
	}
	d.silo("rm", "-f", id)
}

// A program in the container that speaks the supervisor's protocols, with the
// ways in which it may lie.
func TestServiceProtocols(t *testing.T) {
	d := useDaemon(t)
	probe := filepath.Join(t.TempDir(), "probe")
	c := exec.Command("go", "build", "-o", probe, "./probe")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build probe: %v\n%s", err, out)
	}
	data, err := os.ReadFile(probe)
	if err != nil {
		t.Fatal(err)
	}
	serviceImage(t, d, "svc-probe", map[string]string{
		"bin/probe":        string(data),
		"notify.service+":  "[Service]\nType=notify\nExecStart=/bin/probe notify\n",
		"wrong.service+":   "[Service]\nType=notify\nTimeoutStartSec=2\nExecStart=/bin/probe notify-child\n",
		"all.service+":     "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/bin/probe notify-child\n",
		"dog.service+":     "[Service]\nType=notify\nWatchdogSec=1\nExecStart=/bin/probe notify\n",
		"reload.service+":  "[Service]\nType=notify-reload\nExecStart=/bin/probe reload\n",
		"echo.socket+":     "[Socket]\nListenStream=9000\n",
		"echo.service":     "[Service]\nExecStart=/bin/probe listen\n",
		"each.socket+":     "[Socket]\nListenStream=9001\nAccept=yes\n",
		"each@.service":    "[Service]\nExecStart=/bin/cat\nStandardInput=socket\n",
		"unix.socket+":     "[Socket]\nListenStream=/run/unix.sock\nSocketUser=www\nSocketMode=0600\n",
		"unix.service":     "[Service]\nExecStart=/bin/probe listen\n",
		"tick.timer+":      "[Timer]\nOnBootSec=100ms\nOnUnitActiveSec=200ms\nAccuracySec=1ms\n",
		"tick.service":     "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo tick >>/tmp/ticks'\n",
		"ambient.service+": "[Service]\nUser=www\nAmbientCapabilities=CAP_NET_BIND_SERVICE\nNoNewPrivileges=yes\nUMask=0077\nLimitNOFILE=123:456\nSupplementaryGroups=staff\nExecStart=/bin/probe show\n",
	})
	id := d.detached("svc-probe")
	for name, status := range map[string]string{"notify": "running", "all": "running", "reload": "running", "wrong": "failed", "dog": "failed"} {
		d.awaitService(id, name, status)
	}
	list := d.services(id)
	for name, result := range map[string]string{"wrong": "timeout", "dog": "watchdog"} {
		if list[name]["Result"] != result {
			t.Errorf("%s: %v", name, list[name])
		}
	}
	want(t, "log of wrong", d.try("service", "logs", id, "wrong").err, "not from the one that NotifyAccess=main lets speak")
	want(t, "status of notify", d.silo("service", "status", id, "notify"), "says: all well")
	d.silo("service", "reload", id, "reload")
	want(t, "log of reload", d.silo("service", "logs", id, "reload"), "reloaded")

	if list["echo"]["Status"] != "stopped" || !strings.Contains(list["echo"]["Sockets"], "9000") {
		t.Errorf("echo before anybody came: %v", list["echo"])
	}
	ip := d.address(id)
	for range 2 { // it starts the service, and finds it running
		if out, err := exec.Command("bash", "-c", "exec 3<>/dev/tcp/"+ip+"/9000; cat <&3").CombinedOutput(); string(out) != "hello from descriptor 3 of 1\n" {
			t.Errorf("socket: %q, %v", out, err)
		}
	}
	if got := d.services(id)["echo"]; got["Status"] != "running" {
		t.Errorf("echo when somebody came: %v", got)
	}
	if out, err := exec.Command("bash", "-c", "exec 3<>/dev/tcp/"+ip+"/9001; echo back >&3; head -n 1 <&3").CombinedOutput(); string(out) != "back\n" {
		t.Errorf("socket with Accept: %q, %v", out, err)
	}
	if got := d.silo("exec", id, "ls", "-ln", "/run/unix.sock"); !strings.HasPrefix(got, "srw-------") || !slices.Contains(strings.Fields(got), "33") {
		t.Errorf("unix socket: %s", got)
	}
	until(t, "the timer ticks", func() bool { return strings.Count(d.try("exec", id, "cat", "/tmp/ticks").out, "tick") > 2 })
	until(t, "what ambient shows", func() bool { return strings.Contains(d.silo("service", "logs", id, "ambient"), "done") })
	shown := d.silo("service", "logs", id, "ambient")
	for _, part := range []string{"uid 33", "groups 33,50\n", "CapAmb:\t0000000000000400", "CapEff:\t0000000000000400", "NoNewPrivs:\t1", "umask 077", "files 456", "Seccomp:\t2"} {
		want(t, "rights of a service", shown, part)
	}

	// The same from inside, and who may do what there.
	want(t, "list inside", d.silo("exec", id, "/bin/probe", "ask", `{"op":"services"}`), `"Name":"notify.service"`)
	want(t, "a change by nobody", d.silo("exec", "-u", "33", id, "/bin/probe", "ask", `{"op":"service","action":"stop","units":["notify"]}`), "only user 0")
	want(t, "a change by root", d.silo("exec", id, "/bin/probe", "ask", `{"op":"service","action":"stop","units":["notify"]}`), `"Status":"stopped"`)
	want(t, "garbage", d.silo("exec", id, "/bin/probe", "ask", `{]`), `"error"`)
	want(t, "shutdown", d.silo("exec", id, "/bin/probe", "ask", `{"op":"service","action":"shutdown"}`), "only silod")
}
