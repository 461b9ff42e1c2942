// Command env prints the environment, or runs a command in a changed one.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("+i0u:C:", "env [-i0] [-u name] [-C folder] [name=value ...] [command [argument ...]]",
		map[string]string{"ignore-environment": "i", "unset": "u", "chdir": "C", "null": "0"})
	if opt.Has('i') {
		os.Clearenv()
	}
	for _, u := range opt.Values('u') {
		_ = os.Unsetenv(u)
	}
	args := opt.Operands
	for len(args) > 0 {
		name, value, ok := strings.Cut(args[0], "=")
		if !ok {
			break
		}
		if err := os.Setenv(name, value); err != nil {
			opt.Usage("%s: %v", args[0], err)
		}
		args = args[1:]
	}
	if len(args) == 0 {
		end := "\n"
		if opt.Has('0') {
			end = "\x00"
		}
		for _, kv := range os.Environ() {
			fmt.Print(kv + end)
		}
		return
	}
	if dir := opt.Value('C', ""); dir != "" {
		if err := os.Chdir(dir); err != nil {
			fail(err, 125)
		}
	}
	path, err := exec.LookPath(args[0])
	if err == nil {
		err = syscall.Exec(path, args, os.Environ())
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		fail(fmt.Errorf("%s: not found", args[0]), 127)
	}
	fail(fmt.Errorf("%s: %w", args[0], err), 126)
}

func fail(err error, code int) {
	fmt.Fprintf(os.Stderr, "env: %v\n", err)
	os.Exit(code)
}
