package ipc

import (
	"encoding/json"
	"reflect"
	"testing"
)

// What appendTo writes is what package json writes.
func TestMessageIsJSON(t *testing.T) {
	for _, m := range []Message{
		{Op: "hello"},
		{ID: 1, Op: "done"},
		{ID: 1 << 63, Op: "start", Body: json.RawMessage(`{"A":[1,"}"]}`)},
		{Op: "exit", Body: json.RawMessage(`7`)},
		{ID: 2, Op: "done", Error: &Error{Kind: 3, Text: `no "such" thing`}},
		{ID: 2, Op: "done", Body: json.RawMessage(`{}`), Error: &Error{Text: "both"}},
		{Op: `odd "op"`},
		{Op: ""},
		{Op: "say", Body: json.RawMessage(`{"Error":"a word of the body"}`)},
	} {
		got, err := m.appendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(m)
		if err != nil || string(got) != string(want) {
			t.Errorf("%+v is written as %s, by package json as %s (%v)", m, got, want, err)
		}
		var back Message
		if err := back.parse(got); err != nil || !reflect.DeepEqual(back, m) {
			t.Errorf("%s is read as %+v (%v), want %+v", got, back, err, m)
		}
	}
}

// Whatever comes is read as package json reads it, or refused: a body must not
// end where a part of the message begins.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{
		`{"ID":1,"Op":"done","Body":{"PID":7}}`, `{"Op":"exit"}`, `{"ID":1,"Op":"done","Body":{},"ID":2,"Op":"exit","Body":{}}`,
		`{"ID":1,"Op":"done","Error":{"Kind":1,"Text":"x"}}`, `{"Op":"a","Body":{}}}`, `{"Op":"a","Body":{}`, `{"ID":01,"Op":"a"}`, ` {"Op":"a"}`, `{"ID":-1,"Op":"a"}`, `{"id":3,"op":"a"}`,
		`{"Op":"","Body":{} }`, `{"Op":"a","Body": 1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, want Message
		gerr, werr := got.parse(text), json.Unmarshal(text, &want)
		if (gerr == nil) != (werr == nil) || gerr == nil && !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %+v (%v), by package json as %+v (%v)", text, got, gerr, want, werr)
		}
	})
}
