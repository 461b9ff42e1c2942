package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// What the kernel is too old for is said, with what follows from it.
func TestDoctorOnThisKernel(t *testing.T) {
	d := useDaemon(t)
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(release), "%d.%d", &major, &minor); err != nil {
		t.Fatalf("kernel %q: %v", release, err)
	}
	r := d.try("doctor")
	for _, check := range []struct {
		name         string
		major, minor int
		effect       string
	}{
		{"EROFS from a file", 6, 12, "each image in use takes a loop device"},
		{"overlay of detached mounts", 6, 15, "mounts are attached in a mount namespace of silod's for a moment at each start"},
	} {
		answer, effect := "yes", false
		if major < check.major || major == check.major && minor < check.minor {
			answer, effect = "no", true
		}
		var got string
		for line := range strings.Lines(r.out) {
			if after, ok := strings.CutPrefix(line, check.name+"  "); ok {
				got, _, _ = strings.Cut(strings.TrimSpace(after), " ")
			}
		}
		got = strings.TrimSpace(got)
		if got != answer || strings.Contains(r.out, check.effect) != effect {
			t.Errorf("%s is %q, want %q on kernel %s:\n%s", check.name, got, answer, release, r.out)
		}
	}
	if no := strings.Contains(r.out, " no "); no != (r.code == 1) {
		t.Errorf("exit code %d:\n%s", r.code, r.out)
	}
}
