package main

import (
	"os/exec"
	"testing"
)

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
