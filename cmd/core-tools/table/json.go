package table

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// JSON writes the rows as an array of objects, keys in the order of the
// columns, one row a line. Times are in RFC 3339, amounts plain numbers, what
// is not known null.
func (t *Table) JSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('[')
	for n, row := range t.Rows {
		if n > 0 {
			out.WriteByte(',')
		}
		out.WriteString("\n  {")
		for i, c := range t.Columns {
			if i > 0 {
				out.WriteString(", ")
			}
			key, err := encode(c.Name)
			if err != nil {
				return nil, err
			}
			value, err := encode(jsonValue(row[i]))
			if err != nil {
				return nil, fmt.Errorf("column %s: %w", c.Name, err)
			}
			out.Write(key)
			out.WriteString(": ")
			out.Write(value)
		}
		out.WriteByte('}')
	}
	if len(t.Rows) > 0 {
		out.WriteByte('\n')
	}
	out.WriteString("]\n")
	return out.Bytes(), nil
}

// encode leaves <, > and & as they are: no web page will hold this.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

func jsonValue(v any) any {
	switch v := v.(type) {
	case string:
		if strings.ToValidUTF8(v, "") != v {
			return Clean(v)
		}
	case time.Time:
		return v.Format(time.RFC3339)
	case []string:
		if v == nil {
			return []string{}
		}
	}
	return v
}

// mostInput limits JSON from a pipe, in bytes.
const mostInput = 64 << 20

// Read makes a table of JSON: an array of objects, one object, or objects one
// after the other. Its columns are all keys, in the order of appearance.
func Read(r io.Reader) (*Table, error) {
	limited := &io.LimitedReader{R: r, N: mostInput + 1}
	d := json.NewDecoder(limited)
	d.UseNumber()
	b := builder{at: map[string]int{}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			switch token {
			case json.Delim('{'):
				err = b.object(d)
			case json.Delim('['):
				err = b.array(d)
			default:
				err = fmt.Errorf("%v: want an object or an array of objects", token)
			}
		}
		if limited.N <= 0 {
			return nil, fmt.Errorf("more than %d MB", mostInput>>20)
		}
		if err != nil {
			return nil, err
		}
	}
	for i, row := range b.t.Rows { // rows that came before a key was known
		b.t.Rows[i] = append(row, make([]any, len(b.t.Columns)-len(row))...)
	}
	return &b.t, nil
}

// mostColumns limits the keys of all objects together: a row has a value for
// each of them.
const mostColumns = 1000

type builder struct {
	t  Table
	at map[string]int
}

func (b *builder) array(d *json.Decoder) error {
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		if token != json.Delim('{') {
			return fmt.Errorf("%v: an array of something else than objects", token)
		}
		if err := b.object(d); err != nil {
			return err
		}
	}
	_, err := d.Token()
	return err
}

func (b *builder) object(d *json.Decoder) error {
	row := make([]any, len(b.t.Columns))
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name := fmt.Sprint(key)
		i, ok := b.at[name]
		if !ok {
			if i = len(b.t.Columns); i == mostColumns {
				return fmt.Errorf("more than %d different keys", mostColumns)
			}
			b.at[name] = i
			b.t.Columns = append(b.t.Columns, Column{Name: name})
			row = append(row, nil)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		row[i] = value(raw)
	}
	if _, err := d.Token(); err != nil {
		return err
	}
	b.t.Rows = append(b.t.Rows, row)
	return nil
}

// value turns JSON into a value of a table. Objects and arrays stay as they
// are written, without blanks; so do numbers too large to keep exactly.
func value(raw json.RawMessage) any {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil
	}
	switch v := v.(type) {
	case nil, string, bool:
		return v
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return raw
	}
	var compact bytes.Buffer
	if json.Compact(&compact, raw) != nil {
		return raw
	}
	return json.RawMessage(compact.Bytes())
}
