package testenv

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// asked records what a test asked for, in place of being left out.
type asked struct {
	testing.TB
	skipped, failed string
}

// stop is what Skip and Fatal panic with here, as they do not return.
type stop struct{}

func (a *asked) Helper() {}

func (a *asked) Name() string { return "TestAsked" }

func (a *asked) Skip(args ...any) { a.skipped, _ = args[0].(string); panic(stop{}) }

func (a *asked) Skipf(format string, _ ...any) { a.skipped = format; panic(stop{}) }

func (a *asked) Fatalf(format string, _ ...any) { a.failed = format; panic(stop{}) }

// ask runs f to its end, or to where a test would have ended.
func ask(t *testing.T, f func(testing.TB)) (a *asked) {
	t.Helper()
	a = &asked{TB: t}
	defer func() {
		if r := recover(); r != nil && r != (stop{}) {
			panic(r)
		}
	}()
	f(a)
	return a
}

func TestNeed(t *testing.T) {
	missing := func(a testing.TB) { Need(a, false, "needs a thing") }
	t.Setenv("SILO_TEST_MUST", "")
	for _, tt := range []struct {
		name, must string
		f          func(testing.TB)
		skip, fail string
	}{
		{"there", "1", func(a testing.TB) { Need(a, true, "needs a thing") }, "", ""},
		{"missing", "", missing, "needs a thing", ""},
		{"missing, nothing may be skipped", "1", missing, "", "needs a thing"},
		{"command", "1", func(a testing.TB) { NeedCommand(a, "no-such-program", "none") }, "", "needs %s"},
		{"this architecture", "1", func(a testing.TB) { NeedArch(a, runtime.GOARCH) }, "", ""},
		{"another architecture", "1", func(a testing.TB) { NeedArch(a, "vax") }, "written for vax", ""},
		{"this kernel", "1", func(a testing.TB) { NeedKernel(a, 2, 6, "all") }, "", ""},
		{"a later kernel", "1", func(a testing.TB) { NeedKernel(a, 999, 0, "magic") }, "magic needs kernel 999.0", ""},
		{"an option that is there", "1", func(a testing.TB) { NeedBuilt(a, true, "CONFIG_X", "needs x") }, "", ""},
		{"programs that run", "1", func(a testing.TB) { NeedProgram(a, nil, "old programs") }, "", ""},
		{"programs that are refused", "1", func(a testing.TB) { NeedProgram(a, &os.PathError{Err: syscall.ENOEXEC}, "old programs") }, "executes no old programs", ""},
		{"programs that are not there", "1", func(a testing.TB) { NeedProgram(a, os.ErrNotExist, "old programs") }, "", "executes %s"},
		// Whatever this kernel says of itself, it has namespaces.
		{"an option that is set", "1", func(a testing.TB) { NeedBuilt(a, false, "CONFIG_NAMESPACES", "needs namespaces") }, "", "needs namespaces"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("SILO_TEST_MUST", tt.must)
			a := ask(t, tt.f)
			if !same(a.skipped, tt.skip) || !same(a.failed, tt.fail) {
				t.Errorf("skipped %q, failed %q; want %q, %q", a.skipped, a.failed, tt.skip, tt.fail)
			}
		})
	}
}

// same compares a text with a part of it, "" with "" only.
func same(got, part string) bool { return (got == "") == (part == "") && strings.Contains(got, part) }

func TestOlder(t *testing.T) {
	for release, want := range map[string]bool{
		"6.1.0-56-cloud-amd64": true, "6.11.9": true, "5.19": true, "6.12.0-rc1": false, "6.18.44": false, "7.0": false, "what": false,
	} {
		if got := older(release, 6, 12); got != want {
			t.Errorf("%s below 6.12: %v, want %v", release, got, want)
		}
	}
}

// TestExcusesAreListed wants each excused skip in the list, with its reason.
func TestExcusesAreListed(t *testing.T) {
	list := filepath.Join(t.TempDir(), "skips")
	t.Setenv("SILO_TEST_SKIPS", list)
	for _, arch := range []string{"vax", "pdp11"} {
		ask(t, func(a testing.TB) { NeedArch(a, arch) })
	}
	got, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(got), "TestAsked: the expectation is written for "); n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, got)
	}
}
