package e2e

import (
	"strings"
	"testing"
)

// servicesOfCore starts core with its services and options, waits until it has
// them up, and wants states. A service that fails would end the container.
func servicesOfCore(t *testing.T, d *daemon, states map[string]string, options ...string) string {
	t.Helper()
	args := append([]string{"--services", "--wait-services", "--service-failure", "exit"}, options...)
	id := d.sleeper(args...)
	for name, status := range states {
		d.awaitService(id, name, status)
	}
	if got := d.field(id, "{{.State.Status}}"); got != "running" {
		t.Errorf("%v: the container is %s", options, got)
	}
	return id
}

// The services of core without a network, on a root that can only be read, and
// in the host's network, where low ports are not theirs to take.
func TestServicesOfCoreWithLess(t *testing.T) {
	d := useDaemon(t)
	all := map[string]string{"dnscache": "running", "epmap": "running", "eventlog": "running", "scheduler": "running", "eventquery": "stopped", "web": "stopped"}
	alone := servicesOfCore(t, d, all, "--network", "none")
	if got := d.silo("exec", alone, "sh", "-c", "nc 127.0.0.1 135 </dev/null"); !strings.Contains(got, `"endpoints"`) {
		t.Errorf("the endpoint mapper on the loopback answers %q", got)
	}
	for _, options := range [][]string{{"--read-only"}, {"--read-only", "--network", "none"}} {
		id := servicesOfCore(t, d, all, options...)
		if r := d.try("exec", id, "touch", "/root/x"); r.code == 0 {
			t.Errorf("%v: the root can be written to", options)
		}
		d.silo("exec", id, "logger", "kept in memory")
		until(t, "the event is kept", func() bool {
			return strings.Contains(d.silo("exec", id, "get-eventlog"), "kept in memory")
		})
		want(t, "a user's own events", d.silo("exec", "--user", "ContainerUser", id, "sh", "-c", "logger mine; get-eventlog"), "mine")
		want(t, "log", d.silo("service", "logs", id, "eventlog"), "/var/log/events can only be read")
		d.silo("restart", "-t", "0", id)
		d.awaitService(id, "eventlog", "running")
	}
	host := servicesOfCore(t, d, map[string]string{"dnscache": "stopped", "epmap": "stopped", "eventlog": "running", "scheduler": "running"}, "--network", "host")
	for _, name := range []string{"dnscache", "epmap"} {
		if got := d.silo("service", "logs", host, name); strings.Count(got, "\n") != 0 || !strings.Contains(got, "with --network host the port is the host's") {
			t.Errorf("%s tells %q, want one line", name, got)
		}
	}
	if n := strings.Count(d.silo("exec", host, "get-service"), "failed"); n != 0 {
		t.Errorf("%d services have failed in the host's network", n)
	}
}
