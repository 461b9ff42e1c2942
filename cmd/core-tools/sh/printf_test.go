package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

func TestPrintf(t *testing.T) {
	for _, c := range []struct {
		args, want string
		code       int
	}{
		{`'%5d|%-5d|%05d|%+d|% d|%.3d|%05.3d' 42 42 42 42 42 7 7`, "   42|42   |00042|+42| 42|007|  007", 0},
		{`'%o %#o %x %#x %X %#X %u %i' 8 8 255 255 255 255 -1 -7`, "10 010 ff 0xff FF 0XFF 18446744073709551615 -7", 0},
		{`'%#x %.0d|%#08x' 0 0 255`, "0 |0x0000ff", 0},
		{`'%.2f %e %E %g %G %10.3f|%-8.1f|%08.2f' 3.14159 1234.5 1234.5 0.00001234 1e100 2.5 1.5 -3.5`, "3.14 1.234500e+03 1.234500E+03 1.234e-05 1E+100      2.500|1.5     |-0003.50", 0},
		{`'%g %F %g' inf -inf nan`, "inf -INF nan", 0},
		{`'%10s|%-10s|%.2s|%*s|%.*s|%*s|' a b cde 3 f 2 ghi -4 j`, "         a|b         |cd|  f|gh|j   |", 0},
		{`'%c%c' abc def`, "ad", 0},
		{`'%b|%b' 'a\tb\0101\101' 'x\cy' z`, "a\tbAA|x", 0},
		{`'\101\x41\t\\\e\q\0|'`, "AA\t\\\x1b\\q\x00|", 0},
		{`'%s-%s,' a b c`, "a-b,c-,", 0},
		{`'%s|%d|'`, "|0|", 0},
		{`'none\n' a b`, "none\n", 0},
		{`'%d %d %d %d %d' 0x1f 017 -0x10 +5 ' 12'`, "31 15 -16 5 12", 0},
		{`'%d %d %f' "'a" '"é' "'a"`, "97 233 97.000000", 0},
		{`'%d.' 12abc`, "sh: printf: 12abc: not a number\n12.", 1},
		{`'%d %d,' 1 x 3`, "sh: printf: x: not a number\n1 0,3 0,", 1},
		{`%d 08`, "sh: printf: 08: not a number\n0", 1},
		{`%.1f 1.5x`, "sh: printf: 1.5x: not a number\n1.5", 1},
		{`%d 9223372036854775808`, "sh: printf: 9223372036854775808: out of range\n9223372036854775807", 1},
		{`'%d %u' -9223372036854775808 18446744073709551615`, "-9223372036854775808 18446744073709551615", 0},
		{`'a%y' 1`, "sh: printf: %y: no directive\na", 1},
		{`'a%'`, "sh: printf: %: no directive\na", 1},
		{`'%q|%%|%ld' 'a b' 3`, "'a b'|%|3", 0},
		{`-- '-%s' a`, "-a", 0},
		{``, "sh: printf: needs a format\n", 2},
	} {
		got, code := runShell(t, "", "-c", "printf "+c.args)
		if got != c.want || code != c.code {
			t.Errorf("printf %s\nwrote %q and ended with %d, want %q and %d", c.args, got, code, c.want, c.code)
		}
	}
}

// Links to the shell under the names of these builtins are programs.
func TestOtherNames(t *testing.T) {
	for _, c := range []struct{ args, want, code string }{
		{"printf|%03d|7", "007", "exit status 0"},
		{"[|-f|=|-f|]", "", "exit status 0"},
		{"test|a|=|b", "", "exit status 1"},
		{"[|1|-eq|a|]", "sh: [: a: not a number\n", "exit status 2"},
		{"printf|%d|x", "sh: printf: x: not a number\n0", "exit status 1"},
	} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Args = strings.Split(c.args, "|")
		cmd.Env = append(os.Environ(), "SH_UNDER_TEST=1")
		got, _ := cmd.CombinedOutput()
		if string(got) != c.want || cmd.ProcessState.String() != c.code {
			t.Errorf("%s wrote %q with %s, want %q with %s", c.args, got, cmd.ProcessState, c.want, c.code)
		}
	}
}

// A shell whose own output nobody reads ends as by SIGPIPE.
func TestClosedOutput(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := exec.Command("/proc/self/exe", "-c", "while :; do echo a; done")
	cmd.Args[0] = "sh"
	cmd.Env = append(os.Environ(), "SH_UNDER_TEST=1")
	cmd.Stdout = w
	_ = cmd.Run()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || ws.Signal() != syscall.SIGPIPE {
		t.Errorf("the shell ended with %s, want SIGPIPE", cmd.ProcessState)
	}
}
