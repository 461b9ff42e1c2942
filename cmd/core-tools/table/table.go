// Package table shows rows of typed values to people and to programs: as a
// table that fits the terminal, or as JSON. It also sorts rows, keeps some of
// them (where) and some of their columns (select), in the same way for the
// rows of a command and for JSON that came through a pipe.
//
// Where rows come from is the business of the commands.
package table

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bytes is an amount of memory or storage: 1.5M for people, a number for
// programs.
type Bytes int64

// Seconds is a length of time: 0.25 for both.
type Seconds float64

// Column is one column. Name is the key in JSON and what options call it;
// Title is the heading, Name in capitals if it is empty.
type Column struct {
	Name, Title string
	Detail      bool // not in the table unless it is selected
}

func (c Column) heading() string {
	if c.Title != "" {
		return c.Title
	}
	return strings.ToUpper(c.Name)
}

// Table is what a command has to show. A row has one value for each column:
// nil (not known), string, bool, int, int64, float64, Bytes, Seconds,
// time.Time, []string, or json.RawMessage.
type Table struct {
	Columns []Column
	Rows    [][]any
}

// Add adds a row.
func (t *Table) Add(values ...any) {
	if len(values) != len(t.Columns) {
		panic(fmt.Sprintf("table: %d values for %d columns", len(values), len(t.Columns)))
	}
	t.Rows = append(t.Rows, values)
}

// Find gives the place of a column by its name or heading; letter case and
// blanks do not count.
func (t *Table) Find(name string) (int, error) {
	fold := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, " ", "")) }
	want := fold(name)
	for i, c := range t.Columns {
		if fold(c.Name) == want {
			return i, nil
		}
	}
	for i, c := range t.Columns {
		if fold(c.heading()) == want {
			return i, nil
		}
	}
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = c.Name
	}
	return 0, fmt.Errorf("%q: no such column: there are %s", name, strings.Join(names, ", "))
}

// Text is a value as people read it; - is what is not known.
func Text(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return Clean(v)
	case []string:
		return Clean(strings.Join(v, ", "))
	case bool:
		if v {
			return "yes"
		}
		return "no"
	case Bytes:
		return human(int64(v))
	case Seconds:
		return strconv.FormatFloat(float64(v), 'f', 2, 64)
	case time.Time:
		return v.Format(time.DateTime)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case json.RawMessage:
		return Clean(string(v))
	}
	return fmt.Sprint(v)
}

func human(n int64) string {
	if n < 1024 && n > -1024 {
		return strconv.FormatInt(n, 10)
	}
	v, unit := float64(n), -1
	for (v >= 1024 || v <= -1024) && unit < len("KMGTPE")-1 {
		v /= 1024
		unit++
	}
	precision := 0
	if v < 9.95 && v > -9.95 {
		precision = 1
	}
	return strconv.FormatFloat(v, 'f', precision, 64) + string("KMGTPE"[unit])
}

// number is the value as a number, if it is one.
func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case Bytes:
		return float64(v), true
	case Seconds:
		return float64(v), true
	}
	return 0, false
}

// compare orders two values of one column: what is not known first, numbers by
// size, times by time, the rest as text without regard to letter case.
func compare(a, b any) int {
	if a == nil || b == nil {
		return cmp.Compare(known(a), known(b))
	}
	x, numberA := number(a)
	y, numberB := number(b)
	if numberA && numberB {
		return cmp.Compare(x, y)
	}
	if p, ok := a.(time.Time); ok {
		if q, ok := b.(time.Time); ok {
			return p.Compare(q)
		}
	}
	s, u := plain(a), plain(b)
	return cmp.Or(strings.Compare(strings.ToLower(s), strings.ToLower(u)), strings.Compare(s, u))
}

func known(v any) int {
	if v == nil {
		return 0
	}
	return 1
}

// plain is the value as text, without changing characters of it.
func plain(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []string:
		return strings.Join(v, ", ")
	case json.RawMessage:
		return string(v)
	}
	return Text(v)
}
