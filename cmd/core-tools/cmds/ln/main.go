// Command ln makes further names of files, or with -s links that hold a path.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"coretools.silo/getopt"
)

const usage = "ln [-sfinrvLP] [-T] target [name] | ln [-sfinrvLP] target ... folder | ln [-sfinrvLP] -t folder target ..."

func main() {
	opt := getopt.Parse("sfinrvLPTt:", usage, map[string]string{
		"symbolic": "s", "force": "f", "interactive": "i", "no-dereference": "n", "relative": "r", "verbose": "v",
		"logical": "L", "physical": "P", "no-target-directory": "T", "target-directory": "t",
	})
	l := &linker{
		symbolic: opt.Has('s'), relative: opt.Has('r'), follow: opt.Last("LP") == 'L',
		policy: opt.Last("fi"), in: os.Stdin, errs: os.Stderr,
	}
	if l.relative && !l.symbolic {
		opt.Usage("-r goes with -s only")
	}
	var status getopt.Status
	targets, place, into, err := plan(opt)
	opt.Refuse(err)
	for _, target := range targets {
		name := place
		if into {
			name = filepath.Join(place, filepath.Base(target))
		}
		made, err := l.link(target, name)
		status.Note(err)
		if made && opt.Has('v') {
			arrow := map[bool]string{true: "->", false: "=>"}[l.symbolic]
			fmt.Printf("'%s' %s '%s'\n", name, arrow, target)
		}
	}
	status.Exit()
}

// plan tells what is linked where: under the name place or into that folder.
func plan(opt *getopt.Set) (targets []string, place string, into bool, err error) {
	args := opt.Operands
	switch {
	case len(args) == 0:
		return nil, "", false, errors.New("no target named")
	case opt.Has('t') && opt.Has('T'):
		return nil, "", false, errors.New("-t and -T exclude each other")
	case opt.Has('t'):
		targets, place, into = args, opt.Value('t', ""), true
	case opt.Has('T'):
		if len(args) != 2 {
			return nil, "", false, errors.New("-T needs a target and a name")
		}
		return args[:1], args[1], false, nil
	case len(args) == 1:
		targets, place, into = args, ".", true
	default:
		targets, place = args[:len(args)-1], args[len(args)-1]
	}
	stat := os.Stat
	if opt.Has('n') && !into {
		stat = os.Lstat // a link to a folder is replaced, not entered
	}
	info, err := stat(place)
	isDir := err == nil && info.IsDir()
	if !isDir && (into || len(targets) > 1) {
		return nil, "", false, &os.PathError{Op: "link into", Path: place, Err: syscall.ENOTDIR}
	}
	return targets, place, isDir, nil
}

// linker makes links as its options say.
type linker struct {
	symbolic, relative, follow bool
	policy                     byte // 'f', 'i' or 0: what happens to a name that is taken
	in                         io.Reader
	errs                       io.Writer
}

// link makes one link. made is false if the user would not have it.
func (l *linker) link(target, name string) (made bool, err error) {
	if l.relative {
		if target, err = relativeTo(filepath.Dir(name), target); err != nil {
			return false, err
		}
	}
	if l.follow && !l.symbolic {
		if target, err = filepath.EvalSymlinks(target); err != nil {
			return false, err
		}
	}
	err = l.make(target, name)
	if !errors.Is(err, fs.ErrExist) || l.policy == 0 {
		return err == nil, err
	}
	was, serr := os.Lstat(name)
	if serr != nil {
		return false, serr
	}
	if was.IsDir() {
		return false, fmt.Errorf("%s: a folder is in the way", name)
	}
	if info, serr := os.Lstat(target); !l.symbolic && serr == nil && os.SameFile(info, was) {
		if filepath.Clean(target) == filepath.Clean(name) {
			return false, fmt.Errorf("'%s' and '%s' are the same file", target, name)
		}
		return true, nil // it is that link already
	}
	if l.policy == 'i' && !l.ask(name) {
		return false, nil
	}
	return l.replace(target, name)
}

func (l *linker) make(target, name string) error {
	if l.symbolic {
		return os.Symlink(target, name)
	}
	return os.Link(target, name)
}

// replace puts the link in the name's place at once: there is no moment
// without either.
func (l *linker) replace(target, name string) (bool, error) {
	work, err := os.MkdirTemp(filepath.Dir(name), ".ln-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(work)
	link := filepath.Join(work, "link")
	if err := l.make(target, link); err != nil {
		return false, err
	}
	if err := os.Rename(link, name); err != nil {
		return false, err
	}
	return true, nil
}

func (l *linker) ask(name string) bool {
	fmt.Fprintf(l.errs, "ln: replace '%s'? ", name)
	return getopt.Yes(l.in)
}

// relativeTo writes a path as seen from a folder, past the links on both ways.
func relativeTo(dir, path string) (string, error) {
	var err error
	for _, p := range []*string{&dir, &path} {
		if *p, err = filepath.Abs(*p); err != nil {
			return "", err
		}
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if real, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(real, filepath.Base(path)) // it need not be there
	}
	return filepath.Rel(dir, path)
}
