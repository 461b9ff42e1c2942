package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"silo/internal/testenv"
)

// debianTar gives the archive of a Debian root file system. It is made once
// from the mirror that the host's apt uses and kept in SILO_TEST_CACHE (default
// /var/cache/silo-test) between runs.
func debianTar(t *testing.T) string {
	t.Helper()
	testenv.NeedRoot(t)
	cache := os.Getenv("SILO_TEST_CACHE")
	if cache == "" {
		cache = "/var/cache/silo-test"
	}
	path := filepath.Join(cache, "bookworm.tar")
	if isFile(path) {
		return path
	}
	testenv.NeedCommand(t, "debootstrap", "debootstrap")
	mirror := hostMirror(t)
	if mirror == "" {
		t.Fatal("/etc/apt/sources.list* names no Debian mirror")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	root, err := os.MkdirTemp(cache, "making")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(root)
	run := func(args ...string) {
		c := exec.Command(find(args[0]), args[1:]...)
		c.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	run("debootstrap", "--variant=minbase", "bookworm", root, mirror)
	run("tar", "-C", root, "--numeric-owner", "-cf", path+".new", ".")
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// importDebian imports the root file system as an image for the time of the test.
func (d *daemon) importDebian(image string, flags ...string) {
	d.t.Helper()
	f, err := os.Open(debianTar(d.t))
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	c, cancel := d.command(append(append([]string{"import"}, flags...), "-", image)...)
	defer cancel()
	c.Stdin = f
	if out, err := c.CombinedOutput(); err != nil {
		d.t.Fatalf("import: %v\n%s", err, out)
	}
	d.t.Cleanup(func() { d.silo("rmi", "-f", image) })
}

// The real Debian story: debootstrap, import, apt-get install inside through
// nat, a service of it detached, its log, its disk on the host, removed.
func TestDebian(t *testing.T) {
	d := useDaemon(t)
	d.importDebian("debian-e2e:bookworm", "--change", `CMD ["bash"]`)
	want(t, "images", d.silo("images", "debian-e2e"), "bookworm")
	want(t, "os-release", d.silo("run", "--rm", "debian-e2e:bookworm", "cat", "/etc/os-release"), "bookworm")

	p := d.terminal("run", "--rm", "-it", "debian-e2e:bookworm")
	p.types("echo pid $$ of $BASH_VERSION; id -un; exit\r")
	if got := p.code(); got != 0 {
		t.Errorf("the shell ended with %d:\n%s", got, p.text())
	}
	want(t, "bash", p.text(), "root\r\n")

	// apt reaches its mirror as any program of the container reaches the
	// outside: by the resolver at the gateway, and by masquerade.
	id := d.detached("--name", "debian", "-e", "DEBIAN_FRONTEND=noninteractive", "debian-e2e:bookworm", "sh", "-c",
		"set -e; apt-get update; apt-get install -y --no-install-recommends mini-httpd; mkdir /www; echo served by debian >/www/index.html; "+
			"echo installed; exec mini_httpd -D -p 8080 -d /www -l /dev/stderr")
	deadline := time.Now().Add(3 * time.Minute) // the mirror's speed is not ours
	for !strings.Contains(d.silo("logs", id), "\ninstalled") {
		if d.field(id, "{{.State.Running}}") != "true" || time.Now().After(deadline) {
			r := d.try("logs", id)
			t.Fatalf("installing ended:\n%s\n%s", r.out, r.err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	page := func() string {
		out, _ := tool("curl", "-sS", "--noproxy", "*", "--max-time", "5", "http://"+d.address(id)+":8080/") // no answer yet is no page
		return out
	}
	until(t, "the service answers", func() bool { return page() == "served by debian" })
	until(t, "the service logs the request", func() bool { return strings.Contains(d.try("logs", id).err, "GET ") })
	want(t, "log", d.silo("logs", id), "Setting up mini-httpd")

	dir := t.TempDir()
	d.silo("disk", "mount", "debian", dir)
	t.Cleanup(func() { d.try("disk", "unmount", dir) })
	status, err := os.ReadFile(filepath.Join(dir, "var/lib/dpkg/status"))
	if err != nil || !strings.Contains(string(status), "Package: mini-httpd\nStatus: install ok installed") {
		t.Errorf("the disk on the host does not show the package: %v", err)
	}
	d.silo("disk", "unmount", dir)
	d.silo("rm", "-f", "debian")
	until(t, "its folder is gone", func() bool {
		_, err := os.Stat(filepath.Join(d.root, "data/containers", id))
		return os.IsNotExist(err)
	})
}
