package e2e

import (
	"strings"
	"syscall"
	"testing"
)

// A built-in image that was removed is back at the next start, unless an image
// of the user's has its name; that one is never taken for it.
func TestBuiltinImageComesBack(t *testing.T) {
	d := ownDaemon(t, 0)
	id := d.sleeper()
	again := func() {
		t.Helper()
		d.silo("rm", "-f", id)
		if err := d.stop(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := d.start(); err != nil {
			t.Fatal(err)
		}
		id = strings.TrimSpace(d.silo("run", "-d", "nano", "sleep", "1000"))
	}
	d.silo("rm", "-f", id)
	for _, name := range strings.Fields(d.silo("images", "--format", "{{.Repository}}:{{.Tag}}", "core")) {
		d.silo("rmi", name)
	}
	d.silo("tag", "nano", "core:latest")
	again()
	if got := d.silo("run", "--rm", "core", "sh", "-c", ". /etc/os-release; echo $NAME"); got != d.silo("run", "--rm", "nano", "sh", "-c", ". /etc/os-release; echo $NAME") {
		t.Errorf("the user's image core is %s now", got)
	}
	if r := d.try("tools", id, "whoami"); r.code == 0 || !strings.Contains(r.err, "the built-in image core is not here") {
		t.Errorf("tools of an image that only has the name: %+v", r)
	}
	d.silo("rmi", "core:latest")
	again()
	if got := d.silo("run", "--rm", "core", "sh", "-c", ". /etc/os-release; echo $NAME"); got != "Silo Core" {
		t.Errorf("core is %q", got)
	}
	if got := d.silo("tools", id, "whoami"); got != "ContainerAdministrator" {
		t.Errorf("tools: %q", got)
	}
	d.silo("rm", "-f", id)
}
