// Command touch makes files that are not there and sets the times of those
// that are: to now, to a moment (-d) or to those of another file (-r).
package main

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("amcd:r:h", "touch [-amc] [-d time | -r file] file ...", map[string]string{"no-create": "c", "date": "d", "reference": "r"})
	if len(opt.Operands) == 0 {
		opt.Usage("no file named")
	}
	t := time.Now()
	if d := opt.Value('d', ""); d != "" {
		var err error
		if t, err = parse(d); err != nil {
			opt.Usage("-d %s: write 2006-01-02 15:04:05", d)
		}
	}
	var status getopt.Status
	if r := opt.Value('r', ""); r != "" {
		info, err := os.Stat(r)
		if err != nil {
			status.Note(err)
			status.Exit()
		}
		t = info.ModTime()
	}
	access, change := t, t
	if opt.Has('a') && !opt.Has('m') {
		change = time.Time{} // stays as it is
	}
	if opt.Has('m') && !opt.Has('a') {
		access = time.Time{}
	}
	for _, f := range opt.Operands {
		err := os.Chtimes(f, access, change)
		if errors.Is(err, fs.ErrNotExist) {
			if opt.Has('c') {
				continue
			}
			var file *os.File
			if file, err = os.OpenFile(f, os.O_CREATE|os.O_WRONLY, 0o666); err == nil {
				err = file.Close()
				if err == nil && (opt.Has('d') || opt.Has('r')) {
					err = os.Chtimes(f, access, change)
				}
			}
		}
		status.Note(err)
	}
	status.Exit()
}

func parse(word string) (time.Time, error) {
	var t time.Time
	var err error
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly, "2006-01-02T15:04:05"} {
		if t, err = time.ParseInLocation(layout, word, time.Local); err == nil {
			return t, nil
		}
	}
	return t, err
}
