// Command mktemp makes an empty file, or folder with -d, of a new name: the
// XXX at the end of the template is replaced.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("dqutp:", "mktemp [-du] [-p folder] [template]", map[string]string{"directory": "d", "tmpdir": "p", "dry-run": "u"})
	template, dir := "tmp.XXXXXXXXXX", opt.Value('p', os.TempDir())
	if len(opt.Operands) > 0 {
		template = opt.Operands[0]
		if !opt.Has('p') && !opt.Has('t') {
			dir = filepath.Dir(template)
			template = filepath.Base(template)
		}
	}
	end := len(strings.TrimRight(template, "X"))
	if len(template)-end < 3 {
		opt.Usage("%s: needs at least XXX at its end", template)
	}
	var name string
	var err error
	if opt.Has('d') {
		name, err = os.MkdirTemp(dir, template[:end]+"*")
	} else {
		var f *os.File
		if f, err = os.CreateTemp(dir, template[:end]+"*"); err == nil {
			name, err = f.Name(), f.Close()
		}
	}
	if err == nil && opt.Has('u') {
		err = os.Remove(name)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mktemp:", err)
		os.Exit(1)
	}
	fmt.Println(name)
}
