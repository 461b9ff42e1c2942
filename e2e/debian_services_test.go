package e2e

import (
	"strings"
	"testing"
	"time"
)

// Debian's own packages, as apt installs them, run under Silo without systemd
// in the container: each is up, does its work, and stops.
func TestDebianServices(t *testing.T) {
	d := useDaemon(t)
	d.importDebian("debian-services:bookworm", "--change", `CMD ["sleep","100000"]`)
	id := d.detached("--services", "debian-services:bookworm")
	installDebian(t, d, id, "nginx", "redis-server", "postgresql", "cron", "openssh-server")

	d.silo("exec", id, "sh", "-c", "echo '* * * * * root touch /run/cron-was-here' >/etc/cron.d/here; echo served >/var/www/html/index.html")
	d.silo("restart", id)
	d.awaitPostgres(id)
	for _, name := range []string{"nginx", "redis-server", "postgresql@15-main", "cron", "ssh"} {
		d.awaitService(id, name, "running")
	}
	if got := d.services(id)["postgresql"]; got["Status"] != "exited" {
		t.Errorf("postgresql: %v", got)
	}
	ip := d.address(id)
	if out, err := tool("curl", "-sS", "--noproxy", "*", "--max-time", "5", "http://"+ip+"/"); out != "served" {
		t.Errorf("nginx: %q, %v", out, err)
	}
	if got := d.silo("exec", id, "redis-cli", "set", "a", "b"); got != "OK" {
		t.Errorf("redis: %q", got)
	}
	if got := d.silo("exec", "-u", "postgres", id, "psql", "-Atc", "create table t (x int); insert into t values (42); select x from t"); !strings.HasSuffix(got, "42") {
		t.Errorf("postgresql: %q", got)
	}
	if out, _ := tool("bash", "-c", "exec 3<>/dev/tcp/"+ip+"/22; head -n 1 <&3"); !strings.HasPrefix(out, "SSH-2.0-OpenSSH") {
		t.Errorf("ssh: %q", out)
	}
	deadline := time.Now().Add(2 * time.Minute) // cron looks once a minute
	for d.try("exec", id, "test", "-e", "/run/cron-was-here").code != 0 {
		if time.Now().After(deadline) {
			t.Error("cron has run nothing")
			break
		}
		time.Sleep(time.Second)
	}
	d.silo("service", "reload", id, "nginx")
	d.silo("service", "restart", id, "redis-server")
	d.silo("service", "stop", id, "ssh")
	if got := d.services(id)["ssh"]; got["Status"] != "stopped" {
		t.Errorf("ssh after stop: %v", got)
	}

	// What they hold survives the container's end: they were stopped, not killed.
	d.silo("stop", id)
	d.silo("start", id)
	d.awaitService(id, "postgresql@15-main", "running")
	d.awaitService(id, "redis-server", "running")
	if got := d.silo("exec", "-u", "postgres", id, "psql", "-Atc", "select x from t"); got != "42" {
		t.Errorf("postgresql after a restart: %q", got)
	}
	if got := d.silo("exec", id, "redis-cli", "get", "a"); got != "b" {
		t.Errorf("redis after a restart: %q", got)
	}
	log := d.silo("exec", id, "sh", "-c", "cat /var/log/postgresql/*")
	if strings.Contains(log, "not properly shut down") || !strings.Contains(log, "database system is shut down") {
		t.Errorf("postgresql was not shut down in order:\n%s", log)
	}
}

// awaitPostgres waits for the database, which is the slowest to start; if it
// does not come up, all that is known of it is told.
func (d *daemon) awaitPostgres(id string) {
	d.t.Helper()
	const name = "postgresql@15-main"
	for begin := time.Now(); time.Since(begin) < limit; time.Sleep(100 * time.Millisecond) {
		if d.services(id)[name]["Status"] == "running" {
			return
		}
	}
	d.t.Fatalf("%s did not start: status %s\nits log: %s\nall: %s\nthe container's log: %s\nPostgreSQL's: %s", name, d.try("service", "status", id, name).out,
		d.try("service", "logs", "--tail", "30", id, name).out, d.try("service", "ls", id).out, d.try("logs", "--tail", "50", id).out,
		d.try("exec", id, "sh", "-c", "ls -la /run/postgresql /run/systemd/generator/*; cat /var/log/postgresql/*").out)
}

// installDebian installs packages in a running container; what they would
// start at once is left to the supervisor.
func installDebian(t *testing.T, d *daemon, id string, packages ...string) {
	t.Helper()
	script := "printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; set -e; " +
		"apt-get update; apt-get install -y --no-install-recommends " + strings.Join(packages, " ") + "; touch /installed"
	d.silo("exec", "-d", "-e", "DEBIAN_FRONTEND=noninteractive", id, "sh", "-c", "("+script+") >/tmp/apt.log 2>&1; touch /tmp/apt.done")
	deadline := time.Now().Add(5 * time.Minute) // the mirror's speed is not ours
	for d.try("exec", id, "test", "-e", "/tmp/apt.done").code != 0 {
		if time.Now().After(deadline) {
			t.Fatalf("not installed in time:\n%s", d.silo("exec", id, "tail", "/tmp/apt.log"))
		}
		time.Sleep(200 * time.Millisecond)
	}
	if d.try("exec", id, "test", "-e", "/installed").code != 0 {
		t.Fatalf("apt-get install:\n%s", d.silo("exec", id, "cat", "/tmp/apt.log"))
	}
}
