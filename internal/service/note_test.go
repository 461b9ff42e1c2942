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

// A mark can be had by anybody; who may speak for a service has more in common
// with it.
func TestSpeaksForService(t *testing.T) {
	s := &service{mark: 5, main: 100, user: User{UID: 33}}
	for name, tt := range map[string]struct {
		from sender
		want bool
	}{
		"its main process":         {sender{pid: 100, uid: 7}, true},
		"its user":                 {sender{pid: 101, uid: 33, mark: 5}, true},
		"root":                     {sender{pid: 101, mark: 5}, true},
		"another user, descending": {sender{pid: 102, uid: 7, mark: 5, above: []int{101, 100}}, true},
		"another user":             {sender{pid: 102, uid: 7, mark: 5, above: []int{90}}, false},
		"another mark":             {sender{pid: 102, uid: 33, mark: 6}, false},
		"no mark":                  {sender{pid: 102}, false},
	} {
		if got := tt.from.mayBeOf(s); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
	if (&sender{uid: 33}).mayBeOf(&service{user: User{UID: 33}}) {
		t.Error("a service that does not run is spoken for")
	}
}
