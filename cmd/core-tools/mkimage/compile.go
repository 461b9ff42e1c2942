package main

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/u-root/gobusybox/src/pkg/bb"
	"github.com/u-root/gobusybox/src/pkg/golang"
)

// linkFlags leave out symbols and the build id, which would differ from
// folder to folder.
const linkFlags = "-s -w -buildid="

// program compiles a command of cmd/core-tools into a static file.
func (b *builder) program(p program) ([]byte, error) {
	out := filepath.Join(b.work, p.name)
	flags := linkFlags
	if p.entry {
		flags += " -E main.entry"
	}
	if err := b.goBuild(".", out, flags, "./"+p.name, nil); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// box lets gobusybox turn the commands into packages of one program, and
// compiles that.
func (b *builder) box(x box) ([]byte, error) {
	src := filepath.Join(b.work, x.name+"-src")
	env := golang.Default(golang.DisableCGO(), golang.WithGOARCH(b.arch))
	if err := env.CompilerInit(); err != nil {
		return nil, fmt.Errorf("box %s: %w", x.name, err)
	}
	err := bb.BuildBusybox(log.New(io.Discard, "", 0), &bb.Opts{
		Env: env, GenSrcDir: src, CommandPaths: x.commands, GenerateOnly: true,
		BinaryPath: filepath.Join(b.work, x.name),
	})
	if err != nil {
		return nil, fmt.Errorf("box %s: %w", x.name, err)
	}
	dir := filepath.Join(src, "src/bb.u-root.com/bb")
	if err := prepareMain(src, dir); err != nil {
		return nil, fmt.Errorf("box %s: %w", x.name, err)
	}
	out := filepath.Join(b.work, x.name)
	if err := b.goBuild(dir, out, linkFlags, ".", []string{"GO111MODULE=off", "GOPATH=" + src}); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// prepareMain changes the program that gobusybox wrote: arguments pass through
// package argfix first, signals end it as package signals has it, and the Go
// release's own settings hold, where a tree without go.mod would get those of Go
// 1.20.
func prepareMain(src, dir string) error {
	path := filepath.Join(dir, "main.go")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// The name of the command comes out of Args, so nothing is to be resolved.
	const call, fixed = "os.Args[0] = ResolveUntilLastSymlink(os.Args[0])", "argfix.Args()"
	if bytes.Count(text, []byte(call)) != 1 || !bytes.Contains(text, []byte("\nimport (")) {
		return fmt.Errorf("%s: not the program that gobusybox used to write", path)
	}
	text = bytes.Replace(text, []byte(call), []byte(fixed), 1)
	text = bytes.Replace(text, []byte("\nimport ("), []byte("\nimport (\n\t\"coretools.silo/argfix\"\n\t_ \"coretools.silo/signals\""), 1)
	text = append([]byte("//go:debug default=go1.26\n"), text...)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return err
	}
	for _, pkg := range []string{"argfix", "signals"} {
		to := filepath.Join(src, "src/coretools.silo", pkg)
		if err := os.RemoveAll(to); err != nil { // of a command that uses it too
			return err
		}
		if err := os.CopyFS(to, os.DirFS(pkg)); err != nil {
			return err
		}
	}
	return nil
}

// goBuild runs the compiler with nothing of the caller's that would change its
// output.
func (b *builder) goBuild(dir, out, ldflags, pkg string, extra []string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", ldflags, "-o", out, pkg)
	cmd.Dir = dir
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "GOFLAGS=") && !strings.HasPrefix(kv, "GOAMD64=") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+b.arch, "GOAMD64=v1")
	cmd.Env = append(cmd.Env, extra...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, text)
	}
	return nil
}
