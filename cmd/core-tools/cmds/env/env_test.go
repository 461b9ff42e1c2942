package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestFind(t *testing.T) {
	t.Setenv("PATH", "/none")
	if got, err := find("sh"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("with PATH=/none: %q, %v, want it not found", got, err)
	}
	os.Unsetenv("PATH") // t.Setenv puts it back
	if got, err := find("sh"); err != nil || filepath.Base(got) != "sh" || !filepath.IsAbs(got) {
		t.Errorf("without PATH: %q, %v", got, err)
	}
	os.Unsetenv("PATH")
	if got, err := find("no-such-command"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("without PATH: %q, %v, want it not found", got, err)
	}
}
