package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOneSystemCall builds true and false as mkimage does and counts what they
// ask of the kernel.
func TestOneSystemCall(t *testing.T) {
	for name, code := range map[string]int{"true": 0, "false": 1} {
		bin := filepath.Join(t.TempDir(), name)
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -E main.entry", "-o", bin, "../"+name)
		build.Env = append(build.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		cmd := exec.Command(bin, "ignored")
		_ = cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%s ended with %d, want %d", name, got, code)
		}
		strace, err := exec.LookPath("strace")
		if err != nil {
			if os.Getenv("SILO_TEST_MUST") == "1" {
				t.Fatal("SILO_TEST_MUST: needs strace: apt-get install strace")
			}
			t.Skip("needs strace to count system calls: apt-get install strace")
		}
		out, _ := exec.Command(strace, bin).CombinedOutput()
		calls := strings.Count(string(out), "(")
		if !strings.Contains(string(out), "exit_group") || calls != 2 {
			t.Errorf("%s: want execve and exit_group only:\n%s", name, out)
		}
	}
}
