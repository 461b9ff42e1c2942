package main

import (
	"bufio"
	"slices"
	"strings"
	"testing"
)

func TestRow(t *testing.T) {
	for _, tt := range []struct {
		numbers string
		equal   bool
		format  string
		want    string
	}{
		{"3", false, "", "1 2 3"},
		{"-3 0", false, "", "-3 -2 -1 0"},
		{"1 3 10", false, "", "1 4 7 10"},
		{"5 -2 1", false, "", "5 3 1"},
		{"-1 -1 -3", false, "", "-1 -2 -3"},
		{"1 .5 3", false, "", "1.0 1.5 2.0 2.5 3.0"},
		{"0.1 0.1 0.5", false, "", "0.1 0.2 0.3 0.4 0.5"},
		{"2 1.5 5.25", false, "", "2.0 3.5 5.0"},
		{"-.5 .25 .25", false, "", "-0.50 -0.25 0.00 0.25"},
		{"1 2.5", false, "", "1 2"},
		{"5.", false, "", "1 2 3 4 5"},
		{"1e2 1e2 3e2", false, "", "100 200 300"},
		{"1e-1 1e-1 3e-1", false, "", "0.1 0.2 0.3"},
		{"3 1", false, "", ""},
		{"1 -1 2", false, "", ""},
		{"0", false, "", ""},
		{"1 -inf", false, "", ""},
		{"5 5", false, "", "5"},
		{"9223372036854775807 9223372036854775808", false, "", "9223372036854775807 9223372036854775808"},
		{"999999 1000001", false, "", "999999 1000000 1000001"},
		{"8 11", true, "", "08 09 10 11"},
		{"+8 11", true, "", "08 09 10 11"},
		{"1 -1 -3", true, "", "01 00 -1 -2 -3"},
		{"-5 5 5", true, "", "-5 00 05"},
		{"001 3", true, "", "001 002 003"},
		{".5 .25 1", true, "", "0.50 0.75 1.00"},
		{"9 .5 10", true, "", "09.0 09.5 10.0"},
		{"1 1.5", true, "", "1"},
		{"-1 .1 -.7", true, "", "-1.0 -0.9 -0.8 -0.7"},
		{"2", false, "%.2f", "1.00 2.00"},
		{"2", false, "x%05gy%%", "x00001y% x00002y%"},
		{"0 .5 1", false, "%g", "0 0.5 1"},
		{"999999 1000001", false, "%g", "999999 1e+06 1e+06"},
		{"0.1 0.1 0.3", false, "%.3e|", "1.000e-01| 2.000e-01| 3.000e-01|"},
		{"2", false, "%3g", "  1   2"},
		{"2", false, "%-3g!", "1  ! 2  !"},
	} {
		r, err := newRow(strings.Fields(tt.numbers))
		if err != nil {
			t.Errorf("%s: %v", tt.numbers, err)
			continue
		}
		show := r.plain(tt.equal)
		if tt.format != "" {
			if show, err = r.formatted(tt.format); err != nil {
				t.Errorf("%s: %v", tt.format, err)
				continue
			}
		}
		var text strings.Builder
		out := bufio.NewWriter(&text)
		if err := r.print(out, show, " "); err != nil {
			t.Fatal(err)
		}
		_ = out.Flush()
		want := tt.want
		if want != "" {
			want += "\n"
		}
		if text.String() != want {
			t.Errorf("%s, equal width %v, format %q: %q, want %q", tt.numbers, tt.equal, tt.format, text.String(), want)
		}
	}
}

func TestEndless(t *testing.T) {
	r, err := newRow([]string{"1", "inf"})
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		if !r.more() {
			t.Fatalf("ends at %v", r.at)
		}
		r.advance()
	}
}

func TestRefused(t *testing.T) {
	for _, words := range []string{"", "1 2 3 4", "a", "1 0 2", "1 0.0 2", ".", "-", "1e", "0x1g", "inf 1", "nan", "1,5"} {
		if _, err := newRow(strings.Fields(words)); err == nil {
			t.Errorf("%q: no error", words)
		}
	}
	r, err := newRow([]string{"1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"", "x", "%d", "%g%g", "%", "%s", "%%"} {
		if _, err := r.formatted(format); err == nil {
			t.Errorf("format %q: no error", format)
		}
	}
}

func TestGuard(t *testing.T) {
	for in, want := range map[string]string{
		"seq 1 2":            "seq 1 2",
		"seq -1 2":           "seq -- -1 2",
		"seq 5 -1 1":         "seq 5 -1 1",
		"seq -s -1 -2 0":     "seq -s -1 -- -2 0",
		"seq -w -.5 1":       "seq -w -- -.5 1",
		"seq -ws : -5 1":     "seq -ws : -- -5 1",
		"seq -- -5 1":        "seq -- -5 1",
		"seq -s- -5 1":       "seq -s- -- -5 1",
		"seq --format %g -5": "seq --format %g -- -5",
	} {
		if got := guardNumbers(strings.Fields(in)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%s became %q, want %s", in, got, want)
		}
	}
}
