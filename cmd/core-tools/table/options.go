package table

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Options are what every command with a table takes, and the filters.
type Options struct {
	JSON, Table bool
	Sort        []string // COLUMN or COLUMN,desc
	Where       []string
	Select      []string
}

// Usage lists the options for a usage line.
const Usage = "[--json] [--sort COLUMN[,desc]] [--where EXPRESSION] [--select COLUMN,...]"

// Cut takes the options out of a command line and gives what is left. What
// follows "--" is left alone.
func (o *Options) Cut(args []string) ([]string, error) {
	var rest []string
	for i := 0; i < len(args); i++ {
		name, value, has := strings.Cut(args[i], "=")
		var list *[]string
		switch name {
		case "--":
			return append(rest, args[i:]...), nil
		case "--json":
			o.JSON = true
		case "--table":
			o.Table = true
		case "--sort":
			list = &o.Sort
		case "--where":
			list = &o.Where
		case "--select":
			list = &o.Select
		default:
			rest = append(rest, args[i])
			continue
		}
		switch {
		case list == nil && has:
			return nil, fmt.Errorf("%s: takes no value", name)
		case list == nil:
			continue
		case !has && i+1 == len(args):
			return nil, fmt.Errorf("%s: needs a value", name)
		case !has:
			i++
			value = args[i]
		}
		*list = append(*list, value)
	}
	return rest, nil
}

// Apply keeps, orders and chooses as the options say.
func (o *Options) Apply(t *Table) error {
	for _, w := range o.Where {
		all, err := ParseWhere(w)
		if err != nil {
			return fmt.Errorf("where %w", err)
		}
		if err := t.Where(all); err != nil {
			return fmt.Errorf("where %w", err)
		}
	}
	for _, s := range slices.Backward(o.Sort) { // the first one counts most
		if err := t.Sort(s); err != nil {
			return fmt.Errorf("sort %w", err)
		}
	}
	if len(o.Select) > 0 {
		if err := t.Select(strings.Split(strings.Join(o.Select, ","), ",")); err != nil {
			return fmt.Errorf("select %w", err)
		}
	}
	return nil
}

// Sort orders the rows by a column, downwards with ",desc" after it. Rows that
// are equal stay in their order.
func (t *Table) Sort(by string) error {
	name, way, _ := strings.Cut(by, ",")
	if !slices.Contains([]string{"", "asc", "desc"}, strings.ToLower(way)) {
		return fmt.Errorf("%q: after the comma stands asc or desc", by)
	}
	column, err := t.Find(name)
	if err != nil {
		return err
	}
	slices.SortStableFunc(t.Rows, func(a, b []any) int {
		if strings.EqualFold(way, "desc") {
			a, b = b, a
		}
		return compare(a[column], b[column])
	})
	return nil
}

// Select keeps columns, in the order given; "*" stands for all that are there.
func (t *Table) Select(names []string) error {
	var places []int
	for _, n := range names {
		if n == "*" {
			for i := range t.Columns {
				places = append(places, i)
			}
			continue
		}
		i, err := t.Find(n)
		if err != nil {
			return err
		}
		places = append(places, i)
	}
	columns := make([]Column, len(places))
	for i, p := range places {
		columns[i] = t.Columns[p]
		columns[i].Detail = false
	}
	for n, row := range t.Rows {
		chosen := make([]any, len(places))
		for i, p := range places {
			chosen[i] = row[p]
		}
		t.Rows[n] = chosen
	}
	t.Columns = columns
	return nil
}

// Write applies the options and writes the table: as JSON if it was asked for,
// else for a terminal of so many places (0 for none).
func (o *Options) Write(w io.Writer, t *Table, places int) error {
	if err := o.Apply(t); err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	if o.JSON && !o.Table {
		data, err := t.JSON()
		if err != nil {
			return err
		}
		out.Write(data)
	} else {
		out.WriteString(t.Render(places))
	}
	return out.Flush()
}
