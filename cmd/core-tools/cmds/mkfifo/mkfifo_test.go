package main

import (
	"io/fs"
	"os"
	"syscall"
	"testing"

	"coretools.silo/filemode"
)

func TestMakePipe(t *testing.T) {
	t.Chdir(t.TempDir())
	const umask = 0o27
	defer syscall.Umask(syscall.Umask(0))
	for text, want := range map[string]fs.FileMode{"": 0o640, "600": 0o600, "0777": 0o777, "u=rw,go=r": 0o644, "a+x": 0o777, "-w": 0o466, "=rw": 0o640} {
		mode, err := filemode.ForNew(text, umask)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if err := makePipe("pipe", mode); err != nil {
			t.Fatal(err)
		}
		info, err := os.Lstat("pipe")
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want|fs.ModeNamedPipe {
			t.Errorf("-m %s made %v, want %v", text, info.Mode(), want|fs.ModeNamedPipe)
		}
		if err := makePipe("pipe", mode); err == nil {
			t.Error("made over what was there")
		}
		_ = os.Remove("pipe")
	}
}
