// Command readlink prints where a symbolic link leads, with -f after following
// all links on the way. Called realpath it always does that.
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("femnqsvz", "readlink [-fen] file ... | realpath [-e] file ...", map[string]string{"canonicalize": "f", "no-newline": "n", "canonicalize-existing": "e"})
	if len(opt.Operands) == 0 {
		opt.Usage("no file named")
	}
	end := "\n"
	if opt.Has('n') {
		end = ""
	}
	var status getopt.Status
	for _, f := range opt.Operands {
		var to string
		var err error
		if opt.Has('f') || opt.Has('e') || opt.Has('m') {
			to, err = canonical(f, opt.Has('e'))
		} else {
			to, err = os.Readlink(f)
		}
		if err != nil {
			status.Note(err)
			continue
		}
		fmt.Print(to + end)
	}
	status.Exit()
}

// canonical follows all links. Unless it must exist, the last part may be missing.
func canonical(path string, must bool) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(abs)
	if err == nil || must || !errors.Is(err, fs.ErrNotExist) {
		return real, err
	}
	if target, err := os.Readlink(abs); err == nil { // a link that leads nowhere
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(abs), target)
		}
		return target, nil
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	return filepath.Join(dir, filepath.Base(abs)), err
}
