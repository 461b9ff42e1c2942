package main

import "testing"

func TestPart(t *testing.T) {
	const data = "a\nb\nc\n"
	for _, tt := range []struct {
		p    part
		want string
	}{
		{part{count: 1}, "c\n"},
		{part{count: 2}, "b\nc\n"},
		{part{count: 9}, data},
		{part{count: 0}, ""},
		{part{count: 2, fromStart: true}, "b\nc\n"},
		{part{count: 1, fromStart: true}, data},
		{part{count: 9, fromStart: true}, ""},
		{part{count: 3, bytes: true}, "\nc\n"},
		{part{count: 99, bytes: true}, data},
		{part{count: 3, fromStart: true, bytes: true}, "b\nc\n"},
	} {
		if got := string(tt.p.of([]byte(data))); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.p, got, tt.want)
		}
	}
	if got := string(part{count: 1}.of([]byte("a\nb"))); got != "b" {
		t.Errorf("without an end to the last line: %q, want b", got)
	}
}
