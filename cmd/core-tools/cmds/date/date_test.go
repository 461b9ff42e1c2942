package main

import (
	"testing"
	"time"
)

func TestFormat(t *testing.T) {
	at := time.Date(2026, 3, 5, 4, 6, 7, 8, time.UTC)
	for layout, want := range map[string]string{
		"%Y-%m-%dT%H:%M:%S%z": "2026-03-05T04:06:07+0000",
		"%F %T":               "2026-03-05 04:06:07",
		"%a %b %e %Z":         "Thu Mar  5 UTC",
		"%s.%N":               "1772683567.000000008",
		"%j %u %w %V":         "064 4 4 10",
		"%-d/%-m %I%p":        "5/3 04AM",
		"100%% %q %":          "100% %q %",
	} {
		if got := format(at, layout); got != want {
			t.Errorf("format(%q) = %q, want %q", layout, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	want := time.Date(2026, 3, 5, 4, 6, 0, 0, time.UTC)
	for _, word := range []string{"2026-03-05 04:06:00", "2026-03-05 04:06", "2026-03-05T04:06:00Z", "@1772683560"} {
		if got, err := parse(word, true); err != nil || !got.Equal(want) {
			t.Errorf("parse(%q) = %v, %v, want %v", word, got, err, want)
		}
	}
	if got, err := parse("never", true); err == nil {
		t.Errorf("parse(never) = %v, want an error", got)
	}
}
