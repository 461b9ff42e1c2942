package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// task is a line of /etc/crontab: when, who, what.
type task struct {
	minute, hour, day, month, weekday uint64 // bits of the values that fit
	anyDay, anyWeekday                bool
	user, command                     string
}

var shortcuts = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
	"@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}

const (
	mostTasks    = 1000
	timeFields   = 5
	mostTaskLine = 4 << 10
)

// parseCrontab reads the lines of a crontab. A line that is wrong is left out
// and told; the others count.
func parseCrontab(text string) (tasks []task, wrong []error) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		t, err := parseTask(line)
		if err == nil && len(tasks) == mostTasks {
			return tasks, append(wrong, fmt.Errorf("line %d: more than %d tasks", n, mostTasks))
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		tasks = append(tasks, t)
	}
	return tasks, wrong
}

func parseTask(line string) (task, error) {
	var t task
	if len(line) > mostTaskLine {
		return t, errors.New("too long")
	}
	if line[0] == '@' {
		name, rest, _ := strings.Cut(line, " ")
		when, ok := shortcuts[name]
		if !ok {
			return t, fmt.Errorf("%q: no such time", name)
		}
		line = when + " " + rest
	}
	rest := line
	var f [timeFields + 1]string
	for i := range f {
		rest = strings.TrimLeft(rest, " \t")
		end := strings.IndexAny(rest, " \t")
		if end < 0 {
			return t, errors.New("want minute, hour, day, month, weekday, user and command")
		}
		f[i], rest = rest[:end], rest[end:]
	}
	t.user, t.command = f[timeFields], strings.TrimSpace(rest)
	if t.command == "" {
		return t, errors.New("no command")
	}
	for i, r := range []struct {
		to       *uint64
		min, max int
		names    string
	}{
		{&t.minute, 0, 59, ""},
		{&t.hour, 0, 23, ""},
		{&t.day, 1, 31, ""},
		{&t.month, 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"},
		{&t.weekday, 0, 7, "sun mon tue wed thu fri sat"},
	} {
		set, err := parseSet(f[i], r.min, r.max, strings.Fields(r.names))
		if err != nil {
			return t, err
		}
		*r.to = set
	}
	if t.weekday&(1<<7) != 0 { // Sunday has two numbers
		t.weekday |= 1
	}
	t.anyDay, t.anyWeekday = f[2][0] == '*', f[4][0] == '*'
	return t, nil
}

// parseSet reads values apart by commas: *, 5, 1-5, */10, 1-30/2, names.
func parseSet(text string, least, most int, names []string) (uint64, error) {
	var set uint64
	for part := range strings.SplitSeq(text, ",") {
		span, step, stepped := strings.Cut(part, "/")
		by := 1
		if stepped {
			n, err := strconv.Atoi(step)
			if err != nil || n < 1 || n > most {
				return 0, fmt.Errorf("%q: bad step", part)
			}
			by = n
		}
		from, to := least, most
		if span != "*" {
			a, b, isRange := strings.Cut(span, "-")
			var err error
			if from, err = parseValue(a, least, most, names); err != nil {
				return 0, err
			}
			switch {
			case isRange:
				if to, err = parseValue(b, least, most, names); err != nil {
					return 0, err
				}
			case !stepped:
				to = from
			}
			if to < from {
				return 0, fmt.Errorf("%q: runs backwards", part)
			}
		}
		for v := from; v <= to; v += by {
			set |= 1 << v
		}
	}
	return set, nil
}

func parseValue(text string, least, most int, names []string) (int, error) {
	for i, n := range names {
		if strings.EqualFold(n, text) {
			return i + least, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("%q: not in %d to %d", text, least, most)
	}
	return n, nil
}

// due tells whether the task runs in the minute of a time. If both day and
// weekday are given, one of them is enough, as cron has always had it.
func (t task) due(at time.Time) bool {
	day := t.day>>at.Day()&1 != 0
	weekday := t.weekday>>int(at.Weekday())&1 != 0
	dayFits := day && weekday
	if !t.anyDay && !t.anyWeekday {
		dayFits = day || weekday
	}
	return t.minute>>at.Minute()&1 != 0 && t.hour>>at.Hour()&1 != 0 && t.month>>int(at.Month())&1 != 0 && dayFits
}
