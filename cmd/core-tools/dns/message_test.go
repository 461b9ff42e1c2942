package dns

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// message builds a message of a header and parts.
func message(id, flags uint16, counts [4]int, parts ...[]byte) []byte {
	m := []byte{byte(id >> 8), byte(id), byte(flags >> 8), byte(flags)}
	for _, c := range counts {
		m = append(m, byte(c>>8), byte(c))
	}
	for _, p := range parts {
		m = append(m, p...)
	}
	return m
}

func name(labels ...string) []byte {
	var b []byte
	for _, l := range labels {
		b = append(append(b, byte(len(l))), l...)
	}
	return append(b, 0)
}

func rr(owner []byte, kind uint16, ttl uint32, data []byte) []byte {
	b := append([]byte{}, owner...)
	b = append(b, byte(kind>>8), byte(kind), 0, 1, byte(ttl>>24), byte(ttl>>16), byte(ttl>>8), byte(ttl), byte(len(data)>>8), byte(len(data)))
	return append(b, data...)
}

var (
	pointer  = []byte{0xc0, 12}
	question = append(name("Ex", "org"), 0, 1, 0, 1)
	soaData  = append(append(name("ns"), name("root")...), make([]byte, 20)...)
)

func query(t *testing.T, extra ...[]byte) Question {
	t.Helper()
	q, err := ParseQuery(message(7, flagRD, [4]int{1, 0, 0, len(extra)}, append([][]byte{question}, extra...)...))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestParseQuery(t *testing.T) {
	q := query(t)
	if q.Name != string(name("ex", "org")) || q.Type != 1 || q.Class != 1 || !q.Recursion || q.Extended || q.Size != 512 {
		t.Errorf("%+v", q)
	}
	opt := []byte{0, 0, TypeOPT, 0x10, 0, 0, 0, 0x80, 0, 0, 0}
	if e := query(t, opt); !e.Extended || !e.Secure || e.Size != 4096 || e.Key() == q.Key() {
		t.Errorf("%+v", e)
	}
	for what, m := range map[string][]byte{
		"nothing": nil, "short": make([]byte, 11),
		"answer":        message(1, flagQR, [4]int{1}, question),
		"two questions": message(1, 0, [4]int{2}, question, question),
		"other opcode":  message(1, 4<<11, [4]int{1}, question),
		"cut":           message(1, 0, [4]int{1}, question[:5]),
		"pointer":       message(1, 0, [4]int{1}, pointer, []byte{0, 1, 0, 1}),
		"no record":     message(1, 0, [4]int{1, 0, 0, 1}, question),
		"long name":     message(1, 0, [4]int{1}, bytes.Repeat(append([]byte{63}, make([]byte, 63)...), 5), []byte{0, 0, 1, 0, 1}),
	} {
		if _, err := ParseQuery(m); err == nil {
			t.Errorf("%s was read", what)
		}
	}
}

// The query to a server says nothing of the asker but the question.
func TestQuery(t *testing.T) {
	q := query(t)
	m := q.Query(0x1234, 1232)
	if want := message(0x1234, flagRD, [4]int{1}, question); !bytes.Equal(m, want) {
		t.Errorf("got  %x\nwant %x", m, want)
	}
	e := query(t, append([]byte{0, 0, TypeOPT, 0x10, 0, 0, 0, 0x80, 0, 0, 4}, 0, 10, 0, 0)) // with a cookie
	m = e.Query(1, 1232)
	if got := hex.EncodeToString(m[len(m)-11:]); got != "00002904d0000080000000" {
		t.Errorf("OPT record %s", got)
	}
	if back, err := ParseQuery(m); err != nil || back.Key() != e.Key() || back.Size != 1232 {
		t.Errorf("%+v %v", back, err)
	}
}

func TestAnswers(t *testing.T) {
	q := query(t)
	good := message(5, flagQR, [4]int{1}, append(name("eX", "oRG"), 0, 1, 0, 1))
	if !q.Answers(good, 5) {
		t.Error("an answer in another spelling does not count")
	}
	for what, m := range map[string][]byte{
		"number":   message(6, flagQR, [4]int{1}, question),
		"query":    message(5, 0, [4]int{1}, question),
		"name":     message(5, flagQR, [4]int{1}, append(name("ex", "com"), 0, 1, 0, 1)),
		"type":     message(5, flagQR, [4]int{1}, append(name("ex", "org"), 0, 28, 0, 1)),
		"none":     message(5, flagQR, [4]int{0}),
		"too much": message(5, flagQR, [4]int{2}, question, question),
	} {
		if q.Answers(m, 5) {
			t.Errorf("wrong %s counts as an answer", what)
		}
	}
}

func TestLifetime(t *testing.T) {
	a := func(ttl uint32) []byte { return rr(pointer, 1, ttl, []byte{192, 0, 2, 1}) }
	soa := func(ttl, least uint32) []byte {
		data := append([]byte{}, soaData...)
		copy(data[len(data)-4:], []byte{byte(least >> 24), byte(least >> 16), byte(least >> 8), byte(least)})
		return rr(pointer, TypeSOA, ttl, data)
	}
	for what, c := range map[string]struct {
		m    []byte
		want uint32
	}{
		"one":              {message(1, flagQR, [4]int{1, 1}, question, a(300)), 300},
		"least of all":     {message(1, flagQR, [4]int{1, 2, 0, 1}, question, a(300), a(60), a(20)), 20},
		"zero":             {message(1, flagQR, [4]int{1, 1}, question, a(0)), 0},
		"top bit":          {message(1, flagQR, [4]int{1, 1}, question, a(1<<31)), 0},
		"OPT has none":     {message(1, flagQR, [4]int{1, 1, 0, 1}, question, a(300), []byte{0, 0, TypeOPT, 4, 0, 0, 0, 0, 0, 0, 0}), 300},
		"no such name":     {message(1, flagQR|NameError, [4]int{1, 0, 1}, question, soa(900, 60)), 60},
		"SOA's own":        {message(1, flagQR|NameError, [4]int{1, 0, 1}, question, soa(30, 60)), 30},
		"no data":          {message(1, flagQR, [4]int{1, 0, 1}, question, soa(900, 60)), 60},
		"name without SOA": {message(1, flagQR|NameError, [4]int{1}, question), 0},
		"only an alias":    {message(1, flagQR, [4]int{1, 1}, question, rr(pointer, 5, 300, name("x"))), 0},
		"alias, no data":   {message(1, flagQR, [4]int{1, 1, 1}, question, rr(pointer, 5, 40, name("x")), soa(900, 60)), 40},
		"failed":           {message(1, flagQR|ServerFail, [4]int{1, 1}, question, a(300)), 0},
		"cut":              {message(1, flagQR|flagTC, [4]int{1, 1}, question, a(300)), 0},
		"too few records":  {message(1, flagQR, [4]int{1, 2}, question, a(300)), 0},
		"something after":  {message(1, flagQR, [4]int{1, 1}, question, a(300), []byte{0}), 0},
		"SOA too short":    {message(1, flagQR|NameError, [4]int{1, 0, 1}, question, rr(pointer, TypeSOA, 9, []byte{0, 0})), 0},
	} {
		if got := Lifetime(c.m); got != c.want {
			t.Errorf("%s: %d seconds, want %d", what, got, c.want)
		}
	}
}

func TestAgeAndFit(t *testing.T) {
	q := query(t)
	m := message(1, flagQR, [4]int{1, 2, 0, 1}, question, rr(pointer, 1, 300, []byte{1, 2, 3, 4}), rr(pointer, 1, 50, []byte{1, 2, 3, 5}), []byte{0, 0, TypeOPT, 4, 0, 0, 0, 0x80, 0, 0, 0})
	Age(m, 100)
	var left []uint32
	_ = records(m, headerSize+len(question), 3, func(r record) { left = append(left, r.ttl) })
	if len(left) != 3 || left[0] != 200 || left[1] != 0 || left[2] != 0x8000 {
		t.Errorf("left %d, want 200, 0 and the OPT record as it was", left)
	}
	Restore(m, q, 99)
	if ID(m) != 99 || !bytes.Equal(m[headerSize:headerSize+len(question)], question) {
		t.Errorf("%x", m)
	}
	if got := Fit(m, q, len(m)); !bytes.Equal(got, m) {
		t.Error("what fits was cut")
	}
	if got := Fit(m, q, 40); !Truncated(got) || !q.Answers(got, 99) || len(got) != headerSize+len(question) {
		t.Errorf("%x", got)
	}
}

func TestRefusal(t *testing.T) {
	m := Refusal(message(7, flagRD, [4]int{1}, question), ServerFail)
	if want := message(7, flagQR|flagRD|flagRA|ServerFail, [4]int{1}, question); !bytes.Equal(m, want) {
		t.Errorf("got  %x\nwant %x", m, want)
	}
	if m := Refusal(message(7, 0, [4]int{9, 9, 9, 9}), FormatError); !bytes.Equal(m, message(7, flagQR|flagRA|FormatError, [4]int{})) {
		t.Errorf("%x", m)
	}
	// An answer to an answer would go to and fro for ever.
	for _, m := range [][]byte{nil, {1, 2, 3}, message(7, flagQR, [4]int{1}, question)} {
		if r := Refusal(m, FormatError); r != nil {
			t.Errorf("%x is answered", m)
		}
	}
}

// FuzzMessage: no message makes anything panic, and what is kept for a time
// can be aged and given back.
func FuzzMessage(f *testing.F) {
	f.Add(message(7, flagRD, [4]int{1}, question))
	f.Add(message(1, flagQR, [4]int{1, 1}, question, rr(pointer, 1, 300, []byte{1, 2, 3, 4})))
	f.Add(message(1, flagQR|NameError, [4]int{1, 0, 1}, question, rr(pointer, TypeSOA, 9, soaData)))
	f.Fuzz(func(t *testing.T, m []byte) {
		if q, err := ParseQuery(m); err == nil {
			back, err := ParseQuery(q.Query(1, 1232))
			if err != nil || back.Key() != q.Key() {
				t.Errorf("%x: asked on as %+v (%v)", m, back, err)
			}
			if r := Refusal(m, ServerFail); !q.Answers(r, ID(m)) {
				t.Errorf("%x: refusal %x", m, r)
			}
			if len(m) > 512 && len(Fit(m, q, 512)) > 512 {
				t.Errorf("%x does not fit", m)
			}
		}
		if life := Lifetime(m); life > 0 {
			Age(m, 1)
			if left := Lifetime(m); left > life {
				t.Errorf("%x: got younger, %d after %d", m, left, life)
			}
		}
		Refusal(m, FormatError)
	})
}
