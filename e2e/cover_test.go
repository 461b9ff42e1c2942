package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"silo/internal/testenv"
)

// A mount over /etc does not hide the files that Silo puts there, and a volume
// is filled from the image, not from them.
func TestMountsOverEtc(t *testing.T) {
	d := useDaemon(t)
	const show = "cat /etc/hostname; grep -c nameserver /etc/resolv.conf; grep -c localhost /etc/hosts"
	host := t.TempDir()
	if got := d.silo("run", "--rm", "-h", "one", "-v", host+":/etc", "core", "sh", "-c", show); !strings.HasPrefix(got, "one\n1\n") {
		t.Errorf("a folder over /etc: %q", got)
	}
	t.Cleanup(func() { d.try("volume", "rm", "-f", "etc-volume", "etc-sealed") })
	for _, name := range []string{"one", "two"} {
		if got := d.silo("run", "--rm", "-h", name, "-v", "etc-volume:/etc", "core", "sh", "-c", show); !strings.HasPrefix(got, name+"\n1\n") {
			t.Errorf("a volume over /etc: %q", got)
		}
	}
	if got := d.silo("run", "--rm", "-v", "etc-volume:/v", "core", "sh", "-c", "grep -c ' one\\| two' /v/hosts; ls /v/passwd"); !strings.HasPrefix(got, "0\n/v/passwd") {
		t.Errorf("the volume holds %q", got)
	}
	r := d.try("run", "--rm", "-v", "etc-sealed:/etc:ro", "core", "sh", "-c", "ls /etc/passwd && ! touch /etc/new")
	if r.code != 0 || !strings.Contains(r.out, "/etc/passwd") {
		t.Errorf("a new volume that is read-only: exit %d, %s%s", r.code, r.out, r.err)
	}
}

func TestReadOnlyFiles(t *testing.T) {
	d := useDaemon(t)
	for _, name := range []string{"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/new"} {
		if r := d.try("run", "--rm", "--read-only", "core", "sh", "-c", "echo x >>"+name); r.code == 0 {
			t.Errorf("%s can be written", name)
		}
	}
	if got := d.silo("run", "--rm", "--read-only", "-v", t.TempDir()+":/w", "core", "sh", "-c", "echo x >/w/f && cat /w/f"); got != "x" {
		t.Errorf("a mount of one: %q", got)
	}
}

// What is asked for wrongly is refused with the right code and says why.
func TestRefused(t *testing.T) {
	d := useDaemon(t)
	for _, c := range []struct {
		says string
		args []string
	}{
		{"is the kernel's", []string{"-v", t.TempDir() + ":/proc"}},
		{"is the kernel's", []string{"-v", t.TempDir() + ":/proc/sys"}},
		{"no such device", []string{"--device", "/dev/nosuch"}},
		{"no device node", []string{"--device", "/etc/passwd"}},
		{"no such parameter", []string{"--sysctl", "net.nosuch=1"}},
		{"invalid tmpfs size", []string{"--tmpfs", "/t:size=999999999999999999999"}},
		{"--ipc", []string{"--ipc", "none"}},
	} {
		if r := d.try(append(append([]string{"run", "--rm"}, c.args...), "core", "true")...); r.code != 125 || !strings.Contains(r.err, c.says) {
			t.Errorf("%v: exit %d, %s; want 125 and %q", c.args, r.code, r.err, c.says)
		}
	}
	for _, filter := range []string{"health=bogus", "is-task=maybe"} {
		if r := d.try("ps", "-f", filter); r.code != 1 || !strings.Contains(r.err, "invalid filter") {
			t.Errorf("filter %s: exit %d, %s", filter, r.code, r.err)
		}
	}
	if got := d.silo("run", "--rm", "-v", "/etc/hostname:/proc/uptime:ro", "core", "cat", "/proc/uptime"); strings.Contains(got, ".") && strings.Contains(got, " ") {
		t.Errorf("/proc/uptime is the kernel's: %q", got)
	}
}

// Of a range of the host's ports each container takes one that is free.
func TestPublishOneOfARange(t *testing.T) {
	d := useDaemon(t)
	const first = 28080
	for i := range 3 {
		id := d.sleeper("-p", "127.0.0.1:28080-28082:80")
		if got, want := d.silo("port", id, "80"), "127.0.0.1:"+strconv.Itoa(first+i); got != want {
			t.Errorf("container %d got %s, want %s", i+1, got, want)
		}
	}
	if r := d.try("run", "--rm", "-p", "127.0.0.1:28080-28082:80", "core", "true"); r.code != 125 || !strings.Contains(r.err, "none from 28080 to 28082 is free") {
		t.Errorf("a fourth: exit %d, %s", r.code, r.err)
	}
	for _, ports := range []string{"28082-28080:80", "0-5:80", "70000-70001:80"} {
		if r := d.try("create", "-p", ports, "core"); r.code != 125 && r.code != 1 {
			t.Errorf("-p %s: exit %d, %s", ports, r.code, r.err)
		}
	}
}

// All device nodes below a folder are given, in their places.
func TestDeviceFolder(t *testing.T) {
	d := useDaemon(t)
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Fatal("no /dev/net/tun: modprobe tun")
	}
	if got := d.silo("run", "--rm", "--device", "/dev/net:/dev/mine", "core", "ls", "/dev/mine"); got != "tun" {
		t.Errorf("below it are %q", got)
	}
}

// A container that waits for its next start counts as running.
func TestWhileRestarting(t *testing.T) {
	d := useDaemon(t)
	id := d.detached("--restart", "always", "core", "false")
	until(t, "the pause between its starts is long", func() bool {
		n, _ := strconv.Atoi(d.field(id, "{{.RestartCount}}"))
		return n >= 4 && d.field(id, "{{.State.Status}}") == "restarting"
	})
	until(t, "exec says that it is restarting", func() bool {
		r := d.try("exec", id, "true")
		return r.code == 1 && strings.Contains(r.err, "is restarting")
	})
	d.silo("kill", id)
	if got := d.field(id, "{{.State.Status}}"); got != "exited" {
		t.Errorf("after kill it is %s", got)
	}
	// Who waits for the next end of one that has none any more is answered.
	answer := make(chan error, 1)
	go func() {
		_, err := tool("curl", "-sS", "--max-time", "30", "--unix-socket", strings.TrimPrefix(d.host, "unix://"), "-X", "POST", "http://silo/v1.51/containers/"+id+"/wait?condition=next-exit")
		answer <- err
	}()
	time.Sleep(200 * time.Millisecond)
	d.silo("rm", id)
	if err := <-answer; err != nil {
		t.Errorf("the wait for a removed container's next end: %v", err)
	}
}

// A command that is asked for while its container ends is run or refused, and
// holds up no end.
func TestExecAtTheEnd(t *testing.T) {
	d := useDaemon(t)
	for i := range 30 {
		id := d.silo("create", "core", "sh", "-c", "i=0; while [ $i -lt "+strconv.Itoa(i)+" ]; do i=$((i+1)); done")
		started := make(chan result, 1)
		go func() { started <- d.try("start", id) }()
		for range 6 { // some come before it runs, some after
			d.try("exec", id, "true")
		}
		if r := <-started; r.code != 0 {
			t.Fatalf("start: %s", r.err)
		}
		d.silo("wait", id)
		d.silo("rm", id)
	}
}

// Containers that share an IPC namespace share its memory, each with ids of its
// own; who did not offer it is not joined.
func TestIpcOfAnother(t *testing.T) {
	testenv.NeedKernel(t, 6, 3, "owners of a tmpfs that are mapped")
	d := useDaemon(t)
	giver := d.sleeper("--ipc", "shareable")
	d.silo("exec", giver, "sh", "-c", "echo from the giver >/dev/shm/a; chmod 600 /dev/shm/a")
	got := d.silo("run", "--rm", "--ipc", "container:"+giver, "core", "sh", "-c", "cat /dev/shm/a; echo back >/dev/shm/b; stat -c %u /dev/shm/a /dev/shm/b")
	if got != "from the giver\n0\n0" {
		t.Errorf("the joiner sees %q", got)
	}
	want(t, "what the joiner wrote", d.silo("exec", giver, "sh", "-c", "cat /dev/shm/b; stat -c %u /dev/shm/b"), "back\n0")
	if a, b := d.silo("exec", giver, "readlink", "/proc/self/ns/ipc"), d.silo("run", "--rm", "--ipc", "container:"+giver, "core", "readlink", "/proc/self/ns/ipc"); a != b {
		t.Errorf("namespaces %s and %s", a, b)
	}
	private := d.sleeper()
	if r := d.try("run", "--rm", "--ipc", "container:"+private, "core", "true"); r.code != 125 || !strings.Contains(r.err, "--ipc shareable") {
		t.Errorf("a private one is joined: %+v", r)
	}
}

// A working directory, a program and a mount do not go through the links of
// /proc: these lead to what the agent has open, or to the kernel's own files.
func TestLinksOfProc(t *testing.T) {
	d := useDaemon(t)
	id, dir0 := d.sleeper(), t.TempDir()
	d.silo("exec", id, "sh", "-c", "ln -s /proc/self/fd /way; ln -s /proc /kernel")
	for fd := range 25 {
		for _, dir := range []string{"/proc/self/fd/", "/way/"} {
			r := d.try("exec", "-w", dir+strconv.Itoa(fd), id, "pwd")
			if r.code != 126 || !strings.Contains(r.err, "working directory") && !strings.Contains(r.err, "chdir") {
				t.Errorf("exec in %s%d: %+v", dir, fd, r)
			}
		}
	}
	if r := d.try("run", "--rm", "--isolation", "pid", "-w", "/proc/self/fd/18", "core", "pwd"); r.code != 126 {
		t.Errorf("run in a descriptor of the agent: %+v", r)
	}
	want(t, "an ordinary folder", d.silo("run", "--rm", "-w", "/made/for/it", "core", "pwd"), "/made/for/it")
	if r := d.try("exec", id, "/proc/self/exe"); r.code != 126 || r.err == "" {
		t.Errorf("the agent's program as a command: %+v", r)
	}
	// Nothing but the three is open, in a PID namespace too.
	for _, isolation := range []string{"process", "pid"} {
		got := d.silo("run", "--rm", "--isolation", isolation, "core", "sh", "-c", "for f in /proc/self/fd/*; do readlink $f; done | grep -v pipe: | grep -v /dev/null")
		if strings.Contains(got, "anon_inode") || strings.Contains(got, "/proc") && !strings.Contains(got, "/proc/") {
			t.Errorf("isolation %s: open in a command: %q", isolation, got)
		}
	}
	link := d.sleeper("-v", dir0+":/top/x")
	d.silo("exec", link, "sh", "-c", "mv /top /gone; ln -s / /top; ln -s / /x")
	if r := d.try("restart", "-t", "0", link); r.code == 0 || !strings.Contains(r.err, "leads to the root") {
		t.Errorf("a mount at the root by a link: %+v", r)
	}
	// The target of a mount may have become a link since it was checked.
	dir := t.TempDir()
	moved := d.sleeper("-v", dir+":/a/sys")
	d.silo("exec", moved, "sh", "-c", "mv /a /b; ln -s /proc /a")
	if r := d.try("restart", "-t", "0", moved); r.code == 0 || !strings.Contains(r.err, "leads into /proc") {
		t.Errorf("a mount over /proc/sys by a link: %+v", r)
	}
}

// Images without a name go with a prune, those that are used stay, and so do
// those that came with Silo; a whole `docker system prune` gets its answers.
func TestImagePrune(t *testing.T) {
	d := ownDaemon(t, 0)
	layer := func(name string) string {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(strings.Repeat(name, 100000)), 0o644); err != nil {
			t.Fatal(err)
		}
		tar := filepath.Join(t.TempDir(), "root.tar")
		mustTool(t, "tar", "-C", dir, "-cf", tar, ".")
		return tar
	}
	first := d.silo("import", layer("one"), "moved:1")
	d.silo("import", layer("two"), "moved:1") // the first has no name now
	d.silo("import", layer("three"), "stays:1")
	if list := d.silo("images", "-q", "--no-trunc", "--filter", "dangling=true"); list != first {
		t.Errorf("without a name: %q, want %q", list, first)
	}
	out := d.silo("image", "prune", "-f")
	want(t, "image prune", out, "deleted: "+first)
	if strings.Contains(out, "reclaimed space: 0B") {
		t.Errorf("nothing is reclaimed: %q", out)
	}
	user := d.silo("create", "stays:1", "/none")
	var networks struct{ NetworksDeleted []string }
	d.ask("POST", "/v1.44/networks/prune", "", &networks)
	if len(networks.NetworksDeleted) > 0 {
		t.Errorf("networks that are gone: %v", networks.NetworksDeleted)
	}
	want(t, "image prune --all", d.silo("image", "prune", "-af"), "untagged: moved:1")
	left := strings.Fields(d.silo("images", "--format", "{{.Repository}}"))
	slices.Sort(left)
	if !slices.Equal(slices.Compact(left), []string{"core", "nano", "stays"}) {
		t.Errorf("images that are left: %q", left)
	}
	d.silo("rm", user)
}
