package main

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"mvdan.cc/sh/v3/interp"

	"coretools.silo/procfs"
	"coretools.silo/signals"
)

// trapTable holds what is to run on signals and at the end of the shell. Signals
// are run before the next command. The library runs ERR; of EXIT it would drop
// the status that the trap exits with.
type trapTable struct {
	mu      sync.Mutex
	exit    string // runs at the end, "" for nothing
	onError bool   // the library holds a trap on ERR
	actions map[syscall.Signal]string
	pending []syscall.Signal
	wake    chan syscall.Signal // for a wait that is going on
	notify  chan os.Signal

	settling sync.Mutex
	settled  chan struct{} // a marker came through notify
}

// The shell sends these to itself, see settle: the last of the real-time
// signals, which trap does not know.
const (
	probe  = syscall.Signal(63) // dropped by the runtime
	marker = syscall.Signal(64)
)

var trapSignals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM,
	"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2, "ALRM": syscall.SIGALRM, "PIPE": syscall.SIGPIPE,
	"CHLD": syscall.SIGCHLD, "CONT": syscall.SIGCONT, "WINCH": syscall.SIGWINCH, "TSTP": syscall.SIGTSTP,
	"TTIN": syscall.SIGTTIN, "TTOU": syscall.SIGTTOU,
}

func trapSignal(word string) (syscall.Signal, bool) {
	name := strings.TrimPrefix(strings.ToUpper(word), "SIG")
	if s, ok := trapSignals[name]; ok {
		return s, true
	}
	for _, s := range trapSignals {
		if word == fmt.Sprint(int(s)) {
			return s, true
		}
	}
	return 0, false
}

// set is the builtin trap: signals and EXIT are taken out, and what is left for
// the library (ERR, a listing) is returned. In a subshell, which is no process,
// EXIT is left to the library too, or it would be the end of the whole shell.
func (t *trapTable) set(hc interp.HandlerContext, args []string, subshell bool) ([]string, error) {
	words := args[1:]
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		t.print(hc)
		return []string{"trap"}, nil
	}
	action, names := words[0], words[1:]
	if len(names) == 0 {
		action, names = "-", words
	}
	rest := []string{}
	for _, n := range names {
		switch sig, ok := trapSignal(n); {
		case ok:
			t.put(sig, action)
		case (n == "0" || n == "EXIT") && !subshell:
			t.putExit(action)
		case n == "0":
			rest = append(rest, "EXIT")
		default:
			t.putError(n, action)
			rest = append(rest, n)
		}
	}
	if len(rest) == 0 {
		return []string{":"}, nil
	}
	return append([]string{"trap", "--", action}, rest...), nil
}

func (t *trapTable) put(sig syscall.Signal, action string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.notify == nil {
		t.actions, t.notify = map[syscall.Signal]string{}, make(chan os.Signal, 16)
		t.wake, t.settled = make(chan syscall.Signal, 1), make(chan struct{}, 1)
		signal.Notify(t.notify, marker)
		go t.collect()
	}
	delete(t.actions, sig)
	switch action {
	case "-":
		signal.Reset(sig)
		if slices.Contains(dropped, sig) || sig == syscall.SIGQUIT {
			signals.Default(sig)
		}
	case "":
		signal.Ignore(sig) // what is ignored stays so in every command
	default:
		t.actions[sig] = action
		signal.Notify(t.notify, sig)
	}
}

func (t *trapTable) putExit(action string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.exit = action
	if action == "-" {
		t.exit = ""
	}
}

func (t *trapTable) putError(name, action string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if name == "ERR" {
		t.onError = action != "-" && action != ""
	}
}

// takeExit gives what is to run at the end, once.
func (t *trapTable) takeExit() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.exit
	t.exit = ""
	return text
}

func (t *trapTable) collect() {
	for s := range t.notify {
		sig, ok := s.(syscall.Signal)
		if !ok {
			continue
		}
		if sig == marker {
			select {
			case t.settled <- struct{}{}:
			default:
			}
			continue
		}
		t.mu.Lock()
		t.pending = append(t.pending, sig)
		t.mu.Unlock()
		select {
		case t.wake <- sig:
		default:
		}
	}
}

// due takes what signals since the last call want to be run, "" for nothing.
func (t *trapTable) due() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var text []string
	slices.Sort(t.pending) // several that came between two commands: by number
	for _, sig := range t.pending {
		if a := t.actions[sig]; a != "" {
			text = append(text, a)
		}
	}
	t.pending = nil
	select {
	case <-t.wake:
	default:
	}
	return strings.Join(text, "\n")
}

// settle sees to it that signals which a command has sent to the shell are due
// once it has ended, as they are in a shell of one thread. Here any thread may
// get them, and they come to collect only then. It waits until no signal waits
// for the process, then for each thread that may have got one: a probe is taken
// only after it has told the runtime of that. Last, markers come to collect: the
// second stands behind all that the runtime held when it looked for the first.
func (t *trapTable) settle() {
	set := t.mask()
	if set == 0 {
		return
	}
	t.settling.Lock() // the parts of a pipe share the markers
	defer t.settling.Unlock()
	var root procfs.Root
	deadline := time.Now().Add(settleTime)
	for root.Undelivered()&set != 0 && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	for _, tid := range root.Threads() {
		// One that sleeps has got none, or blocks all that come.
		if sleeps, _ := root.Thread(tid); sleeps || syscall.Tgkill(os.Getpid(), tid, probe) != nil {
			continue
		}
		for time.Now().Before(deadline) {
			if sleeps, left := root.Thread(tid); sleeps || left&(1<<(probe-1)) == 0 {
				break
			}
			runtime.Gosched()
		}
	}
	select {
	case <-t.settled: // of one that gave up
	default:
	}
	for range 2 {
		if syscall.Kill(os.Getpid(), marker) != nil {
			return // too many signals wait already
		}
		select {
		case <-t.settled:
		case <-time.After(time.Until(deadline)):
		}
	}
}

// settleTime bounds what settle waits; it takes less than a millisecond.
const settleTime = time.Second

// mask has a bit for each signal with an action, that of signal 1 lowest.
func (t *trapTable) mask() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var mask uint64
	for sig := range t.actions {
		mask |= 1 << (sig - 1)
	}
	return mask
}

// none tells that no command needs this shell to live on after it.
func (t *trapTable) none() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.actions) == 0 && t.exit == "" && !t.onError
}

func (t *trapTable) has(sig syscall.Signal) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.actions[sig] != ""
}

// arrived gets a trapped signal as it comes; nil, which never does, without traps.
func (t *trapTable) arrived() <-chan syscall.Signal {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.wake
}

func (t *trapTable) print(hc interp.HandlerContext) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	if t.exit != "" {
		lines = append(lines, fmt.Sprintf("trap -- %s EXIT\n", quoteAll([]string{t.exit})))
	}
	for sig, a := range t.actions {
		for name, s := range trapSignals {
			if s == sig {
				lines = append(lines, fmt.Sprintf("trap -- %s %s\n", quoteAll([]string{a}), name))
			}
		}
	}
	slices.Sort(lines)
	for _, l := range lines {
		fmt.Fprint(hc.Stdout, l)
	}
}
