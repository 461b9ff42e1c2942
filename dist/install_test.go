// Package dist tests what make install does with the files beside it.
package dist

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func runMake(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("make", append([]string{"--no-print-directory", "-C", ".."}, args...)...)
	// What the caller's make passes on would change this one.
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "MAKE") && !strings.HasPrefix(kv, "MFLAGS") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make %v: %v\n%s", args, err, out)
	}
}

// files lists what lies below a folder, with permissions.
func files(t *testing.T, root string) map[string]fs.FileMode {
	t.Helper()
	found := map[string]fs.FileMode{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		found[rel] = info.Mode().Perm()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestInstall installs into an empty folder and takes it all away again.
func TestInstall(t *testing.T) {
	testenv.Need(t, !testing.Short(), "needs time to build: leave out -short")
	testenv.NeedCommand(t, "make", "make")
	root := t.TempDir()
	args := []string{"DESTDIR=" + root, "PREFIX=/opt/silo", "UNITDIR=/usr/lib/systemd/system"}
	if v := os.Getenv("SILO_VERSION"); v != "" { // the version that is built already
		args = append(args, "VERSION="+v)
	}
	runMake(t, append(args, "install")...)
	want := map[string]fs.FileMode{
		"opt/silo/bin/silo":                                  0o755,
		"opt/silo/bin/silod":                                 0o755,
		"opt/silo/bin/silo-keeper":                           0o755,
		"opt/silo/bin/silo-agent":                            0o755,
		"usr/lib/systemd/system/silo.service":                0o644,
		"usr/lib/systemd/system/silo.socket":                 0o644,
		"opt/silo/share/bash-completion/completions/silo":    0o644,
		"opt/silo/share/zsh/site-functions/_silo":            0o644,
		"opt/silo/share/fish/vendor_completions.d/silo.fish": 0o644,
	}
	got := files(t, root)
	for name, mode := range want {
		if got[name] != mode {
			t.Errorf("%s has mode %v, want %v (0 is: not there)", name, got[name], mode)
		}
		if info, err := os.Stat(filepath.Join(root, name)); err == nil && info.Size() == 0 {
			t.Errorf("%s is empty", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s was not expected", name)
		}
	}
	unit, err := os.ReadFile(filepath.Join(root, "usr/lib/systemd/system/silo.service"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(strings.Split(string(unit), "\n"), "ExecStart=/opt/silo/bin/silod -H fd://") {
		t.Errorf("silo.service does not start the installed silod:\n%s", unit)
	}
	for _, line := range []string{"KillMode=process", "Delegate=yes", "TasksMax=infinity"} {
		if !strings.Contains(string(unit), "\n"+line+"\n") {
			t.Errorf("silo.service lacks %s: containers would not survive a restart of silod", line)
		}
	}
	runMake(t, append(args, "uninstall")...)
	if left := files(t, root); len(left) > 0 {
		t.Errorf("uninstall left %v", left)
	}
}
