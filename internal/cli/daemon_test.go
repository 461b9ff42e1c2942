package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script writes a program in the place of silod.
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "silod")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLaunchWaitsForTheDaemon(t *testing.T) {
	f := newFake(t, nil)
	f.stop()
	os.Remove(f.socket)
	started := make(chan struct{})
	go func() {
		defer close(started)
		time.Sleep(30 * time.Millisecond)
		f.start()
	}()
	t.Cleanup(func() { <-started })
	log := filepath.Join(t.TempDir(), "log")
	var errs lockedBuffer
	a := &app{err: &errs}
	if err := a.launch(script(t, "echo hello; exec sleep 100"), "unix://"+f.socket, []string{"/nonexistent/log", log}); err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`^silo: started silod \(pid (\d+)\)\n$`).FindStringSubmatch(errs.String())
	if m == nil {
		t.Fatalf("said %q", errs.String())
	}
	pid, _ := strconv.Atoi(m[1])
	if sid, _ := os.ReadFile("/proc/" + m[1] + "/stat"); !strings.Contains(string(sid), " "+m[1]+" "+m[1]+" ") {
		t.Errorf("it is not in a session of its own: %s", sid)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	if data, err := os.ReadFile(log); string(data) != "hello\n" {
		t.Errorf("the log holds %q, %v", data, err)
	}
}

func TestLaunchTellsWhyItEnded(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	os.WriteFile(log, []byte("an old line\n"), 0o600)
	program := script(t, "echo first; echo 'kernel too old' >&2; exit 3")
	err := (&app{}).launch(program, "unix:///nonexistent/s", []string{log})
	want := "start " + program + ": it ended at once (exit status 3): kernel too old: see " + log
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := (&app{}).launch("/nonexistent/silod", "unix:///nonexistent/s", []string{log}); err == nil {
		t.Error("a missing program starts")
	}
}

func TestExplicitHostStartsNothing(t *testing.T) {
	a := &app{getenv: func(k string) string { return map[string]string{"SILO_HOST": "unix:///nonexistent/s"}[k] }}
	c, err := a.client()
	if err != nil || c.OnUnreachable != nil {
		t.Errorf("%v, OnUnreachable set: %v", err, c.OnUnreachable != nil)
	}
	a = &app{getenv: func(string) string { return "" }}
	if c, err := a.client(); err != nil || c.OnUnreachable == nil || c.Host() != "unix:///run/silo/silo.sock" {
		t.Errorf("%v, %v", c, err)
	}
}
