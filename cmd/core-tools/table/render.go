package table

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text safe to print: what does not print, or is no UTF-8, appears
// as an escape. A process may call itself anything.
func Clean(s string) string {
	if clean(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
		s = s[n:]
	}
	return b.String()
}

func clean(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return false
		}
	}
	return true
}

// width is how many places text takes on a terminal.
func width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r):
		return 0
	case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3,
		r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60,
		r >= 0x1f300 && r <= 0x1faff, r >= 0x20000 && r <= 0x3fffd:
		return 2
	}
	return 1
}

// cut shortens text to a number of places; the last one then says so.
func cut(s string, places int) string {
	if width(s) <= places {
		return s
	}
	n, end := 0, 0
	for i, r := range s {
		if n += runeWidth(r); n > places-1 {
			break
		}
		end = i + utf8.RuneLen(r)
	}
	return s[:end] + "…"
}

// leastWidth is how narrow a column of text may become.
const leastWidth = 8

// Render writes the table for people. places is the width of the terminal, 0
// if there is none. Columns of text give way on a narrow one; if that is not
// enough, each row is written as a list.
func (t *Table) Render(places int) string {
	shown := make([]int, 0, len(t.Columns))
	for i, c := range t.Columns {
		if !c.Detail {
			shown = append(shown, i)
		}
	}
	cells := make([][]string, 0, len(t.Rows)+1)
	head := make([]string, len(shown))
	right := make([]bool, len(shown))
	for i, c := range shown {
		head[i] = Clean(t.Columns[c].heading())
		right[i] = t.isNumeric(c)
	}
	cells = append(cells, head)
	for _, row := range t.Rows {
		line := make([]string, len(shown))
		for i, c := range shown {
			line[i] = Text(row[c])
		}
		cells = append(cells, line)
	}
	wide := make([]int, len(shown))
	for _, line := range cells {
		for i, c := range line {
			wide[i] = max(wide[i], width(c))
		}
	}
	if places > 0 && !fit(wide, right, places) {
		return list(cells)
	}
	var out strings.Builder
	for _, line := range cells {
		writeLine(&out, line, wide, right)
	}
	return out.String()
}

// isNumeric tells whether a column holds numbers, which stand to the right.
func (t *Table) isNumeric(c int) bool {
	found := false
	for _, row := range t.Rows {
		if row[c] == nil {
			continue
		}
		if _, ok := number(row[c]); !ok {
			return false
		}
		found = true
	}
	return found
}

// fit narrows the widest columns of text until the table fits, and tells
// whether it does.
func fit(wide []int, right []bool, places int) bool {
	total := 2 * (len(wide) - 1)
	for _, w := range wide {
		total += w
	}
	for ; total > places; total-- {
		widest := -1
		for i, w := range wide {
			if !right[i] && w > leastWidth && (widest < 0 || w > wide[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return false
		}
		wide[widest]--
	}
	return true
}

func writeLine(out *strings.Builder, line []string, wide []int, right []bool) {
	var text strings.Builder
	for i, c := range line {
		c = cut(c, wide[i])
		fill := strings.Repeat(" ", wide[i]-width(c))
		if i > 0 {
			text.WriteString("  ")
		}
		if right[i] {
			text.WriteString(fill + c)
		} else {
			text.WriteString(c + fill)
		}
	}
	out.WriteString(strings.TrimRight(text.String(), " ") + "\n")
}

// list writes each row as lines of heading and value.
func list(cells [][]string) string {
	var out strings.Builder
	wide := 0
	for _, h := range cells[0] {
		wide = max(wide, width(h))
	}
	for n, line := range cells[1:] {
		if n > 0 {
			out.WriteByte('\n')
		}
		for i, c := range line {
			h := cells[0][i]
			fmt.Fprintf(&out, "%s%s : %s\n", h, strings.Repeat(" ", wide-width(h)), c)
		}
	}
	return out.String()
}
