package unit

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// part is one alternative of a component: a value, a range, a step.
type part struct {
	start int
	stop  int // -1 for none
	step  int // 0 for none
}

// Calendar is a calendar expression as OnCalendar= takes it.
type Calendar struct {
	weekdays uint8 // bit 0 is Monday; 0 is any
	// Components, nil for any value. Seconds are in microseconds.
	years, months, days, hours, minutes, micros []part

	fromEnd bool // days count from the end of the month: 1 is the last
	zone    *time.Location
}

// The years that a calendar can name.
const (
	firstYear = 1970
	lastYear  = 2199
	micro     = 1000000
)

// shorthand gives what a word stands for.
func shorthand(word string) string {
	switch strings.ToLower(word) {
	case "minutely":
		return "*-*-* *:*:00"
	case "hourly":
		return "*-*-* *:00:00"
	case "daily":
		return "*-*-* 00:00:00"
	case "weekly":
		return "Mon *-*-* 00:00:00"
	case "monthly":
		return "*-*-01 00:00:00"
	case "quarterly":
		return "*-01,04,07,10-01 00:00:00"
	case "biannually", "bi-annually", "semiannually", "semi-annually":
		return "*-01,07-01 00:00:00"
	case "yearly", "annually", "anually":
		return "*-01-01 00:00:00"
	}
	return word
}

// ParseCalendar reads a calendar expression. zone finds a time zone by its
// name; with nil only UTC can be named. Without a name the zone is that of the
// time that Next gets.
func ParseCalendar(text string, zone func(string) (*time.Location, error)) (*Calendar, error) {
	c, err := parseCalendar(text, zone)
	if err != nil {
		return nil, fmt.Errorf("calendar %q: %w", shorten(text), err)
	}
	return c, nil
}

func parseCalendar(text string, zone func(string) (*time.Location, error)) (*Calendar, error) {
	if len(text) > 1024 {
		return nil, errors.New("too long")
	}
	fields := strings.Fields(text)
	c := &Calendar{}
	if n := len(fields); n > 1 && isLetter(fields[n-1][0]) {
		var err error
		if c.zone, err = findZone(fields[n-1], zone); err != nil {
			return nil, err
		}
		fields = fields[:n-1]
	}
	if len(fields) == 1 {
		fields = strings.Fields(shorthand(fields[0]))
	}
	if len(fields) == 0 {
		return nil, errors.New("empty")
	}
	if isLetter(fields[0][0]) {
		if err := c.parseWeekdays(fields[0]); err != nil {
			return nil, err
		}
		fields = fields[1:]
	}
	if err := c.parseRest(fields); err != nil {
		return nil, err
	}
	return c, c.check()
}

func isLetter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }

func findZone(name string, zone func(string) (*time.Location, error)) (*time.Location, error) {
	if strings.EqualFold(name, "UTC") {
		return time.UTC, nil
	}
	for i := range len(name) {
		if !alnum(name[i]) && strings.IndexByte("+-_/", name[i]) < 0 {
			return nil, fmt.Errorf("%q is no time zone", shorten(name))
		}
	}
	if zone == nil {
		return nil, fmt.Errorf("time zone %s is not known here", name)
	}
	loc, err := zone(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %s: %w", name, err)
	}
	return loc, nil
}

var weekdayNames = [...]string{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}

func weekday(name string) (int, bool) {
	for i, short := range weekdayNames {
		full := short + map[string]string{"Tue": "s", "Wed": "nes", "Thu": "rs", "Sat": "ur"}[short] + "day"
		if strings.EqualFold(name, short) || strings.EqualFold(name, full) {
			return i, true
		}
	}
	return 0, false
}

// parseWeekdays reads Mon,Wed..Fri.
func (c *Calendar) parseWeekdays(s string) error {
	for item := range strings.SplitSeq(strings.TrimSuffix(s, ","), ",") {
		from, to, ranged := strings.Cut(item, "..")
		if !ranged {
			from, to, ranged = strings.Cut(item, "-")
		}
		first, ok := weekday(from)
		last := first
		if ranged && ok {
			last, ok = weekday(to)
		}
		if !ok {
			return fmt.Errorf("%q is no day of the week", shorten(item))
		}
		if last < first {
			return fmt.Errorf("%q: the range goes backwards", shorten(item))
		}
		for i := first; i <= last; i++ {
			c.weekdays |= 1 << i
		}
	}
	return nil
}

// parseRest reads date and time, each of which may be missing.
func (c *Calendar) parseRest(fields []string) error {
	if len(fields) == 1 {
		if date, clock, ok := strings.Cut(fields[0], "T"); ok {
			fields = []string{date, clock}
		}
	}
	date, clock := "", ""
	switch {
	case len(fields) == 0:
	case len(fields) == 1 && strings.HasPrefix(fields[0], "@"):
		return c.parseEpoch(fields[0][1:])
	case len(fields) == 1 && strings.Contains(fields[0], ":"):
		clock = fields[0]
	case len(fields) == 1:
		date = fields[0]
	case len(fields) == 2:
		date, clock = fields[0], fields[1]
		if clock == "" || !strings.Contains(clock, ":") {
			return fmt.Errorf("%q is no time of day", shorten(clock))
		}
	default:
		return fmt.Errorf("%q is one field too many", shorten(fields[2]))
	}
	if date != "" {
		if err := c.parseDate(date); err != nil {
			return err
		}
	}
	return c.parseClock(clock)
}

// parseEpoch reads seconds since 1970, in UTC.
func (c *Calendar) parseEpoch(s string) error {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 7258118399 {
		return fmt.Errorf("@%s: want seconds from 0 to the year %d", shorten(s), lastYear)
	}
	t := time.Unix(n, 0).UTC()
	one := func(v int) []part { return []part{{v, -1, 0}} }
	c.zone = time.UTC
	c.years, c.months, c.days = one(t.Year()), one(int(t.Month())), one(t.Day())
	c.hours, c.minutes, c.micros = one(t.Hour()), one(t.Minute()), one(t.Second()*micro)
	return nil
}

// parseDate reads year-month-day or month-day; the day may stand after a ~.
func (c *Calendar) parseDate(s string) error {
	rest, last, fromEnd := strings.Cut(s, "~")
	pieces := strings.Split(rest, "-")
	if fromEnd {
		pieces = append(pieces, last)
		c.fromEnd = true
	}
	if len(pieces) == 2 {
		pieces = append([]string{"*"}, pieces...)
	}
	if len(pieces) != 3 {
		return fmt.Errorf("%q is no date: want year-month-day", shorten(s))
	}
	var err error
	for i, to := range []*[]part{&c.years, &c.months, &c.days} {
		if *to, err = parseParts(pieces[i], 1); err != nil {
			return err
		}
	}
	for i := range c.years {
		p := &c.years[i]
		p.start = fullYear(p.start)
		if p.stop >= 0 {
			p.stop = fullYear(p.stop)
		}
	}
	return nil
}

func fullYear(y int) int {
	switch {
	case y < 70:
		return y + 2000
	case y < 100:
		return y + 1900
	}
	return y
}

// parseClock reads hour:minute[:second]; empty is midnight.
func (c *Calendar) parseClock(s string) error {
	if s == "" {
		s = "00:00:00"
	}
	pieces := strings.Split(s, ":")
	if len(pieces) == 2 {
		pieces = append(pieces, "00")
	}
	if len(pieces) != 3 {
		return fmt.Errorf("%q is no time of day: want hour:minute:second", shorten(s))
	}
	var err error
	for i, to := range []*[]part{&c.hours, &c.minutes, &c.micros} {
		unit := 1
		if i == 2 {
			unit = micro
		}
		if *to, err = parseParts(pieces[i], unit); err != nil {
			return err
		}
	}
	if c.micros == nil {
		c.micros = []part{{0, -1, micro}} // each whole second
	}
	return nil
}

// parseParts reads values, ranges and steps with commas between them; * is nil.
func parseParts(s string, unit int) ([]part, error) {
	if s == "*" {
		return nil, nil
	}
	var list []part
	for item := range strings.SplitSeq(s, ",") {
		p := part{stop: -1}
		values, step, stepped := strings.Cut(item, "/")
		from, to, ranged := strings.Cut(values, "..")
		var err error
		if p.start, err = parseValue(from, unit); err != nil {
			return nil, err
		}
		if ranged {
			if p.stop, err = parseValue(to, unit); err != nil {
				return nil, err
			}
			p.step = unit
		}
		if stepped {
			if p.step, err = parseValue(step, unit); err != nil {
				return nil, err
			}
			if p.step == 0 {
				return nil, fmt.Errorf("%q: a step of 0", shorten(item))
			}
		}
		list = append(list, p)
		if len(list) > 240 {
			return nil, errTooMany
		}
	}
	return list, nil
}

// parseValue reads a number; of seconds with up to six digits behind the point.
func parseValue(s string, unit int) (int, error) {
	whole, fraction, dotted := strings.Cut(s, ".")
	n, err := strconv.ParseUint(whole, 10, 16)
	if err != nil || dotted && (unit == 1 || fraction == "" || len(fraction) > 6) {
		return 0, fmt.Errorf("%q is no number that can stand here", shorten(s))
	}
	v := int(n) * unit
	if dotted {
		f, err := strconv.ParseUint((fraction + "000000")[:6], 10, 32)
		if err != nil {
			return 0, fmt.Errorf("%q is no number that can stand here", shorten(s))
		}
		v += int(f)
	}
	return v, nil
}

// check wants all values within their bounds.
func (c *Calendar) check() error {
	for _, r := range []struct {
		name     string
		list     []part
		from, to int
		fromEnd  bool
	}{
		{"year", c.years, firstYear, lastYear, false},
		{"month", c.months, 1, 12, false},
		{"day", c.days, 1, 31, c.fromEnd},
		{"hour", c.hours, 0, 23, false},
		{"minute", c.minutes, 0, 59, false},
		{"second", c.micros, 0, 60*micro - 1, false},
	} {
		if r.fromEnd {
			r.to = 28 // there is no month that has fewer
		}
		for _, p := range r.list {
			if p.start < r.from || p.start > r.to || p.stop > r.to || p.stop >= 0 && p.stop < r.from {
				return fmt.Errorf("%s out of range", r.name)
			}
			if p.stop >= 0 && !r.fromEnd && p.stop < p.start {
				return fmt.Errorf("%s: the range goes backwards", r.name)
			}
			if p.step > r.to-r.from+1 && r.name != "second" || p.step > 60*micro {
				return fmt.Errorf("%s: the step is too large", r.name)
			}
		}
	}
	return nil
}

// String is the expression in its long form, without shorthands.
func (c *Calendar) String() string {
	var b strings.Builder
	if c.weekdays != 0 && c.weekdays != 0x7f {
		var names []string
		for i, name := range weekdayNames {
			if c.weekdays&(1<<i) != 0 {
				names = append(names, name)
			}
		}
		b.WriteString(strings.Join(names, ",") + " ")
	}
	sep := "-"
	if c.fromEnd {
		sep = "~"
	}
	fmt.Fprintf(&b, "%s-%s%s%s ", formatParts(c.years, 1), formatParts(c.months, 1), sep, formatParts(c.days, 1))
	fmt.Fprintf(&b, "%s:%s:%s", formatParts(c.hours, 1), formatParts(c.minutes, 1), formatParts(c.micros, micro))
	if c.zone != nil {
		b.WriteString(" " + c.zone.String())
	}
	return b.String()
}

func formatParts(list []part, unit int) string {
	if list == nil || unit == micro && slices.Equal(list, []part{{0, -1, micro}}) {
		return "*"
	}
	value := func(v int) string {
		s := fmt.Sprintf("%02d", v/unit)
		if v%unit != 0 {
			s += strings.TrimRight(fmt.Sprintf(".%06d", v%unit), "0")
		}
		return s
	}
	var out []string
	for _, p := range list {
		s := value(p.start)
		if p.stop >= 0 {
			s += ".." + value(p.stop)
		}
		if p.step != 0 && (p.stop < 0 || p.step != unit) {
			s += "/" + strings.TrimPrefix(value(p.step), "0")
		}
		out = append(out, s)
	}
	return strings.Join(out, ",")
}
