package unit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	day   = 24 * time.Hour
	year  = 31557600 * time.Second // 365.25 days, as systemd has it
	month = 2629800 * time.Second  // a twelfth of it
)

// spanUnit gives the length of a unit of time, 0 if there is none of the name.
func spanUnit(name string) time.Duration {
	switch name {
	case "s", "sec", "second", "seconds":
		return time.Second
	case "m", "min", "minute", "minutes":
		return time.Minute
	case "h", "hr", "hour", "hours":
		return time.Hour
	case "d", "day", "days":
		return day
	case "w", "week", "weeks":
		return 7 * day
	case "M", "month", "months":
		return month
	case "y", "year", "years":
		return year
	case "ms", "msec":
		return time.Millisecond
	case "us", "usec", "µs", "μs":
		return time.Microsecond
	case "ns", "nsec":
		return time.Nanosecond
	}
	return 0
}

// ParseSpan reads a time span such as "5min 20s", "1.5h" or "infinity"; a bare
// number is in seconds.
func ParseSpan(text string) (time.Duration, error) { return parseSpan(text, time.Second) }

func parseSpan(text string, bare time.Duration) (time.Duration, error) {
	bad := func(why string) (time.Duration, error) {
		return 0, fmt.Errorf("time span %q: %s", shorten(text), why)
	}
	s := strings.TrimSpace(text)
	if s == "" {
		return bad("empty")
	}
	if s == "infinity" {
		return Infinity, nil
	}
	var total time.Duration
	for s != "" {
		n := len(s) - len(strings.TrimLeft(s, "0123456789."))
		digits := s[:n]
		s = strings.TrimLeft(s[n:], blanks)
		if digits == "" {
			return bad("want a number and a unit, as in 5min 20s")
		}
		n = strings.IndexAny(s, " \t\n\r0123456789.")
		if n < 0 {
			n = len(s)
		}
		unit := bare
		if n > 0 {
			if unit = spanUnit(s[:n]); unit == 0 {
				return bad(fmt.Sprintf("%q is no unit of time", shorten(s[:n])))
			}
		}
		s = strings.TrimLeft(s[n:], blanks)
		part, ok := multiply(digits, unit)
		if !ok {
			return bad("number malformed or too large")
		}
		if total > Infinity-1-part {
			return bad("too large")
		}
		total += part
	}
	return total, nil
}

// multiply reads a decimal number and scales it, exactly, rounding down.
func multiply(digits string, unit time.Duration) (time.Duration, bool) {
	whole, fraction, _ := strings.Cut(digits, ".")
	if whole == "" && fraction == "" || strings.Contains(fraction, ".") {
		return 0, false
	}
	var v time.Duration
	if whole != "" {
		n, err := strconv.ParseInt(whole, 10, 64)
		if err != nil || n > int64((Infinity-1)/unit) {
			return 0, false
		}
		v = time.Duration(n) * unit
	}
	for _, c := range fraction {
		unit /= 10
		add := time.Duration(c-'0') * unit
		if v > Infinity-1-add {
			return 0, false
		}
		v += add
	}
	return v, true
}

// parseBool reads a boolean as systemd writes them.
func parseBool(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "1", "yes", "y", "true", "t", "on":
		return true, true
	case "0", "no", "n", "false", "f", "off":
		return false, true
	}
	return false, false
}

// parseMode reads an octal file mode.
func parseMode(s string) (uint32, error) {
	v, err := strconv.ParseUint(s, 8, 32)
	if err != nil || v > 0o7777 {
		return 0, fmt.Errorf("mode %q: want an octal number up to 7777", shorten(s))
	}
	return uint32(v), nil
}

// parseSize reads a number of bytes with K, M, G, T, P or E, each 1024 of the
// one before.
func parseSize(s string) (uint64, error) {
	digits := strings.TrimRight(s, "B")
	shift := 0
	if n := len(digits); n > 0 {
		if i := strings.IndexByte("KMGTPE", digits[n-1]); i >= 0 {
			shift = 10 * (i + 1)
			digits = digits[:n-1]
		}
	}
	v, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 64)
	if err != nil || v > math.MaxUint64>>shift {
		return 0, fmt.Errorf("size %q: want a number with K, M or G", shorten(s))
	}
	return v << shift, nil
}

// parseLimit reads the value of Limit…=: one number or soft:hard.
func parseLimit(resource, s string) (Limit, error) {
	soft, hard, two := strings.Cut(s, ":")
	if !two {
		hard = soft
	}
	var l Limit
	var err error
	if l.Soft, err = limitValue(resource, strings.TrimSpace(soft)); err != nil {
		return Limit{}, err
	}
	if l.Hard, err = limitValue(resource, strings.TrimSpace(hard)); err != nil {
		return Limit{}, err
	}
	if l.Soft > l.Hard {
		return Limit{}, fmt.Errorf("limit %q: the soft one is above the hard one", shorten(s))
	}
	return l, nil
}

func limitValue(resource, s string) (uint64, error) {
	if s == "infinity" {
		return Unlimited, nil
	}
	switch resource {
	case "CPU", "RTTIME":
		scale := time.Second
		if resource == "RTTIME" {
			scale = time.Microsecond
		}
		d, err := parseSpan(s, scale)
		if err != nil {
			return 0, err
		}
		return uint64((d + scale - 1) / scale), nil
	case "NICE":
		if s != "" && (s[0] == '+' || s[0] == '-') {
			n, err := strconv.Atoi(s)
			if err != nil || n < -20 || n > 19 {
				return 0, fmt.Errorf("limit %q: want -20 to +19", shorten(s))
			}
			return uint64(20 - n), nil // the kernel counts the other way round
		}
	}
	return parseSize(s)
}

// limitNames are the resources of Limit…=.
const limitNames = " CPU FSIZE DATA STACK CORE RSS NOFILE AS NPROC MEMLOCK LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME "
