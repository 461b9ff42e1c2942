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

// defaultPath is where commands are looked for without PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func main() {
	opt := getopt.Parse("+i0u:C:", "env [-i0] [-u name] [-C folder] [name=value ...] [command [argument ...]]",
		map[string]string{"ignore-environment": "i", "unset": "u", "chdir": "C", "null": "0"})
	args := opt.Operands
	lone := len(args) > 0 && args[0] == "-" // the old way to write -i
	if lone {
		args = args[1:]
	}
	if lone || opt.Has('i') {
		os.Clearenv()
	}
	for _, u := range opt.Values('u') {
		_ = os.Unsetenv(u)
	}
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
	vars := os.Environ()
	path, err := find(args[0])
	if err == nil {
		err = syscall.Exec(path, args, vars)
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		fail(fmt.Errorf("%s: not found", args[0]), 127)
	}
	fail(fmt.Errorf("%s: %w", args[0], err), 126)
}

// find looks for a command. What it sets is for the search alone: the command
// gets the variables as they were.
func find(name string) (string, error) {
	if _, ok := os.LookupEnv("PATH"); !ok {
		if err := os.Setenv("PATH", defaultPath); err != nil {
			return "", err
		}
	}
	return exec.LookPath(name)
}

func fail(err error, code int) {
	fmt.Fprintf(os.Stderr, "env: %v\n", err)
	os.Exit(code)
}
