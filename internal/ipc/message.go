package ipc

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Message is everything that travels, in both directions: {"ID":…,"Op":…,
// "Body":…,"Error":…}, of which all but Op may be missing.
type Message struct {
	ID    uint64 `json:",omitempty"` // a request's number, repeated by its answer
	Op    string
	Body  json.RawMessage `json:",omitempty"`
	Error *Error          `json:",omitempty"`
}

// Error is an error of the other side with its kind (package errs).
type Error struct {
	Kind uint8
	Text string
}

// appendTo writes a message as package json does. A body is JSON already, and
// is neither looked through nor copied twice.
func (m *Message) appendTo(b []byte) ([]byte, error) {
	if m.Error != nil || !plain(m.Op) {
		text, err := json.Marshal(m)
		return append(b, text...), err
	}
	b = append(b, '{')
	if m.ID != 0 {
		b = append(b, `"ID":`...)
		b = strconv.AppendUint(b, m.ID, 10)
		b = append(b, ',')
	}
	b = append(b, `"Op":"`...)
	b = append(b, m.Op...)
	b = append(b, '"')
	if len(m.Body) > 0 {
		b = append(b, `,"Body":`...)
		b = append(b, m.Body...)
	}
	return append(b, '}'), nil
}

// plain tells whether a word needs no escapes.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return true
}

// parse reads a message, and keeps text. One as appendTo writes it, which nearly
// all are, takes one look at the body, to see that it ends where the message
// does: it may go on to others as it is. Others are for package json.
func (m *Message) parse(text []byte) error {
	if !m.parsePlain(text) {
		*m = Message{}
		return json.Unmarshal(text, m)
	}
	return nil
}

func (m *Message) parsePlain(text []byte) bool {
	if bytes.Contains(text, []byte(`"Error":`)) {
		return false
	}
	rest, ok := bytes.CutPrefix(text, []byte(`{`))
	if !ok {
		return false
	}
	if number, found := bytes.CutPrefix(rest, []byte(`"ID":`)); found {
		digits, after, found := bytes.Cut(number, []byte(`,`))
		id, err := strconv.ParseUint(string(digits), 10, 64)
		if !found || err != nil || digits[0] < '1' || digits[0] > '9' {
			return false
		}
		m.ID, rest = id, after
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(`"Op":"`)); !ok {
		return false
	}
	op, rest, ok := bytes.Cut(rest, []byte(`"`))
	if !ok || !plain(string(op)) {
		return false
	}
	m.Op = string(op)
	if string(rest) == `}` {
		return true
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(`,"Body":`)); !ok {
		return false
	}
	body, ok := bytes.CutSuffix(rest, []byte(`}`))
	m.Body = body
	// Package json leaves out blanks around a body.
	return ok && len(bytes.TrimSpace(body)) == len(body) && json.Valid(body)
}
