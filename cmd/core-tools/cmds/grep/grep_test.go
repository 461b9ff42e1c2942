package main

import (
	"strings"
	"testing"

	"coretools.silo/getopt"
)

func TestPatterns(t *testing.T) {
	for _, tt := range []struct{ args, pattern, match, other string }{
		{"", `\<word\>`, "a word,", "words"},
		{"", `\<word`, "words", "sword"},
		{"-E", `\<(word|text)\>`, "text", "texts"},
		{"-E", `\\<x`, `a\<x`, "x"},
		{"", `\\<x`, `a\<x`, "x"},
		{"-E", `a+\.`, "aa.", "aa"},
		{"", `a\+b+`, "aab+", "aab"},
		{"-F", `\<x`, `\<x`, "x"},
		{"", `[\<]x`, "<x", "x"},
		{"-E", "<x>", "<x>", "x"},
	} {
		opt, err := getopt.Read("EFPiwx", nil, strings.Fields(tt.args))
		if err != nil {
			t.Fatal(err)
		}
		re := compile(opt, []string{tt.pattern})
		if !re.MatchString(tt.match) || re.MatchString(tt.other) {
			t.Errorf("grep %s %s is %s: it should match %q and not %q", tt.args, tt.pattern, re, tt.match, tt.other)
		}
	}
}
