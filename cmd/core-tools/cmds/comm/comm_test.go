package main

import (
	"bufio"
	"strings"
	"testing"
)

func TestMerge(t *testing.T) {
	const one, two = "a\nb\nd\n", "b\nc\nd\ne"
	for _, tt := range []struct {
		hide, a, b, want string
	}{
		{"", one, two, "a\n\t\tb\n\tc\n\t\td\n\te\n"},
		{"1", one, two, "\tb\nc\n\td\ne\n"},
		{"2", one, two, "a\n\tb\n\td\n"},
		{"3", one, two, "a\n\tc\n\te\n"},
		{"12", one, two, "b\nd\n"},
		{"13", one, two, "c\ne\n"},
		{"23", one, two, "a\n"},
		{"123", one, two, ""},
		{"", "", "", ""},
		{"", "a\na\n", "a\n", "\t\ta\na\n"},
		{"", "\n", "", "\n"},
		{"", "a", "a\n", "\t\ta\n"},
	} {
		var c columns
		for i := range c.hide {
			c.hide[i] = strings.Contains(tt.hide, string(rune('1'+i)))
		}
		a, b := &side{in: bufio.NewReader(strings.NewReader(tt.a))}, &side{in: bufio.NewReader(strings.NewReader(tt.b))}
		var text strings.Builder
		out := bufio.NewWriter(&text)
		if err := c.merge(out, a, b); err != nil {
			t.Fatal(err)
		}
		_ = out.Flush()
		if text.String() != tt.want || a.unsorted || b.unsorted {
			t.Errorf("-%s of %q and %q is %q (unsorted %v, %v), want %q", tt.hide, tt.a, tt.b, text.String(), a.unsorted, b.unsorted, tt.want)
		}
	}
}

func TestUnsorted(t *testing.T) {
	for _, tt := range []struct {
		a, b         string
		wantA, wantB bool
	}{
		{"b\na\n", "c\n", true, false},
		{"b\na\n", "b\na\n", false, false}, // all lines pair off
		{"a\n", "b\na\n", false, true},
	} {
		a, b := &side{in: bufio.NewReader(strings.NewReader(tt.a))}, &side{in: bufio.NewReader(strings.NewReader(tt.b))}
		var text strings.Builder
		if err := (columns{}).merge(bufio.NewWriter(&text), a, b); err != nil {
			t.Fatal(err)
		}
		if a.unsorted != tt.wantA || b.unsorted != tt.wantB {
			t.Errorf("%q and %q: unsorted %v, %v; want %v, %v", tt.a, tt.b, a.unsorted, b.unsorted, tt.wantA, tt.wantB)
		}
	}
}
