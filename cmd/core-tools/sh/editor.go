package main

import (
	"errors"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
)

// errInterrupted tells that Ctrl-C was typed: what was entered so far is void.
var errInterrupted = errors.New("interrupted")

// editor reads lines from the terminal as one stream of text. The terminal is
// raw only while a line is being typed.
type editor struct {
	shell *shell
	term  *term.Terminal
	keys  *keyboard
	rest  []byte // of the line that was read last
	ended bool   // Ctrl-D on an empty line, or a hang-up
}

// keyboard is what the line editor reads: single bytes, with Ctrl-C turned
// into "clear the line, Enter", since the editor cannot tell it from the end.
type keyboard struct {
	interrupted bool
	next        []byte
}

func (k *keyboard) Read(p []byte) (int, error) {
	if len(k.next) > 0 {
		p[0] = k.next[0]
		k.next = k.next[1:]
		return 1, nil
	}
	n, err := os.Stdin.Read(p[:1])
	if n == 1 && p[0] == ctrlC {
		k.interrupted = true
		// To the end of the line, delete all of it, Enter.
		p[0], k.next = ctrlE, []byte{ctrlU, '\r'}
	}
	return n, err
}

func (k *keyboard) Write(p []byte) (int, error) { return os.Stdout.Write(p) }

const (
	ctrlC = 3
	ctrlE = 5
	ctrlU = 21
)

func newEditor(s *shell) *editor {
	keys := &keyboard{}
	e := &editor{shell: s, keys: keys, term: term.NewTerminal(keys, "")}
	e.term.AutoCompleteCallback = e.complete
	return e
}

// Read gives the next typed bytes.
func (e *editor) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		line, err := e.line()
		if err != nil {
			return 0, err
		}
		e.rest = []byte(line + "\n")
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func (e *editor) line() (string, error) {
	state, err := term.MakeRaw(0)
	if err != nil {
		return "", err
	}
	defer func() { _ = term.Restore(0, state) }()
	if w, h, err := term.GetSize(0); err == nil && w > 0 && h > 0 {
		_ = e.term.SetSize(w, h)
	}
	line, err := e.term.ReadLine()
	switch {
	case e.keys.interrupted:
		e.keys.interrupted = false
		return "", errInterrupted
	case errors.Is(err, term.ErrPasteIndicator):
		return line, nil
	case err != nil:
		e.ended = true
		return "", io.EOF
	}
	return line, nil
}

// drop forgets what is left of a line, after a mistake in it.
func (e *editor) drop() { e.rest = nil }

// complete fills in the word before the cursor on Tab: a command in the first
// place, a path elsewhere; as far as all that fits agrees.
func (e *editor) complete(line string, pos int, key rune) (string, int, bool) {
	if key != '\t' {
		return "", 0, false
	}
	head := line[:pos]
	start := strings.LastIndexAny(head, " \t;|&()<>=") + 1
	word := head[start:]
	first := strings.TrimSpace(head[:start]) == "" || strings.HasSuffix(strings.TrimSpace(head[:start]), "|")
	var fits []string
	if first && !strings.Contains(word, "/") {
		fits = e.commands(word)
	} else {
		fits = e.paths(word)
	}
	if len(fits) == 0 {
		return line, pos, true
	}
	common := fits[0]
	for _, f := range fits[1:] {
		for !strings.HasPrefix(f, common) {
			common = common[:len(common)-1]
		}
	}
	if len(fits) == 1 && !strings.HasSuffix(common, "/") {
		common += " "
	}
	if len(common) < len(word) {
		common = word
	}
	return head[:start] + common + line[pos:], start + len(common), true
}

func (e *editor) commands(prefix string) []string {
	var fits []string
	path := os.Getenv("PATH")
	if v, ok := e.shell.runner.Vars["PATH"]; ok {
		path = v.String()
	}
	for _, dir := range strings.Split(path, ":") {
		entries, _ := os.ReadDir(dir)
		for _, en := range entries {
			if strings.HasPrefix(en.Name(), prefix) {
				fits = append(fits, en.Name())
			}
		}
	}
	for _, name := range []string{"cd", "echo", "exit", "export", "fg", "jobs", "set", "trap", "umask", "unset", "wait"} {
		if strings.HasPrefix(name, prefix) {
			fits = append(fits, name)
		}
	}
	slices.Sort(fits)
	return slices.Compact(fits)
}

func (e *editor) paths(word string) []string {
	dir, prefix := "", word
	if i := strings.LastIndex(word, "/"); i >= 0 {
		dir, prefix = word[:i+1], word[i+1:]
	}
	at := dir
	if !strings.HasPrefix(dir, "/") {
		at = e.shell.runner.Dir + "/" + dir
	}
	if strings.HasPrefix(dir, "~/") {
		at = os.Getenv("HOME") + dir[1:]
	}
	var fits []string
	entries, _ := os.ReadDir(at)
	for _, en := range entries {
		name := en.Name()
		if !strings.HasPrefix(name, prefix) || prefix == "" && strings.HasPrefix(name, ".") {
			continue
		}
		if fi, err := os.Stat(at + "/" + name); err == nil && fi.IsDir() {
			name += "/"
		}
		fits = append(fits, dir+name)
	}
	return fits
}
