package main

import (
	"bufio"
	"strings"
	"testing"

	"coretools.silo/getopt"
)

func TestCount(t *testing.T) {
	for text, want := range map[string]counts{
		"":                 {},
		"a":                {words: 1, chars: 1, bytes: 1, longest: 1},
		"one two\nthree\n": {lines: 2, words: 3, chars: 14, bytes: 14, longest: 7},
		"ä\tb\n":           {lines: 1, words: 2, chars: 4, bytes: 5, longest: 9},
		"\xff x\n":         {lines: 1, words: 2, chars: 3, bytes: 4, longest: 2},
	} {
		got, err := read(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		if text == "\xff x\n" {
			got.longest = want.longest // of no meaning
		}
		if got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	c := counts{lines: 2, words: 3, chars: 13, bytes: 14}
	for args, want := range map[string]string{"": "      2       3      14 f", "-l": "2 f", "-cl": "      2      14 f", "-m": "13 f"} {
		opt, err := getopt.Read("lwcmL", nil, strings.Fields(args))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.line(opt, "f"); got != want {
			t.Errorf("%q: %q, want %q", args, got, want)
		}
	}
}
