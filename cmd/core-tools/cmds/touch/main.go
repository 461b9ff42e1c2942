// Command touch makes files that are not there and sets the times of those
// that are: to now, to a moment (-d, -t) or to those of another file (-r).
package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"coretools.silo/attr"
	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("amchd:r:t:", "touch [-acmh] [-d time | -t [[CC]YY]MMDDhhmm[.ss] | -r file] file ...", map[string]string{"no-create": "c", "date": "d", "reference": "r", "no-dereference": "h"})
	if len(opt.Operands) == 0 {
		opt.Usage("no file named")
	}
	access, change, err := moments(opt)
	if err != nil {
		opt.Usage("%v", err)
	}
	var status getopt.Status
	for _, f := range opt.Operands {
		status.Note(touch(f, access, change, opt))
	}
	status.Exit()
}

// moments are the times to set, of access and of change.
func moments(opt *getopt.Set) (access, change syscall.Timespec, err error) {
	access, change = attr.Now, attr.Now
	switch opt.Last("drt") {
	case 'd', 't':
		var at time.Time
		if opt.Last("dt") == 'd' {
			at, err = parse(opt.Value('d', ""))
		} else {
			at, err = parseStamp(opt.Value('t', ""), time.Now())
		}
		if err != nil {
			return access, change, err
		}
		access = syscall.Timespec{Sec: at.Unix(), Nsec: int64(at.Nanosecond())}
		change = access
	case 'r':
		var st syscall.Stat_t
		if err := syscall.Stat(opt.Value('r', ""), &st); err != nil {
			return access, change, fmt.Errorf("-r %s: %w", opt.Value('r', ""), err)
		}
		access, change = st.Atim, st.Mtim
	}
	if opt.Has('a') && !opt.Has('m') {
		change = attr.Omit
	}
	if opt.Has('m') && !opt.Has('a') {
		access = attr.Omit
	}
	return access, change, nil
}

// touch sets the times of a file, which it makes if it is not there.
func touch(path string, access, change syscall.Timespec, opt *getopt.Set) error {
	err := attr.SetTimes(path, access, change, opt.Has('h'))
	switch {
	case !errors.Is(err, fs.ErrNotExist):
		return err
	case opt.Has('c'):
		return nil
	case opt.Has('h'):
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return attr.SetTimes(path, access, change, false)
}

// parse reads a moment as a person writes it.
func parse(word string) (time.Time, error) {
	if s, ok := strings.CutPrefix(word, "@"); ok {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return time.Unix(n, 0), nil
		}
	}
	if word == "now" {
		return time.Now(), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateTime, "2006-01-02 15:04", time.DateOnly, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, word, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("-d %q: write 2006-01-02 15:04:05 or @seconds", word)
}

// parseStamp reads MMDDhhmm with a year or its last two digits before it and
// seconds after a point.
func parseStamp(word string, now time.Time) (time.Time, error) {
	digits, seconds, has := strings.Cut(word, ".")
	if !has {
		seconds = "00"
	}
	switch len(digits) {
	case 8:
		digits = fmt.Sprintf("%04d", now.Year()) + digits
	case 10:
		century := "20" // 69 to 99 are of the one before
		if digits >= "69" {
			century = "19"
		}
		digits = century + digits
	}
	t, err := time.ParseInLocation("20060102150405", digits+seconds, time.Local)
	if err != nil || len(seconds) != 2 {
		return t, fmt.Errorf("-t %q: write [[CC]YY]MMDDhhmm[.ss]", word)
	}
	return t, nil
}
