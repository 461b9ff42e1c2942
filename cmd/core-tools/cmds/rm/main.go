// Command rm removes files, with -r folders and all that is in them, too. It
// goes on after an error.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/term"

	"coretools.silo/getopt"
)

const letters = "rRfidv"

var long = map[string]string{
	"recursive": "r", "force": "f", "interactive": "i", "dir": "d", "verbose": "v",
	"preserve-root": "/", "no-preserve-root": "!", // no letters that can be typed
}

func main() {
	opt := getopt.Parse(letters, "rm [-rRfidv] [--no-preserve-root] file ...", long)
	if len(opt.Operands) == 0 && !opt.Has('f') {
		opt.Usage("no file named")
	}
	r := newRemover(opt)
	r.in, r.out, r.errs, r.terminal = os.Stdin, os.Stdout, os.Stderr, term.IsTerminal(0)
	for _, path := range opt.Operands {
		r.remove(path)
	}
	r.status.Exit()
}

// remover removes as its options say.
type remover struct {
	in                 io.Reader
	out, errs          io.Writer
	policy             byte // 'f', 'i' or 0: what is asked
	recursive, folders bool // folders: empty ones may go without recursive
	everything         bool // also /
	verbose            bool
	terminal           bool // standard input is one
	status             getopt.Status
}

func newRemover(opt *getopt.Set) *remover {
	return &remover{
		policy: opt.Last("fi"), recursive: opt.Has('r') || opt.Has('R'), folders: opt.Has('d'),
		everything: opt.Last("/!") == '!', verbose: opt.Has('v'),
	}
}

// remove removes what a person named.
func (r *remover) remove(path string) {
	name, err := r.check(path)
	if err != nil {
		r.note(err)
		return
	}
	r.entry(place{fd: atCWD, name: name, path: path})
}

// check refuses what nobody wants to lose, and tells the name to use: without
// slashes at the end, which would make the kernel follow a link.
func (r *remover) check(path string) (string, error) {
	name := strings.TrimRight(path, "/")
	if name == "" && path != "" {
		name = "/"
	}
	if base := filepath.Base("/" + name[strings.LastIndexByte(name, '/')+1:]); base == "." || base == ".." {
		return "", fmt.Errorf("refusing to remove '.' or '..': '%s'", path)
	}
	info, err := os.Lstat(name)
	if err != nil {
		return "", &os.PathError{Op: "remove", Path: path, Err: cause(err)}
	}
	root, err := os.Lstat("/")
	if err != nil {
		return "", err
	}
	if os.SameFile(info, root) && !r.everything {
		return "", fmt.Errorf("it is dangerous to remove '%s', which is all there is: --no-preserve-root allows it", path)
	}
	if strings.HasSuffix(path, "/") && !info.IsDir() {
		return "", &os.PathError{Op: "remove", Path: path, Err: errNoFolder}
	}
	return name, nil
}

// cause is an error without the path, which is told as the person wrote it.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// note tells an error; -f has none with what is not there.
func (r *remover) note(err error) {
	if r.policy == 'f' && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
		return
	}
	r.status.Note(err)
}

// entry removes one thing and what is in it, and tells whether it is gone.
func (r *remover) entry(p place) bool {
	dir, err := p.open()
	switch {
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP):
		return r.mayRemove(p, "file") && r.end(p, p.unlink())
	case errors.Is(err, fs.ErrNotExist), err != nil && !errors.Is(err, fs.ErrPermission):
		return r.end(p, err)
	}
	defer dir.Close()
	if !r.recursive && !r.folders {
		return r.end(p, errFolder)
	}
	if err == nil && r.recursive {
		names, errRead := dir.Readdirnames(-1)
		if errRead != nil {
			return r.end(p, cause(errRead))
		}
		if len(names) > 0 && !(r.mayEnter(p) && r.content(p, dir, names)) {
			return false
		}
	}
	if !r.mayRemove(p, "folder") {
		return false
	}
	errRemove := p.rmdir()
	if errRemove != nil && err != nil {
		errRemove = err // why it could not be emptied
	}
	return r.end(p, errRemove)
}

func (r *remover) content(p place, dir *os.File, names []string) bool {
	gone := true
	for _, name := range names {
		if !r.entry(place{fd: int(dir.Fd()), name: name, path: filepath.Join(p.path, name)}) {
			gone = false
		}
	}
	return gone
}

var (
	errFolder   = errors.New("is a directory: -r removes it")
	errNoFolder = errors.New("not a directory")
)

// end tells how a removal went.
func (r *remover) end(p place, err error) bool {
	if err != nil {
		r.note(&os.PathError{Op: "remove", Path: p.path, Err: err})
		return false
	}
	if r.verbose {
		fmt.Fprintf(r.out, "removed '%s'\n", p.path)
	}
	return true
}

func (r *remover) mayEnter(p place) bool {
	return r.policy != 'i' || r.ask("go into the folder '%s'?", p.path)
}

// mayRemove asks if -i was given, and, on a terminal, for what is protected
// from being written.
func (r *remover) mayRemove(p place, kind string) bool {
	switch {
	case r.policy == 'i':
		return r.ask("remove the %s '%s'?", kind, p.path)
	case r.policy == 0 && r.terminal && p.protected():
		return r.ask("remove the protected %s '%s'?", kind, p.path)
	}
	return true
}

func (r *remover) ask(format string, args ...any) bool {
	fmt.Fprintf(r.errs, "rm: "+format+" ", args...)
	return getopt.Yes(r.in)
}
