package unit

import "time"

// Next gives the first time after t that fits, in t's zone unless the
// expression names one; false if there is none.
//
// What fits is the reading of a clock on the wall. A reading that a change of
// the clocks leaves out does not come; of one that comes twice only the first
// counts, except where the hour is * and so every hour is meant.
func (c *Calendar) Next(t time.Time) (time.Time, bool) {
	zone := c.zone
	if zone == nil {
		zone = t.Location()
	}
	t = t.In(zone).Truncate(time.Microsecond).Add(time.Microsecond)
	// Between two changes the clock on the wall runs evenly, so each stretch is
	// searched by itself. The bound is for zones made up to have very many.
	for range 100000 {
		_, offset := t.Zone()
		start, end := t.ZoneBounds()
		wall, ok := c.nextWall(t.UTC().Add(time.Duration(offset) * time.Second))
		if !ok {
			// A clock that is set back could show an earlier reading once more,
			// but not from behind the last year.
			return time.Time{}, false
		}
		at := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if !end.IsZero() && !at.Before(end) {
			t = end
			if early := at.Add(-49 * time.Hour); early.After(t) {
				t = early // no change of clocks is larger than that
			}
			continue
		}
		if c.hours != nil && secondTime(at, start, offset) {
			t = at.Add(time.Microsecond)
			continue
		}
		return at, true
	}
	return time.Time{}, false
}

// secondTime tells whether the clock showed the same as at the time at already
// before it was set back at start.
func secondTime(at, start time.Time, offset int) bool {
	if start.IsZero() {
		return false
	}
	_, before := start.Add(-time.Nanosecond).Zone()
	return before > offset && at.Sub(start) < time.Duration(before-offset)*time.Second
}

// nextWall gives the first reading at or after a reading that fits. Readings
// are written as times in UTC.
func (c *Calendar) nextWall(t time.Time) (time.Time, bool) {
	midnight := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	if c.fits(midnight) {
		if us, ok := c.nextTime(int(t.Sub(midnight) / time.Microsecond)); ok {
			return midnight.Add(time.Duration(us) * time.Microsecond), true
		}
	}
	us, ok := c.nextTime(0)
	if !ok {
		return time.Time{}, false
	}
	d, ok := c.nextDay(midnight.AddDate(0, 0, 1))
	return d.Add(time.Duration(us) * time.Microsecond), ok
}

// nextDay gives the first day at or after one that fits.
func (c *Calendar) nextDay(d time.Time) (time.Time, bool) {
	for d.Year() <= lastYear {
		switch {
		case !has(c.years, d.Year()):
			d = time.Date(d.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
		case !has(c.months, int(d.Month())):
			d = time.Date(d.Year(), d.Month()+1, 1, 0, 0, 0, 0, time.UTC)
		case !c.fits(d):
			d = d.AddDate(0, 0, 1)
		default:
			return d, true
		}
	}
	return time.Time{}, false
}

// fits tells whether a day fits the expression.
func (c *Calendar) fits(d time.Time) bool {
	if d.Year() > lastYear || !has(c.years, d.Year()) || !has(c.months, int(d.Month())) {
		return false
	}
	weekday := (int(d.Weekday()) + 6) % 7 // from Monday
	if c.weekdays != 0 && c.weekdays&(1<<weekday) == 0 {
		return false
	}
	if !c.fromEnd {
		return has(c.days, d.Day())
	}
	last := time.Date(d.Year(), d.Month()+1, 0, 0, 0, 0, 0, time.UTC).Day()
	return hasFromEnd(c.days, d.Day(), last)
}

// hasFromEnd is has for days that count from the end of a month. A step goes
// on towards the end.
func hasFromEnd(list []part, day, last int) bool {
	if list == nil {
		return true
	}
	for _, p := range list {
		start, stop := last-p.start+1, -1
		if p.stop >= 0 {
			stop = last - p.stop + 1
			start, stop = min(start, stop), max(start, stop)
		}
		if (part{start, stop, p.step}).has(day) {
			return true
		}
	}
	return false
}

func has(list []part, v int) bool {
	if list == nil {
		return true
	}
	for _, p := range list {
		if p.has(v) {
			return true
		}
	}
	return false
}

func (p part) has(v int) bool {
	if p.step == 0 {
		return v == p.start
	}
	return v >= p.start && (p.stop < 0 || v <= p.stop) && (v-p.start)%p.step == 0
}

// nextTime gives the first time of day at or after one, in microseconds since
// midnight.
func (c *Calendar) nextTime(from int) (int, bool) {
	hour, ok := next(c.hours, from/(3600*micro), 23)
	for ok {
		first := max(0, from-hour*3600*micro)
		minute, mok := next(c.minutes, first/(60*micro), 59)
		for mok {
			us, sok := next(c.micros, max(0, first-minute*60*micro), 60*micro-1)
			if sok {
				return hour*3600*micro + minute*60*micro + us, true
			}
			minute, mok = next(c.minutes, minute+1, 59)
		}
		hour, ok = next(c.hours, hour+1, 23)
	}
	return 0, false
}

// next gives the first value from v to most that one of the parts has.
func next(list []part, v, most int) (int, bool) {
	best := most + 1
	if list == nil {
		best = v
	}
	for _, p := range list {
		at := p.start
		if v > p.start {
			if p.step == 0 {
				continue
			}
			at = p.start + (v-p.start+p.step-1)/p.step*p.step
		}
		if p.stop < 0 || at <= p.stop {
			best = min(best, at)
		}
	}
	return best, best <= most
}
