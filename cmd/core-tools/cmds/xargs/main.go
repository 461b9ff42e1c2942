// Command xargs runs a command with arguments from standard input. It exits 123
// if one of the commands failed, 124 if one exited 255, 125 if a signal ended
// one, 126 and 127 if it cannot be run or found.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"

	"coretools.silo/getopt"
)

// Exit codes.
const (
	failed   = 123
	gaveUp   = 124
	signaled = 125
	noRun    = 126
	notFound = 127
)

func main() {
	opt := getopt.ParseOr(1, "+0n:I:rtp", "xargs [-0prt] [-n count | -I text] [command [argument ...]]", map[string]string{
		"null": "0", "max-args": "n", "replace": "I", "no-run-if-empty": "r", "verbose": "t", "interactive": "p",
	})
	r, err := newRunner(opt)
	if err != nil {
		opt.Usage("%v", err)
	}
	r.out, r.errs = os.Stdout, os.Stderr
	if r.ask {
		terminal, err := os.Open("/dev/tty")
		if err != nil {
			opt.Usage("-p: %v", err)
		}
		r.answers = terminal
	}
	i := &items{in: bufio.NewReader(os.Stdin), null: opt.Has('0'), lines: r.replace != ""}
	os.Exit(r.run(i))
}

// runner runs commands as its options say.
type runner struct {
	words          []string // the command and its first arguments
	most           int      // arguments for each run
	room           int      // bytes for them
	replace        string   // what an item stands for, one for each run
	notEmpty       bool     // nothing runs without an item
	trace, ask     bool
	answers        io.Reader
	out, errs      io.Writer
	failed, didRun bool
}

// mostBytes is what the arguments of one run take; the kernel allows more, but
// counts the variables too.
const mostBytes = 128 << 10

func newRunner(opt *getopt.Set) (*runner, error) {
	r := &runner{
		words: opt.Operands, most: mostBytes, room: mostBytes, replace: opt.Value('I', ""),
		notEmpty: opt.Has('r'), trace: opt.Has('t') || opt.Has('p'), ask: opt.Has('p'),
	}
	if opt.Has('I') && (r.replace == "" || opt.Has('n')) {
		return nil, errors.New("-I needs a text, and excludes -n")
	}
	if opt.Has('n') {
		n, err := strconv.Atoi(opt.Value('n', ""))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-n %q: not a number from 1 up", opt.Value('n', ""))
		}
		r.most = n
	}
	if len(r.words) == 0 {
		r.words = []string{"echo"}
	}
	for _, w := range r.words {
		r.room -= len(w) + 1
	}
	return r, nil
}

// run reads items and runs commands, and gives the exit code.
func (r *runner) run(in *items) int {
	var args []string
	room := r.room
	for {
		item, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && len(item)+1 > r.room {
			err = errors.New("an argument is too long")
		}
		if err != nil {
			fmt.Fprintf(r.errs, "xargs: %v\n", err)
			return 1
		}
		if r.replace != "" {
			if code := r.command(r.replaced(item)); code != 0 {
				return code
			}
			continue
		}
		if len(args) == r.most || len(item)+1 > room {
			if code := r.command(append(r.words[:len(r.words):len(r.words)], args...)); code != 0 {
				return code
			}
			args, room = nil, r.room
		}
		args = append(args, item)
		room -= len(item) + 1
	}
	if len(args) > 0 || r.replace == "" && !r.didRun && !r.notEmpty {
		if code := r.command(append(r.words[:len(r.words):len(r.words)], args...)); code != 0 {
			return code
		}
	}
	if r.failed {
		return failed
	}
	return 0
}

func (r *runner) replaced(item string) []string {
	words := make([]string, 0, len(r.words))
	for _, w := range r.words {
		words = append(words, strings.ReplaceAll(w, r.replace, item))
	}
	return words
}

// command runs one command. A code other than 0 ends xargs.
func (r *runner) command(words []string) int {
	r.didRun = true
	if r.trace {
		fmt.Fprint(r.errs, strings.Join(words, " "))
		if r.ask && !r.agreed() {
			return 0
		}
		if !r.ask {
			fmt.Fprintln(r.errs)
		}
	}
	cmd := exec.Command(words[0], words[1:]...) // its input is empty: ours are the items
	cmd.Stdout, cmd.Stderr = r.out, r.errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return r.ended(words[0], exit)
	}
	fmt.Fprintf(r.errs, "xargs: %v\n", err)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		return notFound
	}
	return noRun
}

func (r *runner) ended(name string, exit *exec.ExitError) int {
	if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		fmt.Fprintf(r.errs, "xargs: %s: ended by the signal %d\n", name, ws.Signal())
		return signaled
	}
	if exit.ExitCode() == 255 {
		fmt.Fprintf(r.errs, "xargs: %s: exited with 255: no more is run\n", name)
		return gaveUp
	}
	r.failed = true
	return 0
}

func (r *runner) agreed() bool {
	fmt.Fprint(r.errs, "? ")
	return getopt.Yes(r.answers)
}
