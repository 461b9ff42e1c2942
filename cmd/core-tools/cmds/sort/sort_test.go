package main

import "testing"

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
	for _, word := range []string{"", "0", "x", "1,0", "1z"} {
		if _, err := parseKey(word, ""); err == nil {
			t.Errorf("%q: no error", word)
		}
	}
}
