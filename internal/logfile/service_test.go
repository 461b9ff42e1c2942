package logfile

import (
	"path/filepath"
	"strings"
	"testing"
)

// Records of services carry who wrote them, are selected by it, and do not
// disturb an unfinished line of the command.
func TestServiceRecords(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w, err := NewWriter(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	long := strings.Repeat("x", maxLine+10)
	for _, err := range []error{
		w.Write("stdout", t0, []byte("half ")),
		w.WriteFrom("a.service", "stdout", t0, []byte("one\ntwo\n")),
		w.WriteFrom("b.service", "stderr", t0, []byte("other\npart")),
		w.WriteFrom("a.service", "stdout", t0, []byte(long+"\n")),
		w.Write("stdout", t0, []byte("line\n")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	all := readAll(t, path, ReadOptions{Tail: -1})
	var got []string
	for _, r := range all {
		got = append(got, r.Attrs[ServiceAttr]+"|"+r.Stream+"|"+strings.TrimRight(string(r.Line), "x"))
	}
	want := []string{
		"a.service|stdout|one\n", "a.service|stdout|two\n", "b.service|stderr|other\n", "b.service|stderr|part",
		"a.service|stdout|", "a.service|stdout|" + strings.Repeat("x", 10) + "\n", "|stdout|half line\n",
	}
	if strings.Join(got, ";") != strings.Join(want, ";") {
		t.Errorf("records are\n%q, want\n%q", got, want)
	}
	if !all[3].Partial || !all[4].Partial || all[5].Partial {
		t.Errorf("partial: %v %v %v, want true true false", all[3].Partial, all[4].Partial, all[5].Partial)
	}
	for _, tt := range []struct {
		service string
		tail    int
		want    string
	}{
		{"b.service", -1, "other\npart"},
		{"b.service", 1, "part"},
		{"a.service", 4, "one\ntwo\n" + long + "\n"},
		{"a.service", 0, ""},
		{"c.service", 3, ""},
	} {
		if got := strings.Join(lines(readAll(t, path, ReadOptions{Tail: tt.tail, Service: tt.service})), ""); got != tt.want {
			t.Errorf("%s, tail %d: %.40q, want %.40q", tt.service, tt.tail, got, tt.want)
		}
	}
}
