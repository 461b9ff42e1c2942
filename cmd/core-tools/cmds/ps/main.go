// Command ps lists processes: those of the terminal, all with -e, -A, a or x,
// with more columns for -f or u, in columns of choice with -o.
package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"coretools.silo/passwd"
)

// request is what the command line asks for.
type request struct {
	all     bool
	columns []string
	pids    []int
	header  bool
	sortBy  string
}

const usage = "usage: ps [-eAf] [aux] [-o column,...] [-p pid,...] [--sort [-]column]"

func main() {
	r, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "ps: %v\n%s\n", err, usage)
		os.Exit(2)
	}
	names := passwd.Load()
	sys := readSystem()
	var rows []*process
	self, _ := readProcess(os.Getpid())
	for _, pid := range listPIDs() {
		p, err := readProcess(pid)
		if err != nil { // ended meanwhile, or hidden
			continue
		}
		switch {
		case len(r.pids) > 0 && !slices.Contains(r.pids, pid):
			continue
		case len(r.pids) == 0 && !r.all && self != nil && (p.uid != self.uid || p.tty != self.tty):
			continue
		}
		rows = append(rows, p)
	}
	sortRows(rows, r.sortBy, sys, names)
	print(rows, r, sys, names)
	if len(rows) == 0 {
		os.Exit(1)
	}
}

var (
	plainColumns = []string{"pid", "tty", "time", "comm"}
	fullColumns  = []string{"user", "pid", "ppid", "c", "stime", "tty", "time", "args"}
	userColumns  = []string{"user", "pid", "pcpu", "pmem", "vsz", "rss", "tty", "stat", "start", "time", "args"}
	jobColumns   = []string{"ppid", "pid", "pgid", "sid", "tty", "stat", "uid", "time", "args"}
	longColumns  = []string{"stat", "uid", "pid", "ppid", "pri", "ni", "vsz", "rss", "tty", "time", "comm"}
)

func parse(args []string) (request, error) {
	r := request{columns: plainColumns, header: true}
	for i := 0; i < len(args); i++ {
		a := args[i]
		value := func() (string, error) {
			if i++; i >= len(args) {
				return "", fmt.Errorf("%s: needs a value", a)
			}
			return args[i], nil
		}
		var v string
		var err error
		switch {
		case a == "--help":
			fmt.Println(usage)
			os.Exit(0)
		case a == "--no-headers":
			r.header = false
		case strings.HasPrefix(a, "--sort="):
			r.sortBy = a[len("--sort="):]
		case a == "--sort":
			r.sortBy, err = value()
		case strings.HasPrefix(a, "-o") || a == "o":
			if v = strings.TrimPrefix(a, "-o"); v == "" || a == "o" {
				v, err = value()
			}
			err = cmp.Or(err, r.choose(v))
		case strings.HasPrefix(a, "-p") || a == "p":
			if v = strings.TrimPrefix(a, "-p"); v == "" || a == "p" {
				v, err = value()
			}
			err = cmp.Or(err, r.pick(v))
		case len(a) > 2 && a[0] == '-' && strings.HasSuffix(a, "o"): // -eo pid,comm
			if err = r.letters(a[:len(a)-1]); err == nil {
				if v, err = value(); err == nil {
					err = r.choose(v)
				}
			}
		default:
			err = r.letters(a)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

func (r *request) letters(word string) error {
	dash := strings.HasPrefix(word, "-")
	if n, err := strconv.Atoi(word); err == nil && !dash {
		r.pids = append(r.pids, n)
		return nil
	}
	for _, c := range strings.TrimPrefix(word, "-") {
		switch c {
		case 'e', 'A', 'a', 'x':
			r.all = true
		case 'f':
			r.columns = fullColumns
		case 'u':
			r.columns = userColumns
		case 'j':
			r.columns = jobColumns
		case 'l':
			r.columns = longColumns
		case 'w', 'H', 'T', 'F':
		default:
			return fmt.Errorf("%s: unknown option %c", word, c)
		}
	}
	return nil
}

// choose reads columns: pid,comm or pid=,comm=NAME, which changes the heading.
func (r *request) choose(list string) error {
	if slices.Equal(r.columns, plainColumns) || slices.Equal(r.columns, fullColumns) || slices.Equal(r.columns, userColumns) {
		r.columns = nil
	}
	for _, c := range strings.FieldsFunc(list, func(c rune) bool { return c == ',' || c == ' ' }) {
		name, _, _ := strings.Cut(c, "=")
		if _, ok := columns[name]; !ok {
			return fmt.Errorf("-o %s: unknown column: use %s", name, strings.Join(columnNames(), ","))
		}
		r.columns = append(r.columns, c)
	}
	return nil
}

func (r *request) pick(list string) error {
	for _, w := range strings.FieldsFunc(list, func(c rune) bool { return c == ',' || c == ' ' }) {
		n, err := strconv.Atoi(w)
		if err != nil {
			return fmt.Errorf("-p %s: not a process number", w)
		}
		r.pids = append(r.pids, n)
	}
	return nil
}

func sortRows(rows []*process, by string, sys system, names *passwd.Names) {
	reverse := strings.HasPrefix(by, "-")
	col, ok := columns[strings.TrimLeft(by, "+-")]
	slices.SortStableFunc(rows, func(a, b *process) int {
		c := cmp.Compare(a.pid, b.pid)
		if ok {
			x, y := col.value(a, sys, names), col.value(b, sys, names)
			nx, ex := strconv.ParseFloat(x, 64)
			ny, ey := strconv.ParseFloat(y, 64)
			if ex == nil && ey == nil {
				c = cmp.Compare(nx, ny)
			} else {
				c = strings.Compare(x, y)
			}
		}
		if reverse {
			return -c
		}
		return c
	})
}

func print(rows []*process, r request, sys system, names *passwd.Names) {
	table := make([][]string, 0, len(rows)+1)
	heads := make([]string, len(r.columns))
	header := false
	for i, c := range r.columns {
		name, title, own := strings.Cut(c, "=")
		r.columns[i] = name
		heads[i] = columns[name].title
		if own {
			heads[i] = title
		}
		header = header || heads[i] != ""
	}
	if header && r.header {
		table = append(table, heads)
	}
	for _, p := range rows {
		cells := make([]string, len(r.columns))
		for i, c := range r.columns {
			cells[i] = columns[c].value(p, sys, names)
		}
		table = append(table, cells)
	}
	wide := make([]int, len(r.columns))
	for _, row := range table {
		for i, c := range row {
			wide[i] = max(wide[i], len(c))
		}
	}
	for _, row := range table {
		var line strings.Builder
		for i, c := range row {
			fill := strings.Repeat(" ", wide[i]-len(c))
			switch {
			case columns[r.columns[i]].left && i == len(row)-1:
				line.WriteString(c)
			case columns[r.columns[i]].left:
				line.WriteString(c + fill)
			default:
				line.WriteString(fill + c)
			}
			if i < len(row)-1 {
				line.WriteByte(' ')
			}
		}
		fmt.Println(line.String())
	}
}
