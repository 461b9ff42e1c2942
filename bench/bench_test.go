package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// The figures of so few runs say nothing: this is to see that every part runs
// and leaves nothing behind.
func TestEveryPart(t *testing.T) {
	testenv.NeedRoot(t)
	testenv.NeedCommand(t, "nft", "nftables")
	dir := t.TempDir()
	bin := os.Getenv("SILO_BIN")
	programs := []string{"silo/bench/floor"}
	if bin == "" {
		bin = dir
		programs = append(programs, "silo/cmd/silo", "silo/cmd/silod", "silo/cmd/silo-keeper", "silo/cmd/silo-agent")
	}
	build := exec.Command("go", append([]string{"build", "-o", dir + "/"}, programs...)...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	out := filepath.Join(dir, "series")
	s := settings{bin: bin, floor: dir + "/floor", root: os.TempDir(), bridge: "sbtest", pool: "172.30.0.0/16", out: out, runs: 5, containers: 5, standby: 2, short: true}
	if err := run(s); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"create+start to exit, API", "create+start to exit, API: floor", "silo run --rm core true", "silo exec C true", "core's run to nano's", "core's services up after start", "agent with 10 services, MB", "silo properties, 50 processes", "memory of an idle container, MB",
		"silo ps, 5 running", "silod ready, 5 stopped", "host as before, differences", "silo run --rm by 4 clients, per s",
	} {
		if !strings.Contains(string(data), name+"\t") {
			t.Errorf("no figure of %q in the series", name)
		}
	}
}

func TestSeries(t *testing.T) {
	s := series{5, 1, 4, 2, 3}
	for _, c := range []struct {
		share float64
		want  int64
	}{{0, 1}, {.5, 3}, {.99, 5}, {1, 5}} {
		if got := int64(s.at(c.share)); got != c.want {
			t.Errorf("at(%v) = %d, want %d", c.share, got, c.want)
		}
	}
	if got := (series{}).at(.5); got != 0 {
		t.Errorf("an empty series has %v", got)
	}
}
