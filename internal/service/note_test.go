package service

import (
	"slices"
	"testing"
)

// What a note is about is named, be it one directive or several.
func TestPassedOver(t *testing.T) {
	for note, want := range map[string][]string{
		"FooBar=: not known":                         {"FooBar="},
		"PrivateTmp= ProtectHome=: has no effect":    {"PrivateTmp=", "ProtectHome="},
		"A= B= and 3 more: not known":                {"A=", "B=", "and 3 more"},
		"Restart=sometimes: not understood: ignored": {"Restart="},
		"a line without an equals sign: ignored":     {"a line without an equals sign: ignored"},
		"=x: no name":                                {"=x: no name"},
	} {
		if got := passedOver(note); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", note, got, want)
		}
	}
}
