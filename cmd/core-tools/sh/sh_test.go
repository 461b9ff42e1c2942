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

// A command that writes once does not mix its lines with those of others.
func TestEcho(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "\n"},
		{"a|b", "a b\n"},
		{"-n|a", "a"},
		{"-e|-n|a|-n", "a -n"},
		{"-ne|a\\tb", "a\tb"},
		{"-en|a\\n", "a\n"},
		{"-nE|a\\n", "a\\n"},
		{"-neE|a\\n", "a\\n"},
		{"-|a", "- a\n"},
		{"-nx|a", "-nx a\n"},
		{"--|a", "-- a\n"},
		{"-e|\\0101\\101\\x41\\\\|b\\cc|d", "A\\101A\\ b"},
		{"-e|\\q\\", "\\q\\\n"},
	} {
		var args []string
		if c.args != "" {
			args = strings.Split(c.args, "|")
		}
		if got := string(echo(args)); got != c.want {
			t.Errorf("echo %q prints %q, want %q", args, got, c.want)
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
		{"trap EXIT before a program", "trap 'echo bye' EXIT; ls /etc/passwd", "/etc/passwd\nbye\n", 0},
		{"trap EXIT in a function", "f() { trap 'echo bye' EXIT; }; f; ls /etc/passwd", "/etc/passwd\nbye\n", 0},
		{"trap EXIT and a status", "trap 'echo $?' EXIT; sh -c 'exit 3'", "3\n", 3},
		{"trap EXIT and exit", "trap 'echo $?' EXIT; exit 3", "3\n", 3},
		{"exit in a trap on EXIT", "trap 'exit 9' EXIT; exit 2", "", 9},
		{"exit 0 in a trap on EXIT", "trap 'exit 0' EXIT; exit 2", "", 0},
		{"trap on EXIT taken back", "trap 'echo bye' EXIT; trap - EXIT; trap; ls /etc/passwd", "/etc/passwd\n", 0},
		{"trap on EXIT listed", "trap 'echo bye' 0; trap", "trap -- 'echo bye' EXIT\nbye\n", 0},
		{"trap on EXIT of a subshell", "trap 'echo bye' EXIT; (trap - EXIT); x=$(trap : EXIT); :", "bye\n", 0},
		{"trap on EXIT with set -e", "trap 'echo bye' EXIT; set -e; false; echo no", "bye\n", 1},
		{"trap ERR before a program", "trap 'echo bad' ERR; sh -c 'exit 3'", "bad\n", 3},
		{"trap a signal", "trap 'echo got; exit 7' TERM; kill $$; sleep 0.1; echo not here", "got\n", 7},
		{"trap ends wait", "trap 'echo got; kill $p; exit 7' TERM; sleep 60 & p=$!; (sleep 0.1; kill $$) & wait; echo not here", "got\n", 7},
		{"ignored signal", "trap '' TERM; kill $$; echo alive", "alive\n", 0},
		{"trap reset", "trap 'echo x' USR1; trap - USR1; trap", "", 0},
		{"trap listing", "trap 'echo x' USR1; trap", "trap -- 'echo x' USR1\n", 0},
		{"killed", "kill -9 $$", "", -1},
		{"umask", "umask 077; umask; >f; ls -l f | cut -c1-10", "0077\n-rw-------\n", 0},
		{"mode of a new file", "umask 0; >f; umask 002; echo a >|g; ls -l f g | cut -c1-10", "-rw-rw-rw-\n-rw-rw-r--\n", 0},
		{"a redirection through a link", "mkdir -p d/e; ln -s d/e l; echo a >l/../f; cat d/f", "a\n", 0},
		{"umask wrong", "umask x", "sh: umask: x: not an octal mode\n", 1},
		{"ulimit", "ulimit -n 64; ulimit -n; ulimit -Hn", "64\n64\n", 0},
		{"ulimit unknown", "ulimit -Z", "sh: ulimit: -Z: unknown limit\n", 1},
		{"a number that is none", "[ 1 -eq a ]", "sh: [: a: not a number\n", 2},
		{"missing bracket", "[ a", "sh: [: missing ]\n", 2},
		{"closed pipe", "while :; do echo a; done | head -n 1; echo done", "a\ndone\n", 0},
		{"closed pipe of a function", "f() { while :; do echo a; done; }; f | head -n 1; echo done", "a\ndone\n", 0},
		{"closed pipe of a subshell", "(while :; do printf 'a\n'; done) | head -n 1; echo done", "a\ndone\n", 0},
		{"closed pipe in the middle", "while :; do echo a; done | while read x; do echo $x; done | head -n 1; echo done", "a\ndone\n", 0},
		{"closed pipe's status", "set -o pipefail; while :; do echo a; done | head -n 1; echo $?", "a\n141\n", 0},
		{"full device", "echo a >/dev/full; echo $?", "sh: echo: no space left on device\n1\n", 0},
		{"return gives the status before", "g() { false; return; }; g; echo $?; if g; then echo no; fi", "1\n", 0},
		{"tenth parameter", "set -- 1 2 3 4 5 6 7 8 9 'j  j'; echo ${10} \"${10}\" x\"${11}\" ${12-none} ${#10} ${10%j}; (echo ${#10}) & wait", "j j j  j x none 4 j\n4\n", 0},
		{"tenth parameter of a function", "k() { echo ${10} | cat; }; k 1 2 3 4 5 6 7 8 9 j", "j\n", 0},
		{"$$ in a pipe", "test $$ = $(echo $$ | cat) && echo same", "same\n", 0},
		{"$! in a pipe", "{ sh -c 'exit 3' & wait $!; echo $?; } | cat", "3\n", 0},
		{"FIFO in the background", "mkfifo p; echo hi >p & cat p; cat <p & echo ho >p; wait", "hi\nho\n", 0},
		{"FIFO and words", "mkfifo p; f=p; set -- a; sh -c 'echo $0 $1' $1 b >$f & cat p", "a b\n", 0},
		{"FIFO and a here document", "mkfifo p; cat <<X >p & cat p\na\nX", "a\n", 0},
		{"number of a job with a file", "sh -c 'echo $$' >f & wait; test $(cat f) = $! && echo same", "same\n", 0},
		{"file of a parameter", "set -- f; echo a >$1 & wait; cat f", "a\n", 0},
		{"file in no folder", "echo a >/nosuch/f & wait $!; echo $?", "open /nosuch/f: no such file or directory\n1\n", 0},
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

// The number of arguments tells which are operators.
func TestTest(t *testing.T) {
	for _, c := range []struct {
		text string
		code int
	}{
		{"test", 1},
		{"[ ]", 1},
		{"[ '' ]", 1},
		{"[ a ]", 0},
		{"[ -f ]", 0},
		{"[ ! ]", 0},
		{"[ ! a ]", 1},
		{"[ ! '' ]", 0},
		{"[ -n '' ]", 1},
		{"[ -z '' ]", 0},
		{"[ x y ]", 2},
		{"[ '(' ')' ]", 2},
		{`set -- -f; [ "$1" = "-f" ]`, 0},
		{`set -- -o; [ "$1" != "" ]`, 0},
		{"test -n = -n", 0},
		{"[ ! = ! ]", 0},
		{"[ '(' = ')' ]", 1},
		{"[ a == a ]", 0},
		{"[ a \\< b ]", 0},
		{"[ a \\> b ]", 1},
		{"[ a -a '' ]", 1},
		{"[ a -o '' ]", 0},
		{"[ a b c ]", 2},
		{"[ 010 -eq 10 ]", 0},
		{"[ ' 5 ' -ne 5 ]", 1},
		{"[ -1 -lt +1 ]", 0},
		{"[ 2 -le 1 ]", 1},
		{"[ 2 -gt 1 ]", 0},
		{"[ 1 -ge 2 ]", 1},
		{"[ ! -f /etc/passwd ]", 1},
		{"[ '(' a ')' ]", 0},
		{"[ '(' '' ')' ]", 1},
		{"[ ! a = b ]", 0},
		{"[ '(' -n a ')' ]", 0},
		{"[ -n a = b ]", 2},
		{"[ a = a -a b = c ]", 1},
		{"[ a = b -o b = b ]", 0},
		{"[ ! '(' a = b -o b = b ')' -a c ]", 1},
		{"[ -d / -a -f /etc/passwd -a ! -d /etc/passwd ]", 0},
		{"[ -d / ]", 0},
		{"[ -e '' ]", 1},
		{"[ -c /dev/null ]", 0},
		{"[ -b /dev/null ]", 1},
		{"[ -s /etc/passwd ]", 0},
		{"[ -s /dev/null ]", 1},
		{"ln -s x l; [ -L l ] && [ -h l ] && [ ! -e l ]", 0},
		{"mkfifo p; [ -p p ]", 0},
		{"[ -S / ]", 1},
		{"[ -k /tmp ]", 0},
		{"[ -t 0 ]", 1},
		{"[ -t x ]", 2},
		{">f; chmod 6755 f; [ -u f ] && [ -g f ] && [ -O f ] && [ -G f ] && [ -r f ] && [ -w f ] && [ -x f ]", 0},
		{"[ -x /etc/passwd ]", 1},
		{"v=; [ -v v ]", 0},
		{"[ -v nosuch ]", 1},
		{"[ -o errexit ]", 1},
		{"set -e; [ -o errexit ]", 0},
		{"[ / -ef /. ]", 0},
		{"[ / -nt /nosuch ]", 0},
		{"[ /nosuch -ot / ]", 0},
		{"[ /nosuch -nt / ]", 1},
		{"cd /; [ -e etc/passwd ]", 0},
		{"command [ -f = -f ]", 0},
		{"test() { return 7; }; test", 7},
		{"[ -d / ] >/nosuch/f", 1},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			got, code := runShell(t, "", "-c", c.text)
			lines := 0
			if c.code == 2 || strings.Contains(c.text, "/nosuch/f") {
				lines = 1
			}
			if code != c.code || strings.Count(got, "\n") != lines {
				t.Errorf("ended with %d and wrote %q, want %d and %d lines", code, got, c.code, lines)
			}
		})
	}
}

// A script in a file runs its trap on EXIT too, whatever its last command is.
func TestTrapInFile(t *testing.T) {
	path := t.TempDir() + "/script"
	if err := os.WriteFile(path, []byte("trap 'echo bye' EXIT\nls /etc/passwd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, code := runShell(t, "", path)
	if want := "/etc/passwd\nbye\n"; got != want || code != 0 {
		t.Errorf("wrote %q and ended with %d, want %q and 0", got, code, want)
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
		{"parameters", "", []string{"-c", "echo $0 $1 $#", "name", "a", "b"}, "name a 2\n", 0},
		{"-e", "", []string{"-e", "-c", "false; echo no"}, "", 1},
		{"-ec", "", []string{"-ec", "false; echo no"}, "", 1},
		{"-x", "", []string{"-xc", "echo a"}, "+ echo a\na\n", 0},
		{"-o", "", []string{"-o", "errexit", "-c", "false; echo no"}, "", 1},
		{"unknown option", "", []string{"-Z"}, "sh: -Z: unknown option -Z\nusage: sh [-ilaefnuvx] [-o option] [-c command | -s | script] [argument ...]\n", 2},
		{"-c without command", "", []string{"-c"}, "sh: -c: needs a command\nusage: sh [-ilaefnuvx] [-o option] [-c command | -s | script] [argument ...]\n", 2},
		{"no such script", "", []string{"/nosuch"}, "sh: /nosuch: no such file or directory\n", 127},
		{"standard input", "echo a\nexit 4\necho b\n", nil, "a\n", 4},
		{"commands share standard input", "read x\nthe line\necho got $x\nhead -n 1\nfor head\n", nil, "got the line\nfor head\n", 0},
		{"last line without end", "echo a", nil, "a\n", 0},
		{"trap on EXIT from standard input", "trap 'echo bye' EXIT\nls /etc/passwd\n", nil, "/etc/passwd\nbye\n", 0},
		{"-s", "echo $0 $1 $#\n", []string{"-s", "--", "-a", "b"}, "sh -a 2\n", 0},
		{"-es", "echo $#; false\necho no\n", []string{"-es"}, "0\n", 1},
		{"no name after -c", "", []string{"-c", "echo $0; eval 'echo $0'"}, "sh\nsh\n", 0},
		{"name in a pipe", "", []string{"-c", "echo ${0##*/} | cat; (echo $0) & wait", "a/b"}, "b\na/b\n", 0},
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

// A signal that the shell has had sent to itself is there before it goes on,
// whichever thread gets it.
func TestKillsItself(t *testing.T) {
	tests := []struct {
		name, script, want string
		status             int
	}{
		{"ends it", "kill -15 $$; echo on", "", -1},
		{"another end", "kill -USR1 $$; echo on", "", -1},
		{"no stacks", "kill -QUIT $$; echo on", "", -1},
		{"default again", "trap : QUIT USR2; trap - QUIT USR2; kill -QUIT $$; echo on", "", -1},
		{"ignored", "trap '' TERM; kill -15 $$; echo on", "on\n", 0},
		{"has a trap", "trap 'echo got' TERM; kill -s TERM $$; echo on", "got\non\n", 0},
		{"trap at the end", "trap 'echo got' USR1; kill -USR1 $$", "got\n", 0},
		{"trap, from another", "trap 'echo got' HUP; /bin/sh -c 'kill -1 $PPID'; echo on", "got\non\n", 0},
		{"trap, from another, at the end", "trap 'echo got; exit 3' USR2; /bin/sh -c 'kill -USR2 $PPID'", "got\n", 3},
		{"several", "trap 'echo hup' HUP; trap 'echo int' INT; /bin/sh -c 'kill -1 $PPID; kill -2 $PPID'; echo on", "hup\nint\non\n", 0},
		{"to no other", "trap 'echo got' TERM; sleep 5 & kill $!; wait $!; echo $?", "143\n", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for range 10 {
				if out, status := runShell(t, "", "-c", tt.script); out != tt.want || status != tt.status {
					t.Fatalf("%q and %d, want %q and %d", out, status, tt.want, tt.status)
				}
			}
		})
	}
}
