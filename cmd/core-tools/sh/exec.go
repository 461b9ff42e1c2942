package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/interp"

	"coretools.silo/signals"
)

// call sees every simple command before it runs. It runs due traps, turns
// builtins that the library lacks into commands that exec handles, and lets a
// last command take the place of the shell.
func (s *shell) call(ctx context.Context, args []string) ([]string, error) {
	hc := interp.HandlerCtx(ctx)
	if text := s.traps.due(); text != "" {
		return []string{"eval", text + "\n" + quoteAll(args)}, nil
	}
	name := args[0]
	_, isFunc := s.runner.Funcs[name]
	if !isFunc && (name == "command" || name == "builtin") && len(args) > 1 && replaced[args[1]] {
		name, args = args[1], args[1:]
	}
	if replaced[name] && !isFunc {
		return append([]string{ownPrefix + name}, args[1:]...), nil
	}
	switch name {
	case "trap":
		return s.traps.set(hc, args, !s.isOwn(hc))
	case "wait", "jobs", "fg", "bg", "umask", "ulimit":
		return append([]string{ownPrefix + name}, args[1:]...), nil
	case "kill": // a builtin in POSIX and for the library, a program here
		return append([]string{ownPrefix + "kill"}, s.jobs.killArgs(args[1:])...), nil
	case "return": // the library's gives 0 then
		if len(args) == 1 {
			return []string{name, strconv.Itoa(hc.LastExitStatus)}, nil
		}
	case "help": // the library's knows its builtins only
		if path, err := lookPath(hc, manualPath); err == nil {
			return append([]string{path}, args[1:]...), nil
		}
	case "exec":
		if len(args) > 1 && s.marks.replace[hc.Pos] {
			return nil, s.replace(hc, args[1:])
		}
	default:
		if s.marks.tail[hc.Pos] && !isFunc && !interp.IsBuiltin(args[0]) && s.traps.none() {
			if path, err := lookPath(hc, args[0]); err == nil {
				s.become(hc, path, args)
			}
		}
	}
	return args, nil
}

// isOwn tells whether a command runs in the shell itself, not in a subshell, a
// pipe or a substitution. The library gives each of these a runner, which the
// context of a command names only in a field that it does not export.
func (s *shell) isOwn(hc interp.HandlerContext) bool {
	runner := reflect.ValueOf(hc).FieldByName("runner")
	return runner.Kind() != reflect.Pointer || runner.Pointer() == reflect.ValueOf(s.runner).Pointer()
}

// manualPath is the command that shows the manual of an image.
const manualPath = "/bin/help"

// replaced are builtins that the library has and this shell does better: it
// knows when nobody reads what they write, and judges test by the number of
// arguments.
var replaced = map[string]bool{"echo": true, "printf": true, "test": true, "[": true}

// ownPrefix marks commands of this shell on their way through the library.
const ownPrefix = "\x01"

// exec runs one command that is neither a builtin of the library nor a function.
func (s *shell) exec(ctx context.Context, args []string) error {
	hc := interp.HandlerCtx(ctx)
	if name, ok := strings.CutPrefix(args[0], ownPrefix); ok {
		if name != "kill" {
			return s.own(ctx, hc, name, args[1:])
		}
		args = append([]string{"kill"}, args[1:]...)
	}
	path, err := lookPath(hc, args[0])
	if err != nil {
		return s.refuse(hc, args[0], err)
	}
	cmd := command(hc, path, args)
	err = cmd.Start()
	if errors.Is(err, syscall.ENOEXEC) {
		cmd = command(hc, selfPath, append([]string{"sh", path}, args[1:]...))
		err = cmd.Start()
	}
	if err != nil {
		return s.refuse(hc, args[0], err)
	}
	return exitError(s.await(cmd, args))
}

// await waits until a command has ended and what it has sent to the shell has
// come.
func (s *shell) await(cmd *exec.Cmd, args []string) error {
	sig := syscall.Signal(0)
	if args[0] == "kill" {
		sig = toItself(args[1:])
	}
	err := cmd.Wait()
	if sig != 0 && err == nil && !s.prompt && slices.Contains(ending, sig) && !s.traps.has(sig) && !signals.Ignored(sig) {
		time.Sleep(settleTime) // another thread gets it, and this one might be done first
	}
	s.traps.settle()
	return err
}

// ending are signals that end a shell without a trap for them.
var ending = append([]syscall.Signal{
	syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE, syscall.SIGQUIT, syscall.SIGABRT,
}, dropped...)

// dropped are signals that the runtime of Go would drop.
var dropped = []syscall.Signal{
	syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGALRM, syscall.SIGVTALRM, syscall.SIGXCPU, syscall.SIGXFSZ, syscall.SIGIO, syscall.SIGPWR,
}

// toItself is the signal that a kill with these arguments sends to the shell, 0
// for none.
func toItself(args []string) syscall.Signal {
	sig := syscall.SIGTERM
	if len(args) > 1 && strings.HasPrefix(args[0], "-") && args[0] != "--" {
		word := args[0][1:]
		if args = args[1:]; word == "s" || word == "n" {
			word, args = args[0], args[1:]
		}
		var err error
		if sig, err = signals.Parse(word); err != nil {
			return 0
		}
	}
	if !slices.Contains(args, strconv.Itoa(os.Getpid())) {
		return 0
	}
	return sig
}

// own runs one of the commands that call marked with ownPrefix.
func (s *shell) own(ctx context.Context, hc interp.HandlerContext, name string, args []string) error {
	switch name {
	case "background":
		return s.background(ctx, hc, args)
	case "wait":
		return s.wait(hc, args)
	case "jobs":
		return s.jobs.print(hc.Stdout)
	case "fg":
		return s.foreground(hc, args)
	case "bg":
		return nil // jobs are never stopped here, so all of them run already
	case "umask":
		return umask(hc, args)
	case "ulimit":
		return ulimit(hc, args)
	case "echo":
		return s.emit(ctx, hc, name, echo(args))
	case "printf":
		return s.printf(ctx, hc, args)
	}
	return test(ctx, hc, name, args)
}

// selfPath runs this very shell again, wherever its file lies.
const selfPath = "/proc/self/exe"

func command(hc interp.HandlerContext, path string, args []string) *exec.Cmd {
	return &exec.Cmd{
		Path: path, Args: args, Env: environment(hc.Env), Dir: hc.Dir,
		Stdin: hc.Stdin, Stdout: hc.Stdout, Stderr: hc.Stderr,
	}
}

// refuse says why a command did not start, with the status that shells give:
// 127 when there is none, 126 when it may not run.
func (s *shell) refuse(hc interp.HandlerContext, name string, err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	if errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(hc.Stderr, "sh: %s: not found\n", name)
		return interp.ExitStatus(127)
	}
	fmt.Fprintf(hc.Stderr, "sh: %s: %v\n", name, err)
	return interp.ExitStatus(126)
}

// exitError gives the status of an ended process; 128 + n for signal n.
func exitError(err error) error {
	var ee *exec.ExitError
	if !errors.As(err, &ee) {
		return err
	}
	if ws, ok := ee.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return interp.ExitStatus(128 + int(ws.Signal()))
	}
	return interp.ExitStatus(ee.ExitCode())
}

// lookPath finds name along the PATH of the shell, relative to its directory.
func lookPath(hc interp.HandlerContext, name string) (string, error) {
	abs := func(p string) string {
		if filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(hc.Dir, p)
	}
	if strings.Contains(name, "/") {
		return executable(abs(name))
	}
	result := os.ErrNotExist
	for _, dir := range strings.Split(hc.Env.Get("PATH").String(), ":") {
		p, err := executable(abs(filepath.Join(dir, name)))
		if err == nil {
			return p, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			result = err
		}
	}
	return "", result
}

func executable(path string) (string, error) {
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return "", err
	case fi.IsDir():
		return "", syscall.EISDIR
	case fi.Mode()&0o111 == 0:
		return "", syscall.EACCES
	}
	return path, nil
}

// environment lists the exported variables as execve takes them.
func environment(env expand.Environ) []string {
	var list []string
	for name, v := range env.Each {
		if v.Exported && v.IsSet() && v.Kind == expand.String {
			list = append(list, name+"="+v.Str)
		}
	}
	return list
}

// replace is the builtin exec: the process becomes the command.
func (s *shell) replace(hc interp.HandlerContext, args []string) error {
	path, err := lookPath(hc, args[0])
	if err == nil {
		err = s.become(hc, path, args)
	}
	var es interp.ExitStatus
	errors.As(s.refuse(hc, args[0], err), &es)
	os.Exit(int(es))
	return nil
}

// become turns this process into the command with the shell's streams at that
// point. It returns only if that is not possible.
func (s *shell) become(hc interp.HandlerContext, path string, args []string) error {
	var files [3]*os.File
	for i, stream := range []any{hc.Stdin, hc.Stdout, hc.Stderr} {
		f, ok := stream.(*os.File)
		if !ok || f == nil {
			return syscall.EBADF
		}
		files[i] = f
	}
	var fds [3]int
	for i, f := range files {
		// Copies above the standard three first, so that none is overwritten
		// before it was used.
		fd, _, errno := syscall.Syscall(syscall.SYS_FCNTL, f.Fd(), syscall.F_DUPFD_CLOEXEC, 10)
		if errno != 0 {
			return errno
		}
		fds[i] = int(fd)
	}
	if err := syscall.Chdir(hc.Dir); err != nil {
		return err
	}
	for i, fd := range fds {
		if err := syscall.Dup3(fd, i, 0); err != nil {
			return err
		}
	}
	err := syscall.Exec(path, args, environment(hc.Env))
	if errors.Is(err, syscall.ENOEXEC) {
		err = syscall.Exec(selfPath, append([]string{"sh", path}, args[1:]...), environment(hc.Env))
	}
	return err
}

// open opens a file of a redirection. The library's own would give a new one
// 0644 whatever the mask is, and take "link/.." for the folder of the link.
func open(ctx context.Context, path string, flag int, _ os.FileMode) (io.ReadWriteCloser, error) {
	if path != "" && !filepath.IsAbs(path) {
		path = interp.HandlerCtx(ctx).Dir + "/" + path
	}
	return os.OpenFile(path, flag, 0o666)
}
