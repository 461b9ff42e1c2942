package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain runs the command itself where a test asks for it: it makes a group
// and may end itself.
func TestMain(m *testing.M) {
	if os.Getenv("AS_TIMEOUT") != "" {
		_ = os.Unsetenv("AS_TIMEOUT")
		main()
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "AS_TIMEOUT=1")
	cmd.Dir = t.TempDir()
	return cmd
}

// exitCode is 128 and more for what a signal ended, as shells have it.
func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return code(err, false)
}

func TestExit(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want int
	}{
		{[]string{"60", "true"}, 0},
		{[]string{"0", "sh", "-c", "exit 3"}, 3},
		{[]string{"0.1", "sleep", "60"}, 124},
		{[]string{"--foreground", "0.1", "sleep", "60"}, 124},
		{[]string{"--preserve-status", "0.1", "sleep", "60"}, 143},
		{[]string{"--preserve-status", "0.1", "sh", "-c", "trap 'exit 7' TERM; sleep 60 & wait"}, 7},
		{[]string{"-s", "KILL", "0.1", "sleep", "60"}, 137},
		{[]string{"-k", "0.1", "0.1", "sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"}, 137},
		{[]string{"-k", "60", "0.1", "sleep", "60"}, 124},
		{[]string{"0.1", "sh", "-c", "kill -STOP $$"}, 124},
		{[]string{"60", "sh", "-c", "kill -KILL $$"}, 137},
		{[]string{}, 125},
		{[]string{"60"}, 125},
		{[]string{"x", "true"}, 125},
		{[]string{"-z", "60", "true"}, 125},
		{[]string{"-s", "NONE", "60", "true"}, 125},
		{[]string{"-k", "x", "60", "true"}, 125},
		{[]string{"60", "/none"}, 127},
		{[]string{"60", "no-such-command"}, 127},
		{[]string{"60", "/etc/passwd"}, 126},
	} {
		if got := exitCode(t, command(t, tt.args...).Run()); got != tt.want {
			t.Errorf("timeout %q: exit %d, want %d", tt.args, got, tt.want)
		}
	}
}

// TestGroup looks what becomes of what the command itself has started: a pipe
// ends when nobody is there any more to write to it.
func TestGroup(t *testing.T) {
	for _, args := range []string{"0.2", "-s HUP 0.2", "-s KILL 0.2", "-k 0.1 0.2"} {
		cmd := command(t, append(strings.Fields(args), "sh", "-c", "sleep 60 & sleep 60 & wait")...)
		var out strings.Builder
		cmd.Stdout = &out // Run waits for the end of the pipe
		if err := cmd.Run(); exitCode(t, err) != 124 && exitCode(t, err) != 137 {
			t.Errorf("timeout %s: %v", args, err)
		}
	}
}

// TestForeground: the group of timeout stays as it was, and only the command
// is signaled.
func TestForeground(t *testing.T) {
	for args, want := range map[string]bool{"60": true, "--foreground 60": false} {
		cmd := command(t, append(strings.Fields(args), "sh", "-c", `cut -d " " -f 5 /proc/$$/stat; echo $PPID`)...)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		group, parent, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if got := group == parent; got != want {
			t.Errorf("timeout %s: group %s, timeout is %s, want them the same: %v", args, group, parent, want)
		}
	}
}

// TestForwarded signals timeout itself.
func TestForwarded(t *testing.T) {
	for _, args := range []string{"60", "--foreground 60"} {
		cmd := command(t, append(strings.Fields(args), "sh", "-c", "trap 'echo told; exit 5' INT; touch ready; while :; do sleep 0.1; done")...)
		var out strings.Builder
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for {
			if _, err := os.Stat(filepath.Join(cmd.Dir, "ready")); err == nil {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); exitCode(t, err) != 5 || out.String() != "told\n" {
			t.Errorf("timeout %s: %v, told %q, want exit 5 and told once", args, err, out.String())
		}
	}
}

func TestCode(t *testing.T) {
	for _, tt := range []struct {
		script   string
		timedOut bool
		want     int
	}{
		{"exit 0", false, 0},
		{"exit 3", false, 3},
		{"exit 3", true, 124},
		{"exit 0", true, 124},
		{"kill -TERM $$", false, 143},
		{"kill -TERM $$", true, 124},
		{"kill -KILL $$", false, 137},
		{"kill -KILL $$", true, 137},
	} {
		err := exec.Command("/bin/sh", "-c", tt.script).Run()
		if got := code(err, tt.timedOut); got != tt.want {
			t.Errorf("%s, time up %v: %d, want %d", tt.script, tt.timedOut, got, tt.want)
		}
	}
}
