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
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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
	files                                 fileList
}

// fileList is a repeated flag GUEST=HOST.
type fileList []string

func (f *fileList) String() string     { return strings.Join(*f, " ") }
func (f *fileList) Set(v string) error { *f = append(*f, v); return nil }

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
	image := filepath.Join(work, "initramfs")
	if err := writeInitramfs(image, o, kit, job{Command: command, Cgroup: o.cgroup, Modules: kit.order, Must: os.Getenv("SILO_TEST_MUST")}); err != nil {
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

// exitMark begins the line by which the guest tells how its command ended.
const exitMark = "silo-vm: exit "

// boot runs the machine, passes its console on, and gives the exit code that
// the guest reported. A machine that ends without is an error.
func boot(o options, k kit, image string) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()
	line := "console=ttyS0 loglevel=1 panic=-1 reboot=t random.trust_cpu=on " + cgroupWords(o.cgroup) + " " + o.extra
	accel := "tcg"
	if _, err := os.Stat("/dev/kvm"); err == nil {
		accel = "kvm:tcg"
	} else {
		line += " " + clockWord()
	}
	cmd := exec.CommandContext(ctx, k.qemu, "-L", k.firmware, "-machine", "microvm,accel="+accel, "-cpu", "max",
		"-m", strconv.Itoa(o.memory), "-smp", strconv.Itoa(o.cpus), "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-serial", "stdio", "-kernel", k.kernel, "-initrd", image, "-append", strings.TrimSpace(line))
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+k.libraries)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	code, err := console(out, os.Stdout)
	if waitErr := cmd.Wait(); err == nil && code < 0 {
		if ctx.Err() != nil {
			return 0, fmt.Errorf("the machine did not end within %v", o.timeout)
		}
		return 0, fmt.Errorf("the machine ended without a result: %v", waitErr)
	}
	return code, err
}

// console copies the guest's output but for the exit mark; -1 if none came.
func console(from io.Reader, to io.Writer) (int, error) {
	code := -1
	r := bufio.NewReader(from)
	for {
		line, err := r.ReadString('\n')
		if before, mark, ok := strings.Cut(line, exitMark); ok {
			n, convErr := strconv.Atoi(strings.TrimSpace(mark))
			if convErr != nil {
				return 0, fmt.Errorf("the guest's exit mark: %w", convErr)
			}
			code, line = n, before
		}
		if _, writeErr := io.WriteString(to, strings.ReplaceAll(line, "\r\n", "\n")); writeErr != nil {
			return 0, writeErr
		}
		if err != nil {
			return code, nil
		}
	}
}

// clockWord tells an emulated machine how fast its clock counts, which is the
// host's: measured in there on a busy host it fails now and then, and the
// kernel then waits for ever.
func clockWord() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "cpu MHz" {
			if mhz, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil {
				return fmt.Sprintf("tsc_early_khz=%d", int(mhz*1000))
			}
		}
	}
	return ""
}

// cgroupWords keep controllers out of version 2 where version 1 is to have them.
func cgroupWords(mode string) string {
	if mode == "v2" {
		return "cgroup_no_v1=all"
	}
	return ""
}
