package main

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
)

func TestTranslation(t *testing.T) {
	for _, tt := range []struct {
		flags, sets, in, want string
	}{
		{"", "a-c A-C", "abcd", "ABCd"},
		{"", "[:lower:] [:upper:]", "Silo 1", "SILO 1"},
		{"", `\0 \n`, "a\x00b\x00", "a\nb\n"},
		{"", `\012 \t`, "a\nb", "a\tb"},
		{"", "abc x", "aabbccd", "xxxxxxd"},
		{"t", "abc x", "aabbccd", "xxbbccd"},
		{"d", "[:digit:]", "a1b22", "ab"},
		{"cd", `[:alnum:]\n`, "a-1 b\n", "a1b\n"},
		{"s", "[:space:]", "a  b\n\nc", "a b\nc"},
		{"s", "ab xx", "aabbc", "xc"},
		{"ds", "1 a", "1aa1a2", "a2"},
		{"c", `0-9\n _`, "a1\n", "_1\n"},
		{"", `\\ /`, `a\b`, "a/b"},
		{"", "a- xy", "a-b", "xyb"},
	} {
		has := func(c string) bool { return strings.Contains(tt.flags, c) }
		tr, err := newTranslation(strings.Fields(tt.sets), has("c"), has("d"), has("s"), has("t"))
		if err != nil {
			t.Errorf("%s %s: %v", tt.flags, tt.sets, err)
			continue
		}
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		if err := tr.copy(w, strings.NewReader(tt.in)); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		if out.String() != tt.want {
			t.Errorf("%s %s of %q: %q, want %q", tt.flags, tt.sets, tt.in, out.String(), tt.want)
		}
	}
}

func TestRefusedSets(t *testing.T) {
	for _, sets := range []string{"", "a", "z-a x", "[:nope:] x", "a b c"} {
		if _, err := newTranslation(strings.Fields(sets), false, false, false, false); err == nil {
			t.Errorf("%q is taken", sets)
		}
	}
	if _, err := newTranslation([]string{"a", ""}, false, false, false, false); err == nil {
		t.Error("an empty second set is taken")
	}
}
