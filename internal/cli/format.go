package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"sort"
	"strings"
	"text/template"

	"silo/internal/listing"
)

// rowFormat prints rows as a table, or each as a template or as JSON. A row is a
// pointer to a struct whose methods are the fields: those without arguments
// and with one result.
type rowFormat struct {
	columns []string          // of the table: names of methods
	headers map[string]string // heading of each field
	format  string            // --format; "" is the table
	quiet   string            // with -q, the field to print
}

// print writes the rows.
func printRows[T any](w io.Writer, l rowFormat, rows []T) error {
	if l.quiet != "" && (l.format == "" || l.format == "table") {
		l.format = "{{." + l.quiet + "}}"
	}
	switch {
	case l.format == "" || l.format == "table":
		return printTable(w, l, rows)
	case l.format == "json":
		for _, r := range rows {
			if _, err := fmt.Fprintln(w, toJSON(fields(r))); err != nil {
				return err
			}
		}
		return nil
	}
	return printTemplate(w, l, rows)
}

func printTable[T any](w io.Writer, l rowFormat, rows []T) error {
	return listing.Tabulate(w, func(w io.Writer) {
		line := make([]string, len(l.columns))
		for i, c := range l.columns {
			line[i] = l.headers[c]
		}
		fmt.Fprintln(w, strings.Join(line, "\t"))
		for _, r := range rows {
			v := reflect.ValueOf(r)
			for i, c := range l.columns {
				line[i] = fmt.Sprint(v.MethodByName(c).Call(nil)[0].Interface())
			}
			fmt.Fprintln(w, strings.Join(line, "\t"))
		}
	})
}

func printTemplate[T any](w io.Writer, l rowFormat, rows []T) error {
	text, table := strings.CutPrefix(l.format, "table")
	text = strings.NewReplacer(`\t`, "\t", `\n`, "\n").Replace(strings.Trim(text, " "))
	t, err := parseTemplate(text)
	if err != nil {
		return err
	}
	var body bytes.Buffer
	for _, r := range rows {
		if err := t.Execute(&body, r); err != nil {
			return fmt.Errorf("--format: %w", err)
		}
		body.WriteString("\n")
	}
	if !table {
		_, err := body.WriteTo(w)
		return err
	}
	return listing.Tabulate(w, func(w io.Writer) {
		// Headings stay as they are, whatever the template makes of values.
		// A field of a field has none.
		_ = t.Funcs(headerFuncs()).Execute(w, header(l.headers))
		fmt.Fprintln(w)
		_, _ = body.WriteTo(w)
	})
}

// header is what a template sees in the place of a row, to make a heading.
type header map[string]string

// Label is the heading of a column of one label.
func (header) Label(name string) string {
	return strings.NewReplacer("-", " ", "_", " ").Replace(name[strings.LastIndexByte(name, '.')+1:])
}

// fields gives all fields of a row.
func fields(row any) map[string]any {
	if m, ok := row.(map[string]any); ok {
		return m
	}
	v := reflect.ValueOf(row)
	out := map[string]any{}
	for i := range v.NumMethod() {
		if t := v.Method(i).Type(); t.NumIn() == 0 && t.NumOut() == 1 {
			out[v.Type().Method(i).Name] = v.Method(i).Call(nil)[0].Interface()
		}
	}
	return out
}

// parseTemplate reads a template with Docker's functions.
func parseTemplate(text string) (*template.Template, error) {
	t, err := template.New("").Funcs(template.FuncMap{
		"json":     templateJSON,
		"split":    strings.Split,
		"join":     joinAny,
		"title":    title,
		"lower":    strings.ToLower,
		"upper":    strings.ToUpper,
		"pad":      pad,
		"truncate": truncate,
	}).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("--format: %w", err)
	}
	return t, nil
}

func headerFuncs() template.FuncMap {
	same := func(v string, _ ...any) string { return v }
	return template.FuncMap{"json": same, "split": same, "join": same, "title": same, "lower": same, "upper": same, "truncate": same}
}

// templateJSON is the template function json: a row becomes its fields.
func templateJSON(v any) string {
	if t := reflect.TypeOf(v); t != nil && t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct && t.NumMethod() > 0 && isRow(v) {
		v = fields(v)
	}
	return toJSON(v)
}

// row marks the rows of listings.
type row interface{ isRow() }

func isRow(v any) bool { _, ok := v.(row); return ok }

func toJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprintf("%q", err.Error())
	}
	return strings.TrimSpace(b.String())
}

func title(s string) string {
	var b strings.Builder
	start := true
	for _, r := range s {
		if start {
			b.WriteString(strings.ToUpper(string(r)))
		} else {
			b.WriteRune(r)
		}
		start = r == ' ' || r == '\t' || r == '\n'
	}
	return b.String()
}

// pad puts blanks around a text that is not empty.
func pad(s string, before, after int) string {
	if s == "" {
		return s
	}
	return strings.Repeat(" ", before) + s + strings.Repeat(" ", after)
}

func truncate(s string, n int) string {
	if len(s) < n {
		return s
	}
	return s[:n]
}

// joinAny joins the elements of a list, or the values of a map in order.
func joinAny(v any, sep string) (string, error) {
	if s, ok := v.([]string); ok {
		return strings.Join(s, sep), nil
	}
	var parts []string
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
	case reflect.Slice, reflect.Array:
		for i := range r.Len() {
			parts = append(parts, fmt.Sprint(r.Index(i).Interface()))
		}
	case reflect.Map:
		for _, k := range r.MapKeys() {
			parts = append(parts, fmt.Sprint(r.MapIndex(k).Interface()))
		}
		sort.Strings(parts)
	default:
		return "", fmt.Errorf("join takes a list, not %T", v)
	}
	return strings.Join(parts, sep), nil
}
