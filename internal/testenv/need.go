package testenv

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// Must tells whether this run may not skip anything (SILO_TEST_MUST=1, as
// `make test` sets it): a condition that is not met is then a failure.
func Must() bool { return os.Getenv("SILO_TEST_MUST") == "1" }

// NeedRoot skips a test without root, or fails it if nothing may be skipped.
func NeedRoot(t testing.TB) {
	t.Helper()
	Need(t, os.Geteuid() == 0, "needs root: run `sudo make test`")
}

// NeedCommand skips a test where a program of the host is not installed.
func NeedCommand(t testing.TB, name, debianPackage string) {
	t.Helper()
	for _, dir := range append(strings.Split(os.Getenv("PATH"), ":"), "/usr/sbin", "/sbin") {
		if _, err := os.Stat(dir + "/" + name); err == nil {
			return
		}
	}
	Need(t, false, "needs %s: apt-get install %s", name, debianPackage)
}

// Need skips a test for want of something that a package or a setting gives,
// which the words name. If nothing may be skipped, it fails the test.
func Need(t testing.TB, ok bool, format string, args ...any) {
	t.Helper()
	if ok {
		return
	}
	if Must() {
		t.Fatalf("SILO_TEST_MUST: "+format, args...)
	}
	t.Skipf(format, args...)
}

// NeedArch skips a test whose expectation is written for one architecture.
func NeedArch(t testing.TB, arch string) {
	t.Helper()
	if runtime.GOARCH != arch {
		excused(t, fmt.Sprintf("the expectation is written for %s, this is %s", arch, runtime.GOARCH))
	}
}

// NeedKernel skips a test of what kernels have from a version on.
func NeedKernel(t testing.TB, major, minor int, what string) {
	t.Helper()
	var u syscall.Utsname
	if err := syscall.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var release []byte
	for _, c := range u.Release {
		release = append(release, byte(c))
	}
	if older(string(release), major, minor) {
		excused(t, fmt.Sprintf("%s needs kernel %d.%d, this is %s", what, major, minor, bytes.TrimRight(release, "\x00")))
	}
}

// older tells whether a release as uname gives it is below a version.
func older(release string, major, minor int) bool {
	var x, y int
	if _, err := fmt.Sscanf(release, "%d.%d", &x, &y); err != nil {
		return false // a kernel that does not say so has no excuse
	}
	return x < major || x == major && y < minor
}

// NeedBuilt skips a test of what a kernel can be built without. It takes the
// kernel's own word for it: its configuration must say that the option is not
// set. Whatever else keeps the thing from working, such as a module that is
// not loaded, is as with Need.
func NeedBuilt(t testing.TB, ok bool, option, format string, args ...any) {
	t.Helper()
	if ok {
		return
	}
	if text := kernelConfig(); text != "" && !strings.Contains(text, "\n"+option+"=") {
		excused(t, "this kernel is built without "+option)
	}
	Need(t, false, format, args...)
}

// NeedProgram skips a test of what a kernel does with programs of one kind, if it
// executes none: err is what came of one. A kernel can be told so when it boots,
// or by what it runs on, and has no other word for it. The test is to run
// elsewhere as well (package e2e/vm).
func NeedProgram(t testing.TB, err error, kind string) {
	t.Helper()
	if errors.Is(err, syscall.ENOEXEC) {
		excused(t, "this kernel executes no "+kind)
	}
	Need(t, err == nil, "needs a kernel that executes %s: %v", kind, err)
}

// kernelConfig is the configuration of the running kernel, "" if it is not to
// be had.
func kernelConfig() string {
	if f, err := os.Open("/proc/config.gz"); err == nil {
		defer f.Close()
		if z, err := gzip.NewReader(f); err == nil {
			if text, err := io.ReadAll(z); err == nil {
				return string(text)
			}
		}
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return ""
	}
	text, err := os.ReadFile("/boot/config-" + strings.TrimSpace(string(release)))
	if err != nil {
		return ""
	}
	return string(text)
}

// excused skips a test for a reason that nobody can mend on this machine, so
// that it holds with SILO_TEST_MUST too. tools/run-tests lists what was
// skipped so, with the reasons, from the file that SILO_TEST_SKIPS names.
func excused(t testing.TB, why string) {
	t.Helper()
	if list := os.Getenv("SILO_TEST_SKIPS"); list != "" {
		f, err := os.OpenFile(list, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := fmt.Fprintf(f, "%s: %s\n", t.Name(), why); err != nil {
			t.Fatal(err)
		}
	}
	t.Skip(why)
}
