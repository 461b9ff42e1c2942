package cli

import (
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/term"

	"silo/internal/linux"
)

// terminal is the user's, if there is one. Raw mode is undone by restore,
// which every way out of the program passes.
type terminal struct {
	in, out int // descriptors, -1 where it is no terminal

	mu   sync.Mutex
	save *term.State
	stop func()
	// proxy tells that signals go to the container, so that they do not end
	// this program.
	proxy bool
	// undo is done once before raw mode ends.
	undo func()
}

func newTerminal(a *app) *terminal {
	return &terminal{in: descriptor(a.in), out: descriptor(a.out)}
}

// descriptor gives the number of a stream that is a terminal, or -1.
func descriptor(s any) int {
	if f, ok := s.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return int(f.Fd())
	}
	return -1
}

// size gives height and width; 0, 0 if there is no terminal or it has no size.
func (t *terminal) size() (height, width int) {
	if t.out < 0 {
		return 0, 0
	}
	w, h, err := term.GetSize(t.out)
	if err != nil {
		return 0, 0
	}
	return h, w
}

// raw hands keys through as they are typed, control keys too. Signals that end
// the program restore the terminal first.
func (t *terminal) raw() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.in < 0 || t.save != nil {
		return nil
	}
	save, err := term.MakeRaw(t.in)
	if err != nil {
		return err
	}
	t.save = save
	ends := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(ends, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGPIPE)
	t.stop = sync.OnceFunc(func() { signal.Stop(ends); close(done) })
	go func() {
		for {
			select {
			case <-done:
				return
			case s := <-ends:
				if t.proxying() {
					continue
				}
				// A connection to a daemon that is gone gives SIGPIPE too: its writer
				// has the error, and this program goes on.
				if s == syscall.SIGPIPE && !linux.NobodyReads(1) && !linux.NobodyReads(2) {
					continue
				}
				t.restore()
				signal.Reset(s)
				_ = syscall.Kill(os.Getpid(), s.(syscall.Signal))
			}
		}
	}()
	return nil
}

// onRestore sets what is done when raw mode ends, however that comes.
func (t *terminal) onRestore(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.undo = f
}

func (t *terminal) proxying() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.proxy
}

func (t *terminal) setProxy(on bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.proxy = on
}

// guard runs f on a goroutine; the terminal is restored should it panic.
func (t *terminal) guard(f func()) {
	go func() {
		defer func() {
			if r := recover(); r != nil {
				t.restore()
				panic(r)
			}
		}()
		f()
	}()
}

// restore undoes raw mode; it may be called at any time, any number of times.
func (t *terminal) restore() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.save == nil {
		return
	}
	if t.undo != nil {
		t.undo()
		t.undo = nil
	}
	_ = term.Restore(t.in, t.save)
	t.save = nil
	t.stop()
}

// defaultDetach is ctrl-p ctrl-q.
const defaultDetach = "ctrl-p,ctrl-q"

// detachKeys reads keys as "ctrl-p,ctrl-q" or "a,b" into bytes.
func detachKeys(s string) ([]byte, error) {
	if s == "" {
		s = defaultDetach
	}
	var out []byte
	for key := range strings.SplitSeq(s, ",") {
		if len(key) == 1 {
			out = append(out, key[0])
			continue
		}
		c, ok := strings.CutPrefix(key, "ctrl-")
		if !ok || len(c) != 1 {
			return nil, usagef("invalid detach keys %q: %q is neither a single character nor ctrl- and a letter, @, [, \\, ], ^ or _", s, key)
		}
		b := c[0] | 0x20 // lower case of a letter
		switch {
		case b >= 'a' && b <= 'z':
			out = append(out, b-'a'+1)
		case c[0] == '@' || c[0] >= '[' && c[0] <= '_':
			out = append(out, c[0]-'@')
		default:
			return nil, usagef("invalid detach keys %q: there is no control key for %q", s, c)
		}
	}
	return out, nil
}

// errDetached tells that the detach keys were typed.
var errDetached = errors.New("detached")

// keyReader reads from r and ends with errDetached after a sequence of keys.
// A sequence that breaks off is handed through.
type keyReader struct {
	r    io.Reader
	keys []byte
	seen int    // how many of keys have been typed
	held []byte // ready to be read
	err  error
}

func (k *keyReader) Read(p []byte) (int, error) {
	for len(k.held) == 0 {
		if k.err != nil {
			return 0, k.err
		}
		buf := make([]byte, len(p))
		n, err := k.r.Read(buf)
		k.err = err
		for _, b := range buf[:n] {
			if k.feed(b) {
				k.err = errDetached
				break
			}
		}
		if k.err != nil && !errors.Is(k.err, errDetached) {
			k.held = append(k.held, k.keys[:k.seen]...)
			k.seen = 0
		}
	}
	n := copy(p, k.held)
	k.held = k.held[n:]
	return n, nil
}

// feed takes one key and tells whether it completes the sequence.
func (k *keyReader) feed(b byte) bool {
	for k.seen > 0 && b != k.keys[k.seen] {
		// The longest end of what was typed that is again a beginning goes on.
		typed := k.keys[:k.seen]
		next := k.seen - 1
		for next > 0 && string(typed[k.seen-next:]) != string(k.keys[:next]) {
			next--
		}
		k.held = append(k.held, typed[:k.seen-next]...)
		k.seen = next
	}
	if b != k.keys[k.seen] {
		k.held = append(k.held, b)
		return false
	}
	k.seen++
	return k.seen == len(k.keys)
}
