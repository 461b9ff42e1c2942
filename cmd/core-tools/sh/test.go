package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
	"mvdan.cc/sh/v3/interp"
)

// tester judges one call of test or [.
type tester struct {
	hc   interp.HandlerContext
	name string
}

// errTest is why a call of test has no answer.
type errTest string

func (e errTest) Error() string { return string(e) }

// test is the builtin of that name, and [. POSIX tells by the number of
// arguments which of them are operators, so that no value of a variable is taken
// for one. More than these are an expression with -a and -o; the library's
// parser is not asked, as it panics on some.
func test(ctx context.Context, hc interp.HandlerContext, name string, args []string) error {
	t := tester{hc, name}
	if name == "[" {
		if len(args) == 0 || args[len(args)-1] != "]" {
			complain(hc, name, "missing ]")
			return interp.ExitStatus(2)
		}
		args = args[:len(args)-1]
	}
	yes, err := false, error(nil)
	switch {
	case len(args) == 2 && (args[0] == "-o" || args[0] == "-R"): // of the library's inside
		return hc.Builtin(ctx, append([]string{"test"}, args...))
	case len(args) <= 3:
		yes, err = t.few(args)
	case len(args) == 4 && args[0] == "!":
		yes, err = t.few(args[1:])
		yes = !yes
	case len(args) == 4 && args[0] == "(" && args[3] == ")":
		yes, err = t.few(args[1:3])
	default:
		yes, err = t.many(args)
	}
	switch {
	case err != nil:
		complain(hc, name, "%v", err)
		return interp.ExitStatus(2)
	case !yes:
		return interp.ExitStatus(1)
	}
	return nil
}

// few judges up to three arguments.
func (t tester) few(args []string) (bool, error) {
	switch len(args) {
	case 0:
		return false, nil
	case 1:
		return args[0] != "", nil
	case 2:
		if args[0] == "!" {
			return args[1] == "", nil
		}
		return t.unary(args[0], args[1])
	}
	yes, known, err := t.binary(args[0], args[1], args[2])
	switch {
	case known:
		return yes, err
	case args[0] == "!":
		yes, err = t.few(args[1:])
		return !yes, err
	case args[0] == "(" && args[2] == ")":
		return args[1] != "", nil
	}
	return false, errTest(args[1] + ": not an operator between two words")
}

// many judges an expression: -o binds least, then -a, then !.
func (t tester) many(args []string) (bool, error) {
	yes, rest, err := t.either(args)
	if err == nil && len(rest) > 0 {
		err = errTest(rest[0] + ": too many arguments")
	}
	return yes, err
}

func (t tester) either(args []string) (yes bool, rest []string, err error) {
	yes, rest, err = t.both(args)
	for err == nil && len(rest) > 0 && rest[0] == "-o" {
		var more bool
		more, rest, err = t.both(rest[1:])
		yes = yes || more
	}
	return yes, rest, err
}

func (t tester) both(args []string) (yes bool, rest []string, err error) {
	yes, rest, err = t.primary(args)
	for err == nil && len(rest) > 0 && rest[0] == "-a" {
		var more bool
		more, rest, err = t.primary(rest[1:])
		yes = yes && more
	}
	return yes, rest, err
}

func (t tester) primary(args []string) (yes bool, rest []string, err error) {
	if len(args) > 2 && args[1] != "-a" && args[1] != "-o" {
		if yes, known, err := t.binary(args[0], args[1], args[2]); known {
			return yes, args[3:], err
		}
	}
	switch {
	case len(args) == 0:
		return false, nil, errTest("needs a word at the end")
	case args[0] == "!" && len(args) > 1:
		yes, rest, err = t.primary(args[1:])
		return !yes, rest, err
	case args[0] == "(" && len(args) > 1:
		yes, rest, err = t.either(args[1:])
		switch {
		case err != nil:
			return false, nil, err
		case len(rest) == 0 || rest[0] != ")":
			return false, nil, errTest("missing )")
		}
		return yes, rest[1:], nil
	case len(args) > 1 && isUnary(args[0]):
		yes, err = t.unary(args[0], args[1])
		return yes, args[2:], err
	}
	return args[0] != "", args[1:], nil
}

func isUnary(op string) bool {
	return fileTests[op] != nil || slices.Contains([]string{"-n", "-z", "-v", "-t", "-r", "-w", "-x", "-L", "-h"}, op)
}

// binary judges x op y; known tells whether op is an operator at all.
func (t tester) binary(x, op, y string) (yes, known bool, err error) {
	switch op {
	case "=", "==":
		return x == y, true, nil
	case "!=":
		return x != y, true, nil
	case "<":
		return x < y, true, nil
	case ">":
		return x > y, true, nil
	case "-a":
		return x != "" && y != "", true, nil
	case "-o":
		return x != "" || y != "", true, nil
	case "-nt":
		return t.newer(x, y), true, nil
	case "-ot":
		return t.newer(y, x), true, nil
	case "-ef":
		a, errA := os.Stat(t.path(x))
		b, errB := os.Stat(t.path(y))
		return errA == nil && errB == nil && os.SameFile(a, b), true, nil
	case "-eq", "-ne", "-lt", "-le", "-gt", "-ge":
		yes, err = compare(x, op, y)
		return yes, true, err
	}
	return false, false, nil
}

func compare(x, op, y string) (bool, error) {
	var n [2]int64
	for i, word := range []string{x, y} {
		v, err := strconv.ParseInt(strings.TrimSpace(word), 10, 64)
		if err != nil {
			return false, errTest(fmt.Sprintf("%s: not a number", word))
		}
		n[i] = v
	}
	switch op {
	case "-eq":
		return n[0] == n[1], nil
	case "-ne":
		return n[0] != n[1], nil
	case "-lt":
		return n[0] < n[1], nil
	case "-le":
		return n[0] <= n[1], nil
	case "-gt":
		return n[0] > n[1], nil
	}
	return n[0] >= n[1], nil
}

// newer tells whether x was changed after y, or is there and y is not.
func (t tester) newer(x, y string) bool {
	a, err := os.Stat(t.path(x))
	if err != nil {
		return false
	}
	b, err := os.Stat(t.path(y))
	return err != nil || a.ModTime().After(b.ModTime())
}

// path is name as seen from the directory of the shell, which is not always
// that of the process. The empty name stays empty: there is no such file.
func (t tester) path(name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return t.hc.Dir + "/" + name
}

// unary judges op x.
func (t tester) unary(op, x string) (bool, error) {
	switch op {
	case "-n":
		return x != "", nil
	case "-z":
		return x == "", nil
	case "-v":
		return x != "" && t.hc.Env.Get(x).IsSet(), nil
	case "-t":
		return t.terminal(x)
	case "-r":
		return t.access(x, 4), nil
	case "-w":
		return t.access(x, 2), nil
	case "-x":
		return t.access(x, 1), nil
	case "-L", "-h":
		fi, err := os.Lstat(t.path(x))
		return err == nil && fi.Mode()&os.ModeSymlink != 0, nil
	}
	is, ok := fileTests[op]
	if !ok {
		return false, errTest(op + ": not an operator before a word")
	}
	fi, err := os.Stat(t.path(x))
	if err != nil {
		return false, nil
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && is(fi, st), nil
}

var fileTests = map[string]func(os.FileInfo, *syscall.Stat_t) bool{
	"-a": func(os.FileInfo, *syscall.Stat_t) bool { return true },
	"-e": func(os.FileInfo, *syscall.Stat_t) bool { return true },
	"-b": func(_ os.FileInfo, st *syscall.Stat_t) bool { return st.Mode&syscall.S_IFMT == syscall.S_IFBLK },
	"-c": func(_ os.FileInfo, st *syscall.Stat_t) bool { return st.Mode&syscall.S_IFMT == syscall.S_IFCHR },
	"-d": func(_ os.FileInfo, st *syscall.Stat_t) bool { return st.Mode&syscall.S_IFMT == syscall.S_IFDIR },
	"-f": func(_ os.FileInfo, st *syscall.Stat_t) bool { return st.Mode&syscall.S_IFMT == syscall.S_IFREG },
	"-p": func(_ os.FileInfo, st *syscall.Stat_t) bool { return st.Mode&syscall.S_IFMT == syscall.S_IFIFO },
	"-S": func(_ os.FileInfo, st *syscall.Stat_t) bool { return st.Mode&syscall.S_IFMT == syscall.S_IFSOCK },
	"-g": func(_ os.FileInfo, st *syscall.Stat_t) bool { return st.Mode&syscall.S_ISGID != 0 },
	"-k": func(_ os.FileInfo, st *syscall.Stat_t) bool { return st.Mode&syscall.S_ISVTX != 0 },
	"-u": func(_ os.FileInfo, st *syscall.Stat_t) bool { return st.Mode&syscall.S_ISUID != 0 },
	"-s": func(fi os.FileInfo, _ *syscall.Stat_t) bool { return fi.Size() > 0 },
	"-O": func(_ os.FileInfo, st *syscall.Stat_t) bool { return int(st.Uid) == os.Geteuid() },
	"-G": func(_ os.FileInfo, st *syscall.Stat_t) bool { return int(st.Gid) == os.Getegid() },
	"-N": func(fi os.FileInfo, st *syscall.Stat_t) bool {
		return fi.ModTime().After(time.Unix(st.Atim.Sec, st.Atim.Nsec))
	},
}

// access asks the kernel, which knows of read-only mounts and capabilities.
func (t tester) access(name string, mode uint32) bool {
	const (
		atFdcwd   = -100
		effective = 0x200 // AT_EACCESS
	)
	return name != "" && syscall.Faccessat(atFdcwd, t.path(name), mode, effective) == nil
}

// terminal tells whether a descriptor of the shell is a terminal.
func (t tester) terminal(word string) (bool, error) {
	n, err := strconv.Atoi(strings.TrimSpace(word))
	if err != nil {
		return false, errTest(word + ": not a number")
	}
	streams := []any{t.hc.Stdin, t.hc.Stdout, t.hc.Stderr}
	if n < 0 || n >= len(streams) {
		return false, nil
	}
	f, ok := streams[n].(*os.File)
	return ok && f != nil && isTerminal(f), nil
}

// isTerminal leaves f as it is; its method Fd would take away deadlines for reading.
func isTerminal(f *os.File) bool {
	is := false
	if conn, err := f.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { is = term.IsTerminal(int(fd)) })
	}
	return is
}
