// Package survival tests what outlives what: containers a killed silod,
// silod a killed keeper, the host all of them. Its tests run the real
// programs, each daemon with roots, a bridge and addresses of its own.
package survival

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"silo/internal/testenv"
)

// programs is where the tested build is.
var programs string

func TestMain(m *testing.M) {
	if os.Geteuid() != 0 { // each test skips itself, or fails under SILO_TEST_MUST
		testenv.Main(m)
		return
	}
	dir, err := os.MkdirTemp("", "silo-survival-")
	if err == nil {
		programs = filepath.Join(dir, "a")
		err = build(programs, "a", "silo", "silod", "silo-keeper", "silo-agent")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := testenv.Run(m)
	os.RemoveAll(dir)
	os.Exit(code)
}

// build compiles programs, of a commit that they are told.
func build(dir, commit string, names ...string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, name := range names {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-X silo/internal/version.Version=0.0.1 -X silo/internal/version.Commit="+commit, "-o", filepath.Join(dir, name), "silo/cmd/"+name)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// nextVersion is a build that differs from the tested one in its commit alone:
// that is enough for a keeper to be replaced.
var nextVersion = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(programs), "b")
	err := build(dir, "b", "silod", "silo-keeper")
	for _, name := range []string{"silo", "silo-agent"} {
		if err == nil {
			err = os.Link(filepath.Join(programs, name), filepath.Join(dir, name))
		}
	}
	return dir, err
})
