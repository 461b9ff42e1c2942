package table

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func sample() *Table {
	t := &Table{Columns: []Column{{Name: "id"}, {Name: "name"}, {Name: "memory", Title: "WORKING SET"}, {Name: "since"}, {Name: "enabled"}, {Name: "ports"}, {Name: "path", Detail: true}}}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	t.Add(10, "sh", Bytes(1536), at, true, []string{"tcp/80", "tcp/135"}, "/bin/sh")
	t.Add(9, "Epmap", Bytes(5<<20), at.Add(time.Hour), false, []string(nil), "/bin/epmap")
	t.Add(11, "bad\x1b[31m\xff\n", nil, nil, nil, nil, nil)
	return t
}

func names(t *Table) string {
	var all []string
	for _, row := range t.Rows {
		all = append(all, Text(row[0]))
	}
	return strings.Join(all, " ")
}

func TestRender(t *testing.T) {
	want := `ID  NAME               WORKING SET  SINCE                ENABLED  PORTS
10  sh                        1.5K  2026-03-04 05:06:07  yes      tcp/80, tcp/135
 9  Epmap                     5.0M  2026-03-04 06:06:07  no
11  bad\x1b[31m\xff\n            -  -                    -        -
`
	if got := sample().Render(0); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for line := range strings.Lines(sample().Render(72)) {
		if n := width(strings.TrimSuffix(line, "\n")); n > 72 {
			t.Errorf("%d places on a terminal of 72: %q", n, line)
		}
	}
	if got := sample().Render(20); !strings.HasPrefix(got, "ID          : 10\nNAME        : sh\n") {
		t.Errorf("narrow: got\n%s\nwant a list", got)
	}
}

func TestWidth(t *testing.T) {
	for text, want := range map[string]int{"abc": 3, "日本": 4, "e\u0301": 1, "…": 1} {
		if got := width(text); got != want {
			t.Errorf("width of %q is %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]string{"abcdef": "abc…", "日本語": "日…", "abcd": "abcd"} {
		if got := cut(text, 4); got != want {
			t.Errorf("cut %q: %q, want %q", text, got, want)
		}
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain": "plain", "\x1b]0;x\a": `\x1b]0;x\a`, "a\tb": `a\tb`, "\xc3": `\xc3`, "\u202e": `\u202e`, "\u009b": `\u009b`, "ü": "ü", "\ufffd": "\ufffd",
	} {
		if got := Clean(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	data, err := sample().JSON()
	if err != nil {
		t.Fatal(err)
	}
	want := `[
  {"id": 10, "name": "sh", "memory": 1536, "since": "2026-03-04T05:06:07Z", "enabled": true, "ports": ["tcp/80","tcp/135"], "path": "/bin/sh"},
  {"id": 9, "name": "Epmap", "memory": 5242880, "since": "2026-03-04T06:06:07Z", "enabled": false, "ports": [], "path": "/bin/epmap"},
  {"id": 11, "name": "bad\\x1b[31m\\xff\\n", "memory": null, "since": null, "enabled": null, "ports": null, "path": null}
]
`
	if string(data) != want {
		t.Errorf("got %s want %s", data, want)
	}
	back, err := Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.JSON()
	if err != nil || string(again) != want {
		t.Errorf("read and written: %v\n%s", err, again)
	}
}

func TestRead(t *testing.T) {
	for text, want := range map[string]string{
		`{"a":1}`:                           "a / 1",
		"{\"a\":1}\n{\"b\":\"x\"}\n":        "a b / 1 - / - x",
		`[{"a":{"x": [1, 2]}},{"a":1e400}]`: `a / {"x":[1,2]} / 1e400`,
		``:                                  "",
		`[]`:                                "",
	} {
		got, err := Read(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var parts []string
		var head []string
		for _, c := range got.Columns {
			head = append(head, c.Name)
		}
		parts = append(parts, strings.Join(head, " "))
		for _, row := range got.Rows {
			var line []string
			for _, v := range row {
				line = append(line, Text(v))
			}
			parts = append(parts, strings.Join(line, " "))
		}
		if s := strings.TrimSuffix(strings.Join(parts, " / "), " / "); s != want {
			t.Errorf("%s: %q, want %q", text, s, want)
		}
	}
	for _, bad := range []string{"PID  NAME", `[1]`, `"x"`, `{"a":`, `[{"a":1}`, `[{"a":1}}`} {
		if _, err := Read(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestWhere(t *testing.T) {
	for expr, want := range map[string]string{
		"id=10": "10", "id!=10": "9 11", "id<10": "9", "id>=10": "10 11", "name=SH": "10", "name~e*": "9", "name!~e*": "10 11", "name~?h": "10",
		"memory>1K": "10 9", "memory<=1536": "10", "working set>=5M": "9", "workingset=-": "11", "since>2026-03-04 05:30": "9 err", "since>'2026-03-04 05:30'": "9", "since<2026-03-05": "10 9",
		"enabled=yes": "10", "enabled=false": "9", "enabled=-": "11", "ports=tcp/135": "10", "ports~*80*": "10",
		"id>9 and name~s*": "10", `name="sh" && id = 10`: "10", "memory=": "11", "name==sh": "10",
	} {
		table := sample()
		o := Options{Where: []string{expr}}
		err := o.Apply(table)
		if strings.HasSuffix(want, "err") {
			if err == nil {
				t.Errorf("%s: no error", expr)
			}
			continue
		}
		if got := names(table); err != nil || got != want {
			t.Errorf("%s: %q %v, want %q", expr, got, err, want)
		}
	}
	for expr, want := range map[string]string{
		"": "no operator", "id": "no operator", "=x": "no column", "id=1 or id=2": `want "and"`, "name='x": "does not end", "no=1": "no such column: there are id, name", "id!1": "no operator", "id=1 and": "no operator",
	} {
		o := Options{Where: []string{expr}}
		if err := o.Apply(sample()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", expr, err, want)
		}
	}
}

func TestSortAndSelect(t *testing.T) {
	for by, want := range map[string]string{
		"id": "9 10 11", "id,desc": "11 10 9", "name": "11 9 10", "memory": "11 10 9", "since,desc": "9 10 11", "Working Set": "11 10 9",
	} {
		table := sample()
		if err := (&Options{Sort: []string{by}}).Apply(table); err != nil || names(table) != want {
			t.Errorf("%s: %s %v, want %s", by, names(table), err, want)
		}
	}
	table := sample()
	if err := (&Options{Sort: []string{"enabled", "id,desc"}, Select: []string{"path,ID"}}).Apply(table); err != nil {
		t.Fatal(err)
	}
	if got, want := table.Render(0), "PATH        ID\n-           11\n/bin/epmap   9\n/bin/sh     10\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, bad := range []Options{{Sort: []string{"id,up"}}, {Sort: []string{"x"}}, {Select: []string{"x"}}} {
		if err := bad.Apply(sample()); err == nil {
			t.Errorf("%+v: no error", bad)
		}
	}
}

func TestCut(t *testing.T) {
	var o Options
	rest, err := o.Cut([]string{"-a", "--json", "--sort", "id", "--where=a=b=c", "x", "--select", "a,b", "--", "--json"})
	if err != nil || !slices.Equal(rest, []string{"-a", "x", "--", "--json"}) || !o.JSON || !slices.Equal(o.Where, []string{"a=b=c"}) || !slices.Equal(o.Sort, []string{"id"}) {
		t.Errorf("%q %+v %v", rest, o, err)
	}
	for _, bad := range [][]string{{"--sort"}, {"--json=1"}} {
		if _, err := o.Cut(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

// FuzzWhere: an expression is refused or applied; it never panics, and with
// its opposite it keeps each row once.
func FuzzWhere(f *testing.F) {
	for _, s := range []string{"id=10", "name~e* and id>3", `name="a b"`, "since>2026-01-01", "memory<=5M", "ports=tcp/80", `name~\*\\?`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		all, err := ParseWhere(expr)
		if err != nil {
			return
		}
		opposite := map[string]string{"=": "!=", "!=": "=", "~": "!~", "!~": "~"}
		for _, c := range all {
			one, other := sample(), sample()
			if one.Where([]Condition{c}) != nil {
				continue
			}
			c.Operator = opposite[c.Operator]
			if c.Operator == "" {
				continue
			}
			if err := other.Where([]Condition{c}); err != nil {
				t.Fatal(err)
			}
			if len(one.Rows)+len(other.Rows) != 3 {
				t.Errorf("%+v keeps %d rows, its opposite %d", c, len(other.Rows), len(one.Rows))
			}
		}
	})
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`[{"a":1,"b":"x"},{"c":[1]}]`))
	f.Add([]byte(`{"a":null}{"a":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		out, err := table.JSON()
		if err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if !json.Valid(out) {
			t.Errorf("%q became %q", data, out)
		}
		table.Render(40)
	})
}
