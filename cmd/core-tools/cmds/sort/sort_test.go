package main

import (
	"slices"
	"testing"
)

func TestKeys(t *testing.T) {
	tests := []struct {
		key, separator, a, b string
		want                 int
	}{
		{"1", "", "a 2", "b 1", -1},
		{"2", "", "a 2", "b 1", 1},
		{"2n", "", "a 10", "b 9", 1},
		{"2,2nr", "", "a 10", "b 9", -1},
		{"2", ":", "x:b:c", "x:a:c", 1},
		{"3", ":", "x:b", "x:a", 0},
		{"1h", "", "2K", "1M", -1},
		{"1f", "", "B", "a", 1},
		{"2V", "", "x v1.10", "a v1.9", 1},
		{"2Vr", "", "x v1.10", "a v1.9", -1},
	}
	for _, tt := range tests {
		k, err := parseKey(tt.key, "")
		if err != nil {
			t.Errorf("%s: %v", tt.key, err)
			continue
		}
		if got := k.compare(tt.a, tt.b, tt.separator); got != tt.want {
			t.Errorf("%s: %q against %q is %d, want %d", tt.key, tt.a, tt.b, got, tt.want)
		}
	}
	for _, word := range []string{"", "0", "x", "1,0", "1z", "1M", "1g", "1d", "1i"} {
		if _, err := parseKey(word, ""); err == nil {
			t.Errorf("%q: no error", word)
		}
	}
}

func TestVersions(t *testing.T) {
	want := []string{"", "1.0~rc1", "1.0", "1.0a", "1.0-1", "1.2", "1.9", "1.10", "1.10.1", "2", "100000000000000000000", "a1", "a2", "a10", "b", "v1.2"}
	for i, a := range want {
		for j, b := range want {
			if got, order := compareVersions(a, b), min(max(i-j, -1), 1); got != order {
				t.Errorf("%q against %q is %d, want %d", a, b, got, order)
			}
		}
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	if slices.SortFunc(got, compareVersions); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
