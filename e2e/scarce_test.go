package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"silo/internal/linux"
	"silo/internal/testenv"
)

// oneLine wants a command to be refused with a code and one line that holds
// all parts.
func oneLine(t *testing.T, what string, r result, code int, parts ...string) {
	t.Helper()
	if r.code != code || strings.Count(r.err, "\n") != 1 || r.out != "" {
		t.Errorf("%s: exit %d, %q and %q; want %d and one line", what, r.code, r.out, r.err, code)
	}
	for _, part := range parts {
		want(t, what, r.err, part)
	}
}

// files lists what is in a folder, at any depth.
func files(t *testing.T, root string) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		all = append(all, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// smallDisk mounts an ext4 of a few megabytes for as long as the test takes.
func smallDisk(t *testing.T, megabytes int64) string {
	t.Helper()
	testenv.NeedRoot(t)
	dir := t.TempDir()
	image, at := filepath.Join(dir, "image"), filepath.Join(dir, "disk")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, megabytes<<20); err != nil {
		t.Fatal(err)
	}
	mustTool(t, "mkfs.ext4", "-q", "-m", "0", image)
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	mustTool(t, "mount", "-o", "loop", image, at)
	t.Cleanup(func() {
		if out, err := tool("umount", at); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return at
}

// fill takes all of a disk but a rest, in bytes, and gives the file that does.
func fill(t *testing.T, dir string, rest int64) string {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// Extents take blocks too: smaller and smaller pieces, until none fits.
	size := int64(0)
	for piece := int64(st.Bavail)*st.Bsize - rest; piece >= st.Bsize; {
		if err := syscall.Fallocate(int(f.Fd()), 0, size, piece); err == nil {
			size += piece
		}
		if rest > 0 {
			break
		}
		piece /= 2
	}
	return path
}

// The host's disk is full: while importing, while making a container's disk
// and while a container writes, which goes on when there is room again. Each is
// told so, and silod works on.
func TestHostDiskFull(t *testing.T) {
	at := smallDisk(t, 256)
	data := filepath.Join(at, "data")
	d := ownDaemon(t, 0, "--data-root", data)
	id := d.sleeper()
	tarball := filepath.Join(t.TempDir(), "big.tar")
	content := filepath.Join(t.TempDir(), "random")
	mustTool(t, "dd", "if=/dev/urandom", "of="+content, "bs=1M", "count=30", "status=none")
	mustTool(t, "tar", "-cf", tarball, "-C", filepath.Dir(content), "random")

	filler := fill(t, at, 8<<20)
	before := files(t, data)
	oneLine(t, "import", d.try("import", tarball, "big"), 1, "no space left on device: free some under the data root")
	if after := files(t, data); after != before {
		t.Errorf("the refused import left files: before\n%s\nafter\n%s", before, after)
	}
	until(t, "silod has seen that the disk is full", func() bool {
		return strings.Contains(d.log(), "the host's disk is full: containers find no room")
	})
	late := d.sleeper() // its disk is made now
	for what, script := range map[string]string{
		"buffered": "dd if=/dev/urandom of=/root/big bs=1M count=30",
		"synced":   "dd if=/dev/urandom of=/root/big bs=1M count=30 oflag=dsync",
		"many":     "for i in $(seq 3000); do dd if=/dev/urandom of=/root/$i bs=9000 count=1 2>/root/err || exec cat /root/err; done; exit 0",
	} {
		for _, c := range []string{id, late} {
			told := ""
			until(t, what+": the container finds no room", func() bool {
				r := d.try("exec", c, "sh", "-c", script)
				told = strings.ToLower(r.out + r.err)
				return strings.Contains(told, "no space left on device") || strings.Contains(told, "error") || strings.Contains(told, "read-only")
			})
			if !strings.Contains(told, "no space left on device") || strings.Contains(told, "input/output") {
				t.Errorf("%s: a container writes to a full disk: %q", what, told)
			}
		}
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	// Not restarted: a full disk ends when it is not full any more.
	for _, c := range []string{id, late} {
		until(t, "there is room again inside", func() bool {
			return d.try("exec", c, "sh", "-c", "echo room >/root/small && sync && cat /root/small").out == "room\n"
		})
		d.silo("exec", c, "sh", "-c", "rm -f /root/*; dd if=/dev/urandom of=/root/big bs=1M count=20 oflag=dsync")
	}
	d.silo("rm", "-f", late)
	d.silo("rm", "-f", id)
	before = files(t, data)
	fill(t, at, 0)
	oneLine(t, "create", d.try("create", "core", "true"), 125, "no space left on")
	if after := files(t, strings.TrimSpace(data)); after != before {
		t.Errorf("the refused create left files: before\n%s\nafter\n%s", before, after)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if got := d.silo("run", "--rm", "core", "echo", "room"); got != "room" {
		t.Errorf("with room again run prints %q", got)
	}
}

// A container that has filled its own disk can be started again, and frees some.
func TestOwnDiskFull(t *testing.T) {
	d := useDaemon(t)
	id := d.silo("run", "-d", "--storage-opt", "size=64M", "core", "sleep", "1000")
	defer d.try("rm", "-f", id)
	fill := "dd if=/dev/zero of=/root/big bs=1M; i=0; while echo x >/root/$i; do i=$((i+1)); done"
	want(t, "fill", d.try("exec", id, "sh", "-c", fill).err, "no space left on device")
	d.silo("restart", "-t", "0", id)
	if got := d.silo("exec", id, "sh", "-c", "rm /root/big && echo room >/root/small && cat /root/small"); got != "room" {
		t.Errorf("after a restart the container reads %q", got)
	}
}

// withDev starts a daemon that sees a /dev of its own with the usual devices
// and these.
func withDev(t *testing.T, devices ...string) *daemon {
	t.Helper()
	testenv.NeedRoot(t)
	d := bareDaemon(t, 0)
	d.wrap = []string{"unshare", "-m", "--propagation", "private", "sh", "-c", `
set -e
mount -t tmpfs -o mode=755 dev "$1"
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx $2 "$1"
mkdir "$1/pts" "$1/shm"
mount --rbind /dev/pts "$1/pts"
mount -t tmpfs shm "$1/shm"
mount --move "$1" /dev
shift 2
exec "$@"`, "sh", t.TempDir(), strings.Join(devices, " ")}
	if err := d.start(); err != nil {
		t.Fatal(err)
	}
	return d
}

// silod sees a /dev without loop-control, as on a host without the module.
func TestNoLoopDevice(t *testing.T) {
	d := withDev(t)
	oneLine(t, "run", d.try("run", "core", "true"), 125, "loop", "modprobe loop")
	want(t, "doctor", d.try("doctor").out, "no sandbox disk can be attached")
	d.silo("rm", d.silo("ps", "-aq"))
}

// All loop devices that silod sees are in use. Nothing of a refused container
// is left, and with more devices it starts.
func TestNoFreeLoopDevice(t *testing.T) {
	testenv.NeedRoot(t)
	file := filepath.Join(t.TempDir(), "file")
	mustTool(t, "truncate", "-s", "1M", file)
	used := strings.TrimSpace(mustTool(t, "losetup", "--find", "--show", file))
	defer mustTool(t, "losetup", "--detach", used)
	d := withDev(t, "/dev/loop-control", used)
	data := filepath.Join(d.root, "data")
	d.try("run", "--rm", "core", "true") // makes what is made once
	before := files(t, data)
	oneLine(t, "run --rm", d.try("run", "--rm", "core", "true"), 125, "no free loop device", "all that /dev has are in use", "stop containers")
	if after := files(t, data); after != before {
		t.Errorf("the refused container left files: before\n%s\nafter\n%s", before, after)
	}
	if links := mustTool(t, "ip", "-o", "link", "show", "master", d.bridge); links != "" {
		t.Errorf("the refused container left links:\n%s", links)
	}
	want(t, "doctor", d.try("doctor").out, "no sandbox disk can be attached")
	oneLine(t, "run", d.try("run", "--name", "late", "core", "echo", "here"), 125, "no free loop device")
	mustTool(t, "sh", "-c", "cp -a /dev/loop[0-9]* /proc/"+strconv.Itoa(d.cmd.Process.Pid)+"/root/dev/")
	if got := d.silo("start", "-a", "late"); got != "here" {
		t.Errorf("with free devices it prints %q", got)
	}
	d.silo("rm", "late")
}

// A kernel below 5.19 is refused before anything is made.
func TestKernelTooOld(t *testing.T) {
	testenv.NeedRoot(t)
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	out, err := exec.Command(find("setarch"), "--uname-2.6", filepath.Join(bins, "silod"), "--data-root", data, "--exec-root", filepath.Join(dir, "run"), "-H", "unix://"+dir+"/s").CombinedOutput()
	if err == nil || strings.Count(string(out), "\n") != 1 || !strings.Contains(string(out), "is too old: silo needs 5.19 or newer") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(data); !os.IsNotExist(err) {
		t.Errorf("data root: %v, want that it was not made", err)
	}
}

// The whole address pool is on a wire of the host already.
func TestNoFreeAddressRange(t *testing.T) {
	testenv.NeedRoot(t)
	d := bareDaemon(t, 0)
	link := d.bridge + "x"
	mustTool(t, "ip", "link", "add", link, "type", "bridge")
	t.Cleanup(func() { mustTool(t, "ip", "link", "del", link) })
	pool := strings.Replace(d.pool, ".0.0/16", ".16.0/20", 1)
	mustTool(t, "ip", "addr", "add", strings.Replace(pool, ".16.0/20", ".16.1/20", 1), "dev", link)
	mustTool(t, "ip", "link", "set", link, "up")
	d.flags = append(d.flags, "--address-pool", pool)
	if err := d.start(); err == nil {
		t.Fatal("silod started without addresses for its network")
	}
	lines := strings.Split(strings.TrimSpace(d.log()), "\n")
	last := lines[len(lines)-1]
	want(t, "silod", last, pool)
	want(t, "silod", last, "--address-pool")
	if err := d.cmd.Wait(); err == nil {
		t.Error("silod ended with 0")
	}
	d.cmd = nil // what is left of it on the host is nothing
}

// Limits that the host does not grant, and a terminal of size 0.
func TestNotGranted(t *testing.T) {
	d := useDaemon(t)
	oneLine(t, "ulimit", d.try("run", "--rm", "--ulimit", "nofile=2000000000", "core", "true"), 125, "ulimit nofile=2000000000:2000000000", "more than this host grants")
	if names := d.silo("ps", "-aq"); names != "" {
		t.Errorf("containers are left: %s", names)
	}
	m, s, err := linux.OpenPTY("/dev/ptmx")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	slave := s.File()
	defer slave.Close()
	if err := linux.SetWinsize(int(slave.Fd()), 0, 0); err != nil {
		t.Fatal(err)
	}
	cmd, cancel := d.command("run", "--rm", "-it", "core", "sh", "-c", "echo ready; exit 6")
	defer cancel()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != 6 {
		t.Errorf("on a terminal of size 0: %v", err)
	}
}
