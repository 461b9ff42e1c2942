package unit

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests' zones, wherever they run
)

func TestCalendarForms(t *testing.T) {
	for in, want := range map[string]string{
		"minutely": "*-*-* *:*:00", "hourly": "*-*-* *:00:00", "daily": "*-*-* 00:00:00", "weekly": "Mon *-*-* 00:00:00", "monthly": "*-*-01 00:00:00",
		"quarterly": "*-01,04,07,10-01 00:00:00", "semiannually": "*-01,07-01 00:00:00", "yearly": "*-01-01 00:00:00",
		"Sat,Thu,Mon..Wed,Sat..Sun": "Mon,Tue,Wed,Thu,Sat,Sun *-*-* 00:00:00", "Mon,Sun 12-*-* 2,1:23": "Mon,Sun 2012-*-* 02,01:23:00",
		"Wed *-1": "Wed *-*-01 00:00:00", "Wednesday 17:48": "Wed *-*-* 17:48:00", "10-15": "*-10-15 00:00:00", "2003-02..04-05": "2003-02..04-05 00:00:00",
		"*:4,30:0..3": "*-*-* *:04,30:00..03", "05:40:23.4200004/3.1700005": "", "05:40:23.42/3.17": "*-*-* 05:40:23.42/3.17", "*:20/5": "*-*-* *:20/5:00",
		"2003-03-05 05:40 UTC": "2003-03-05 05:40:00 UTC", "03-05 08:05:40": "*-03-05 08:05:40", "*-*~03..01": "*-*~03..01 00:00:00", "Mon *-05~07/1": "Mon *-05~07/1 00:00:00",
		"00:00:01/2": "*-*-* 00:00:01/2", "@1395716396": "2014-03-25 02:59:56 UTC", "2021-01-01T10:00": "2021-01-01 10:00:00", "*:*:*": "*-*-* *:*:*",
		"daily Europe/Berlin": "*-*-* 00:00:00 Europe/Berlin", "Mon..Fri": "Mon,Tue,Wed,Thu,Fri *-*-* 00:00:00", "70-01-01": "1970-01-01 00:00:00", "weekly UTC": "Mon *-*-* 00:00:00 UTC",
	} {
		c, err := ParseCalendar(in, time.LoadLocation)
		if want == "" {
			if err == nil {
				t.Errorf("%q is taken as %s", in, c)
			}
			continue
		}
		if err != nil || c.String() != want {
			t.Errorf("%q is %v, %v; want %s", in, c, err, want)
			continue
		}
		again, err := ParseCalendar(c.String(), time.LoadLocation)
		if err != nil || again.String() != c.String() {
			t.Errorf("%q does not read what it writes: %v %v", in, again, err)
		}
	}
	for _, bad := range []string{
		"", "never", "Moon", "Fri..Mon", "2000-13-01", "*-*-32", "24:00", "10:60", "10:00:60", "1900-01-01", "2200-01-01", "10", "10-", "-10", "*-*~29", "*/2", "1:2:3:4",
		"2000-01-01 10", "*:0/0", "*:30..10", "a b c", "10:00 Nowhere/Land", "10:00 ../etc/passwd", "@-1", "@99999999999", "*-*-* *:*:* *", "10:00 UTC UTC", strings.Repeat("1,", 600),
		"1.5:00", "*:*:0/61", "*-*-0",
	} {
		if c, err := ParseCalendar(bad, time.LoadLocation); err == nil {
			t.Errorf("%q is taken as %s", bad, c)
		}
	}
}

func TestNext(t *testing.T) {
	const form = "2006-01-02 15:04:05.999999 -0700"
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ expr, after, want string }{
		{"daily", "2024-02-28 12:00:00 +0100", "2024-02-29 00:00:00 +0100"},
		{"*-02-29", "2021-01-01 00:00:00 +0100", "2024-02-29 00:00:00 +0100"},
		{"*-02-30", "2021-01-01 00:00:00 +0100", ""},
		{"2020-*-* 10:00", "2021-01-01 00:00:00 +0100", ""},
		{"*-*~01 23:59:59", "2023-02-10 00:00:00 +0100", "2023-02-28 23:59:59 +0100"},
		{"Mon *-05~07/1", "2023-01-01 00:00:00 +0100", "2023-05-29 00:00:00 +0200"},
		{"*-02~03..01", "2024-02-01 00:00:00 +0100", "2024-02-27 00:00:00 +0100"},
		{"Fri *-*-13", "2023-02-01 00:00:00 +0100", "2023-10-13 00:00:00 +0200"},
		{"*:0/15", "2023-01-01 10:15:00 +0100", "2023-01-01 10:30:00 +0100"},
		{"*:*:0/20.5", "2023-01-01 10:00:20.499999 +0100", "2023-01-01 10:00:20.5 +0100"},
		{"10:00 UTC", "2023-07-01 00:00:00 +0200", "2023-07-01 12:00:00 +0200"},
		{"@0", "2023-01-01 00:00:00 +0100", ""},
		// The clocks go forward: half past two does not come on that day.
		{"02:30", "2023-03-26 00:00:00 +0100", "2023-03-27 02:30:00 +0200"},
		{"hourly", "2023-03-26 01:00:00 +0100", "2023-03-26 03:00:00 +0200"},
		{"03:00", "2023-03-26 01:59:59 +0100", "2023-03-26 03:00:00 +0200"},
		// They go back: half past two comes twice, and each hour counts.
		{"02:30", "2023-10-29 00:00:00 +0200", "2023-10-29 02:30:00 +0200"},
		{"02:30", "2023-10-29 02:30:00 +0200", "2023-10-30 02:30:00 +0100"},
		{"*:30", "2023-10-29 02:30:00 +0200", "2023-10-29 02:30:00 +0100"},
	} {
		after, err := time.Parse(form, c.after)
		if err != nil {
			t.Fatal(err)
		}
		cal, err := ParseCalendar(c.expr, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := cal.Next(after.In(berlin))
		text := ""
		if ok {
			text = got.In(berlin).Format(form)
		}
		if text != c.want {
			t.Errorf("%s after %s is %q, want %q", c.expr, c.after, text, c.want)
		}
	}
}

// naive tells whether a time fits, by looking at each of its fields.
func naive(c *Calendar, t time.Time) bool {
	in := func(list []part, v int) bool {
		for _, p := range list {
			for at, n := p.start, 0; n < 100; at, n = at+max(p.step, 1), n+1 {
				if at == v && (p.stop < 0 || at <= p.stop) {
					return true
				}
				if p.step == 0 || p.stop >= 0 && at > p.stop {
					break
				}
			}
		}
		return list == nil
	}
	days := c.days
	if c.fromEnd && c.days != nil {
		last := t.AddDate(0, 0, 1-t.Day()).AddDate(0, 1, -1).Day()
		days = []part{}
		for _, p := range c.days {
			q := part{start: last + 1 - p.start, stop: -1, step: p.step}
			if p.stop >= 0 {
				other := last + 1 - p.stop
				q.start, q.stop = min(q.start, other), max(q.start, other)
			}
			days = append(days, q)
		}
	}
	bit := uint8(1) << ((t.Weekday() + 6) % 7)
	return in(c.years, t.Year()) && in(c.months, int(t.Month())) && in(days, t.Day()) && in(c.hours, t.Hour()) &&
		in(c.minutes, t.Minute()) && in(c.micros, t.Second()*micro+t.Nanosecond()/1000) && (c.weekdays == 0 || c.weekdays&bit != 0)
}

// TestNextByBruteForce walks minute by minute through the days after a time
// and compares. All seconds are 0 here; TestNext has the finer ones.
func TestNextByBruteForce(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns"}
	starts := []string{"2023-03-24", "2023-10-27", "2024-02-26", "2023-12-29", "2023-04-01", "2023-03-10", "2023-11-03"}
	const days = 6
	for seed := range uint64(150) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		zone, err := time.LoadLocation(zones[rnd.IntN(len(zones))])
		if err != nil {
			t.Fatal(err)
		}
		from, err := time.ParseInLocation("2006-01-02", starts[rnd.IntN(len(starts))], zone)
		if err != nil {
			t.Fatal(err)
		}
		from = from.Add(time.Duration(rnd.IntN(3*24*60)) * time.Minute)
		expr := randomCalendar(rnd)
		c, err := ParseCalendar(expr, nil)
		if err != nil {
			t.Fatalf("%s: %v", expr, err)
		}
		var want time.Time
		seen := map[string]bool{}
		for m := -3 * 60; m < days*24*60; m++ { // from before, to know what came already
			at := from.Add(time.Duration(m) * time.Minute)
			wall := at.Format("2006-01-02 15:04")
			twice := seen[wall] && c.hours != nil
			seen[wall] = true
			if m > 0 && !twice && naive(c, at) {
				want = at
				break
			}
		}
		got, ok := c.Next(from)
		switch {
		case want.IsZero() && ok && got.Before(from.Add(days*24*time.Hour)):
			t.Errorf("seed %d: %s after %s is %s, want none so soon", seed, expr, from, got)
		case !want.IsZero() && (!ok || !got.Equal(want)):
			t.Errorf("seed %d: %s after %s is %s, want %s", seed, expr, from, got, want)
		}
	}
}

func randomCalendar(rnd *rand.Rand) string {
	component := func(least, most int) string {
		a := least + rnd.IntN(most-least+1)
		switch b := a + rnd.IntN(most-a+1); rnd.IntN(6) {
		case 0:
			return fmt.Sprint(a)
		case 1:
			return fmt.Sprintf("%d..%d", a, b)
		case 2:
			return fmt.Sprintf("%d/%d", a, 1+rnd.IntN(5))
		case 3:
			return fmt.Sprintf("%d,%d..%d/%d", least, a, b, 1+rnd.IntN(5))
		}
		return "*"
	}
	weekdays := []string{"", "", "", "Mon..Thu ", "Sat,Sun ", "Sun "}[rnd.IntN(6)]
	date := "*-*-" + component(1, 31)
	if rnd.IntN(4) == 0 {
		date = "*-*~" + component(1, 28)
	}
	return fmt.Sprintf("%s%s %s:%s", weekdays, date, component(0, 23), component(0, 59))
}
