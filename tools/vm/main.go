// Vm runs a command or a package's tests under another kernel: Debian's, in a
// virtual machine that needs no KVM, with nothing installed on the host.
//
//	go run ./tools/vm test ./internal/cgroup -test.v
//	go run ./tools/vm -cgroup v1 -modules loop,overlay -file /bin/silod=bin/silod run silod --version
//
// The machine has no disk and no network: what it runs is in its initial RAM
// file system, with busybox beside it. Its first process is this program.
// Kernel, qemu and busybox come from Debian by `apt-get download` and are
// unpacked into a cache folder, so that no package's scripts run.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	if os.Getpid() == 1 {
		guest()
	}
	code, err := host(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "vm: %v\n", err)
		os.Exit(125)
	}
	os.Exit(code)
}

// options are what the command line says.
type options struct {
	cache, kernel, cgroup, modules, extra string
	memory, cpus                          int
	timeout                               time.Duration
	files, tools                          list
	disk, cut                             string
}

// list is a flag that may be repeated.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

func host(args []string) (code int, err error) {
	o := options{}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	flags := flag.NewFlagSet("vm", flag.ContinueOnError)
	flags.StringVar(&o.cache, "cache", filepath.Join(cache, "silo-vm"), "folder for downloaded packages")
	flags.StringVar(&o.kernel, "kernel", "linux-image-cloud-amd64", "Debian package of the kernel")
	flags.StringVar(&o.cgroup, "cgroup", "v2", "cgroup arrangement of the machine: v1, hybrid or v2")
	flags.StringVar(&o.modules, "modules", "", "kernel modules to load, separated by commas")
	flags.StringVar(&o.extra, "append", "", "more words for the kernel's command line")
	flags.IntVar(&o.memory, "memory", 768, "MiB")
	flags.IntVar(&o.cpus, "cpus", 1, "processors")
	flags.DurationVar(&o.timeout, "timeout", 10*time.Minute, "after this the machine is stopped")
	flags.Var(&o.files, "file", "GUEST=HOST: put a file or folder of the host into the machine (repeatable)")
	flags.Var(&o.tools, "tool", "a program of the host to put into the machine, with its libraries (repeatable)")
	flags.StringVar(&o.disk, "disk", "", "file for a disk, mounted at /disk; made with ext4 in it (4 GiB, sparse) if it does not exist")
	flags.StringVar(&o.cut, "cut", "", "when the console shows a line with this text, cut the power and exit with 0")
	if err := flags.Parse(args); err != nil {
		return 0, err
	}
	if flags.NArg() < 2 || (flags.Arg(0) != "test" && flags.Arg(0) != "run") {
		return 0, errors.New("usage: vm [flags] test PACKAGE [test flags] | run COMMAND [arguments]")
	}
	work, err := os.MkdirTemp("", "silo-vm")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(work)
	kit, err := fetch(o)
	if err != nil {
		return 0, err
	}
	command := flags.Args()[1:]
	if flags.Arg(0) == "test" {
		if command, err = buildTest(&o, work, command); err != nil {
			return 0, err
		}
	}
	if err := makeDisk(o.disk); err != nil {
		return 0, fmt.Errorf("make disk %s: %w", o.disk, err)
	}
	image := filepath.Join(work, "initramfs")
	j := job{Command: command, Cgroup: o.cgroup, Modules: kit.order, Must: os.Getenv("SILO_TEST_MUST"), Disk: o.disk != ""}
	if err := writeInitramfs(image, o, kit, j); err != nil {
		return 0, fmt.Errorf("initial RAM file system: %w", err)
	}
	return boot(o, kit, image)
}

// buildTest makes the test binary of a package; its testdata goes with it.
func buildTest(o *options, work string, args []string) ([]string, error) {
	binary := filepath.Join(work, "tests")
	cmd := exec.Command("go", "test", "-c", "-o", binary, args[0])
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("build the tests of %s: %w", args[0], err)
	}
	o.files = append(o.files, "/package/tests="+binary)
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", args[0]).Output()
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", args[0], err)
	}
	if data := filepath.Join(strings.TrimSpace(string(dir)), "testdata"); isDir(data) {
		o.files = append(o.files, "/package/testdata="+data)
	}
	return append([]string{"/package/tests"}, args[1:]...), nil
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}
