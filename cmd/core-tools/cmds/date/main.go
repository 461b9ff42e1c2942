// Command date prints the time, in a format of choice, of now, of another
// moment (-d) or of a file (-r); with -s it sets the clock.
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // the image has no other; of all commands in this one's program

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("ud:r:s:RI", "date [-uRI] [-d time | -r file | -s time] [+format]",
		map[string]string{"utc": "u", "date": "d", "reference": "r", "set": "s", "rfc-email": "R", "iso-8601": "I"})
	t := time.Now()
	var err error
	switch {
	case opt.Has('d'):
		t, err = parse(opt.Value('d', ""), opt.Has('u'))
	case opt.Has('s'):
		if t, err = parse(opt.Value('s', ""), opt.Has('u')); err == nil {
			tv := syscall.NsecToTimeval(t.UnixNano())
			err = os.NewSyscallError("settimeofday", syscall.Settimeofday(&tv))
		}
	case opt.Has('r'):
		var info os.FileInfo
		if info, err = os.Stat(opt.Value('r', "")); err == nil {
			t = info.ModTime()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "date:", err)
		os.Exit(1)
	}
	if opt.Has('u') {
		t = t.UTC()
	}
	layout := "%a %b %e %H:%M:%S %Z %Y"
	switch {
	case opt.Has('R'):
		layout = "%a, %d %b %Y %H:%M:%S %z"
	case opt.Has('I'):
		layout = "%Y-%m-%d"
	}
	for _, o := range opt.Operands {
		f, ok := strings.CutPrefix(o, "+")
		if !ok {
			opt.Usage("%s: a format starts with +; use -s to set the clock", o)
		}
		layout = f
	}
	fmt.Println(format(t, layout))
}

// parse reads @SECONDS, dates, times, and "now" or N units "ago".
func parse(word string, utc bool) (time.Time, error) {
	if s, ok := strings.CutPrefix(word, "@"); ok {
		f, err := strconv.ParseFloat(s, 64)
		return time.Unix(0, int64(f*1e9)), err
	}
	zone := time.Local
	if utc {
		zone = time.UTC
	}
	switch word {
	case "now", "today":
		return time.Now(), nil
	case "yesterday":
		return time.Now().AddDate(0, 0, -1), nil
	case "tomorrow":
		return time.Now().AddDate(0, 0, 1), nil
	}
	for _, layout := range []string{
		time.RFC3339Nano, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly,
		time.RFC1123Z, time.RFC1123, time.UnixDate, time.ANSIC, "02 Jan 2006", "2 Jan 2006 15:04:05", "Jan 2 2006",
	} {
		if t, err := time.ParseInLocation(layout, word, zone); err == nil {
			return t, nil
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		if t, err := time.ParseInLocation(layout, word, zone); err == nil {
			y, m, d := time.Now().Date()
			return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, zone), nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: not a time: write 2006-01-02 15:04:05 or @seconds", word)
}

// format fills in the letters of strftime.
func format(t time.Time, layout string) string {
	goLayouts := map[byte]string{
		'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'd': "02", 'e': "_2", 'H': "15", 'I': "03",
		'm': "01", 'M': "04", 'p': "PM", 'S': "05", 'y': "06", 'Y': "2006", 'Z': "MST", 'z': "-0700", 'N': "",
		'F': "2006-01-02", 'T': "15:04:05", 'D': "01/02/06", 'R': "15:04", 'c': "Mon Jan _2 15:04:05 2006",
		'x': "01/02/06", 'X': "15:04:05", 'r': "03:04:05 PM",
	}
	var out strings.Builder
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' || i+1 == len(layout) {
			out.WriteByte(layout[i])
			continue
		}
		i++
		if layout[i] == '-' && i+1 < len(layout) { // no padding
			i++
			out.WriteString(strings.TrimLeft(format(t, "%"+layout[i:i+1]), "0 "))
			continue
		}
		switch c := layout[i]; c {
		case 's':
			fmt.Fprint(&out, t.Unix())
		case 'N':
			fmt.Fprintf(&out, "%09d", t.Nanosecond())
		case 'j':
			fmt.Fprintf(&out, "%03d", t.YearDay())
		case 'u':
			fmt.Fprint(&out, (int(t.Weekday())+6)%7+1)
		case 'w':
			fmt.Fprint(&out, int(t.Weekday()))
		case 'V':
			_, week := t.ISOWeek()
			fmt.Fprintf(&out, "%02d", week)
		case 'C':
			fmt.Fprintf(&out, "%02d", t.Year()/100)
		case 'n':
			out.WriteByte('\n')
		case 't':
			out.WriteByte('\t')
		case '%':
			out.WriteByte('%')
		default:
			if l, ok := goLayouts[c]; ok {
				out.WriteString(t.Format(l))
			} else {
				out.WriteString("%" + string(c))
			}
		}
	}
	return out.String()
}
