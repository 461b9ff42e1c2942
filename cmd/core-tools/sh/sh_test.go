package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain lets the test binary be the shell: children of it, and the shells
// that it starts for background lists, run main.
func TestMain(m *testing.M) {
	if os.Getenv("SH_UNDER_TEST") == "1" {
		main()
	}
	os.Exit(m.Run())
}

// run gives what a shell writes, both streams together, and its exit status.
func runShell(t *testing.T, stdin string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "sh"
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "SH_UNDER_TEST=1")
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var ee *exec.ExitError
	if err != nil && !errors.As(err, &ee) {
		t.Fatal(err)
	}
	if cmd.ProcessState.Exited() {
		return out.String(), cmd.ProcessState.ExitCode()
	}
	return out.String(), -1
}

// Every echo is one write, so that lines are not mixed.
func TestOneWrite(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"echo", "echo|-n|\n"}, {"echo|a|b", "echo|-n|a b\n"}, {"echo|-n|a", "echo|-n|a"}, {"echo|-e|-n|a|-n", "echo|-n|-e|a -n"},
	} {
		if got := strings.Join(oneWrite(strings.Split(c.args, "|")), "|"); got != c.want {
			t.Errorf("%s becomes %q, want %q", c.args, got, c.want)
		}
	}
}

func TestCommands(t *testing.T) {
	tests := []struct {
		name, text, want string
		code             int
	}{
		{"status", "sh -c 'exit 3' || echo $?", "3\n", 0},
		{"exit status", "exit 7", "", 7},
		{"last command's status", "false", "", 1},
		{"set -e", "set -e; false; echo no", "", 1},
		{"not found", "nosuch", "sh: nosuch: not found\n", 127},
		{"not executable", "/etc/passwd", "sh: /etc/passwd: permission denied\n", 126},
		{"a folder", "/etc", "sh: /etc: is a directory\n", 126},
		{"syntax", "echo (", "sh: sh:1:1: `foo(` must be followed by `)`\n", 2},
		{"pipe", "printf 'b\\na\\n' | sort | head -n 1", "a\n", 0},
		{"echo", "echo a  'b  c'; echo -n x; echo -e 'a\\tb'; echo; echo -x -n; echo '%d'; echo -n -n", "a b  c\nxa\tb\n\n-x -n\n%d\n", 0},
		{"function named echo", "echo() { printf '%s.' \"$@\"; }; echo a -n", "a.-n.", 0},
		{"loop", "for i in 1 2; do echo $i; done", "1\n2\n", 0},
		{"function", "f() { echo f $1; return 4; }; f x; echo $?", "f x\n4\n", 0},
		{"here document", "cat <<X\na $((1+2))\nX", "a 3\n", 0},
		{"here document for exec", "exec cat <<X\na\nX", "a\n", 0},
		{"redirection", "echo a >f; echo b >>f; cat <f", "a\nb\n", 0},
		{"standard error", "sh -c 'echo x >&2' 2>&1", "x\n", 0},
		{"cd", "cd /; pwd", "/\n", 0},
		{"subshell", "(cd /; exit 3); echo $?", "3\n", 0},
		{"exec in a subshell", "(exec echo in); echo after", "in\nafter\n", 0},
		{"exec replaces the shell", "echo $$ >pid; exec sh -c 'test $(cat pid) = $$ && echo same'", "same\n", 0},
		{"the last command replaces the shell", "echo $$ >pid\nsh -c 'test $(cat pid) = $$ && echo same'", "same\n", 0},
		{"a function as last command", "ls() { echo mine; }; ls", "mine\n", 0},
		{"background", "sleep 0.01 & wait $!; echo $?", "0\n", 0},
		{"background status", "sh -c 'exit 5' & wait $!; echo $?", "5\n", 0},
		{"background list", "x=1; (echo $x; exit 2) & wait $!; echo $?", "1\n2\n", 0},
		{"background function", "f() { echo $1; }; f a & wait", "a\n", 0},
		{"background pipe", "echo a | cat & wait", "a\n", 0},
		{"kill a job", "sleep 60 & kill $!; wait $!; echo $?", "143\n", 0},
		{"kill by job number", "sleep 60 & kill %1; wait %1; echo $?", "143\n", 0},
		{"$$ in a list", "p=$$; (test $$ = $p && echo same) & wait", "same\n", 0},
		{"wait for a stranger", "wait 1", "sh: wait: 1: not a job of this shell\n", 127},
		{"trap EXIT", "trap 'echo bye' EXIT; echo hi", "hi\nbye\n", 0},
		{"trap a signal", "trap 'echo got; exit 7' TERM; kill $$; sleep 0.1; echo not here", "got\n", 7},
		{"trap ends wait", "trap 'echo got; kill $p; exit 7' TERM; sleep 60 & p=$!; (sleep 0.1; kill $$) & wait; echo not here", "got\n", 7},
		{"ignored signal", "trap '' TERM; kill $$; echo alive", "alive\n", 0},
		{"trap reset", "trap 'echo x' USR1; trap - USR1; trap", "", 0},
		{"trap listing", "trap 'echo x' USR1; trap", "trap -- 'echo x' USR1\n", 0},
		{"killed", "kill -9 $$", "", -1},
		{"umask", "umask 077; umask; >f; ls -l f | cut -c1-10", "0077\n-rw-------\n", 0},
		{"umask wrong", "umask x", "sh: umask: x: not an octal mode\n", 1},
		{"ulimit", "ulimit -n 64; ulimit -n; ulimit -Hn", "64\n64\n", 0},
		{"ulimit unknown", "ulimit -Z", "sh: ulimit: -Z: unknown limit\n", 1},
		{"special characters", "echo 'a\"b' \"c'd\" \\$x", "a\"b c'd $x\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, code := runShell(t, "", "-c", tt.text)
			if got != tt.want || code != tt.code {
				t.Errorf("%s\nwrote %q and ended with %d, want %q and %d", tt.text, got, code, tt.want, tt.code)
			}
		})
	}
}

func TestArguments(t *testing.T) {
	tests := []struct {
		name  string
		stdin string
		args  []string
		want  string
		code  int
	}{
		{"parameters", "", []string{"-c", "echo $0 $1 $#", "name", "a", "b"}, "sh a 2\n", 0},
		{"-e", "", []string{"-e", "-c", "false; echo no"}, "", 1},
		{"-ec", "", []string{"-ec", "false; echo no"}, "", 1},
		{"-x", "", []string{"-xc", "echo a"}, "+ echo a\na\n", 0},
		{"-o", "", []string{"-o", "errexit", "-c", "false; echo no"}, "", 1},
		{"unknown option", "", []string{"-Z"}, "sh: -Z: unknown option -Z\nusage: sh [-ilaefnuvx] [-o option] [-c command | script] [argument ...]\n", 2},
		{"-c without command", "", []string{"-c"}, "sh: -c: needs a command\nusage: sh [-ilaefnuvx] [-o option] [-c command | script] [argument ...]\n", 2},
		{"no such script", "", []string{"/nosuch"}, "sh: /nosuch: no such file or directory\n", 127},
		{"standard input", "echo a\nexit 4\necho b\n", nil, "a\n", 4},
		{"commands share standard input", "read x\nthe line\necho got $x\nhead -n 1\nfor head\n", nil, "got the line\nfor head\n", 0},
		{"last line without end", "echo a", nil, "a\n", 0},
		{"prompts without a terminal", "echo a\n", []string{"-i"}, "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, code := runShell(t, tt.stdin, tt.args...)
			if tt.name == "prompts without a terminal" {
				if !strings.Contains(got, "a\n") || strings.Count(got, "# ")+strings.Count(got, "$ ") != 2 {
					t.Errorf("wrote %q, want two prompts and a", got)
				}
				return
			}
			if got != tt.want || code != tt.code {
				t.Errorf("wrote %q and ended with %d, want %q and %d", got, code, tt.want, tt.code)
			}
		})
	}
}
