package main

import (
	"cmp"
	"strings"
)

// compareVersions compares texts with numbers in them: v1.9 is before v1.10.
// Parts that are no numbers and numbers take turns. A tilde is before even the
// end, so that 1.0~rc1 is before 1.0; letters are before all other characters.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var textA, textB, numberA, numberB string
		textA, a = span(a, false)
		textB, b = span(b, false)
		if c := compareTexts(textA, textB); c != 0 {
			return c
		}
		numberA, a = span(a, true)
		numberB, b = span(b, true)
		if c := compareNumbers(numberA, numberB); c != 0 {
			return c
		}
	}
	return 0
}

// span cuts off the digits, or what is before the first one.
func span(s string, digits bool) (part, rest string) {
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9') == digits {
		i++
	}
	return s[:i], s[i:]
}

func compareTexts(a, b string) int {
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(rank(a, i), rank(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func rank(s string, i int) int {
	const others = 256
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z':
		return int(s[i])
	}
	return others + int(s[i])
}

// compareNumbers has no limit to the count of digits.
func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}
