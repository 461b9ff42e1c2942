package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// timestamp makes of a time, or of how long ago it was, the seconds since 1970
// that Docker's API takes. Seconds are taken as they are.
func timestamp(flag, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		return unixText(time.Now().Add(-d)), nil
	}
	whole, part, _ := strings.Cut(s, ".")
	if _, err := strconv.ParseInt(whole, 10, 64); err == nil {
		if _, err := strconv.ParseUint("0"+part, 10, 64); err == nil {
			return s, nil
		}
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15",
		"2006-01-02Z07:00", "2006-01-02",
	} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return unixText(t), nil
		}
	}
	return "", fmt.Errorf("%s %q is neither a time nor a duration: use 2006-01-02T15:04:05Z or 10m", flag, s)
}

func unixText(t time.Time) string {
	return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond())
}
