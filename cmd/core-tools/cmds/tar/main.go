// Command tar writes (-c), reads (-x) and lists (-t) archives, with -z
// compressed by gzip. It extracts only below the folder it works in, whatever
// an archive says.
package main

import (
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"coretools.silo/getopt"
)

type tool struct {
	opt    *getopt.Set
	strip  int
	status getopt.Status
}

func main() {
	opt := getopt.Parse("cxtzvf:C:pkmOohjJaX:s:", "tar -c | -x | -t [-zvpkO] [-f archive] [-C folder] [--strip-components n] [--exclude pattern] [file ...]",
		map[string]string{
			"create": "c", "extract": "x", "list": "t", "gzip": "z", "verbose": "v", "file": "f", "directory": "C", "dereference": "h",
			"same-permissions": "p", "keep-old-files": "k", "exclude": "X", "strip-components": "s", "to-stdout": "O", "no-same-owner": "o",
		})
	if opt.Has('j') || opt.Has('J') {
		opt.Usage("-j, -J: only gzip (-z) is known")
	}
	strip, err := strconv.Atoi(opt.Value('s', "0"))
	if err != nil || strip < 0 {
		opt.Usage("--strip-components: a number from 0 up")
	}
	t := &tool{opt: opt, strip: strip}
	archive, write := opt.Value('f', "-"), opt.Has('c')
	if !write && !opt.Has('x') && !opt.Has('t') {
		opt.Usage("needs -c, -x or -t")
	}
	if write && len(opt.Operands) == 0 {
		opt.Usage("nothing to put into the archive")
	}
	f, err := openArchive(archive, write)
	if err == nil && opt.Has('C') {
		err = os.Chdir(opt.Value('C', ""))
	}
	if err == nil {
		if write {
			err = t.create(f)
		} else {
			err = t.read(f)
		}
	}
	if err == nil && archive != "-" {
		err = f.Close()
	}
	t.status.Note(err)
	t.status.Exit()
}

func openArchive(name string, write bool) (*os.File, error) {
	switch {
	case name == "-" && write:
		return os.Stdout, nil
	case name == "-":
		return os.Stdin, nil
	case write:
		return os.Create(name)
	}
	return os.Open(name)
}

// wanted tells whether a member was asked for and not excluded.
func (t *tool) wanted(name string) bool {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	for _, pattern := range t.opt.Values('X') {
		if ok, _ := path.Match(pattern, name); ok {
			return false
		}
		if ok, _ := path.Match(pattern, path.Base(name)); ok {
			return false
		}
	}
	if t.opt.Has('c') || len(t.opt.Operands) == 0 {
		return true
	}
	for _, o := range t.opt.Operands {
		o = strings.TrimSuffix(strings.TrimPrefix(o, "./"), "/")
		if name == o || strings.HasPrefix(name, o+"/") {
			return true
		}
	}
	return false
}

func (t *tool) say(name string) {
	if t.opt.Has('v') {
		var w io.Writer = os.Stdout
		if t.opt.Value('f', "-") == "-" && t.opt.Has('c') || t.opt.Has('O') {
			w = os.Stderr
		}
		fmt.Fprintln(w, name)
	}
}
