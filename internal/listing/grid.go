package listing

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// grid is a table whose lines may carry a remark below them.
type grid []gridLine

type gridLine struct {
	cells  []string
	detail string
}

// print lines the cells up; remarks do not count for that.
func (g grid) print(w io.Writer) error {
	var widths []int
	for _, l := range g {
		for i, c := range l.cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for _, l := range g {
		var b strings.Builder
		for i, c := range l.cells {
			b.WriteString(c)
			if i < len(l.cells)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+3))
			}
		}
		b.WriteByte('\n')
		if l.detail != "" {
			b.WriteString("    " + l.detail + "\n")
		}
		if _, err := io.WriteString(w, b.String()); err != nil {
			return err
		}
	}
	return nil
}

// cellMost bounds the characters of a cell: one long name would make every line
// of the table as long.
const cellMost = 120

// gridRow makes a line of a grid.
func gridRow(detail string, cells ...any) gridLine {
	l := gridLine{detail: detail}
	for _, c := range cells {
		l.cells = append(l.cells, Ellipsis(fmt.Sprint(c), cellMost))
	}
	return l
}
