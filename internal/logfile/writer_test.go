package logfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"silo/internal/errs"
	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var t0 = time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)

type jsonRecord struct{ Log, Stream, Time string }

func decodeFile(t *testing.T, path string) (out []jsonRecord) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
		if len(l) == 0 {
			continue
		}
		var r jsonRecord
		if err := json.Unmarshal(l, &r); err != nil {
			t.Fatalf("%s: %v in %q", path, err, l)
		}
		out = append(out, r)
	}
	return out
}

func newWriter(t *testing.T, path string, o Options) *Writer {
	t.Helper()
	w, err := NewWriter(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func TestWriteSplitsLines(t *testing.T) {
	long := strings.Repeat("x", maxLine+3)
	euro := strings.Repeat("x", maxLine-1) + "€"
	tests := []struct {
		name   string
		chunks []string
		want   []string
	}{
		{"one line", []string{"a\n"}, []string{"a\n"}},
		{"two in one chunk", []string{"a\nb\n"}, []string{"a\n", "b\n"}},
		{"one in two chunks", []string{"a", "b\n"}, []string{"ab\n"}},
		{"empty lines", []string{"\n\n"}, []string{"\n", "\n"}},
		{"no newline at the end", []string{"a\nb"}, []string{"a\n", "b"}},
		{"exactly full", []string{long[:maxLine] + "\n"}, []string{long[:maxLine], "\n"}},
		{"too long", []string{long + "\n"}, []string{long[:maxLine], long[maxLine:] + "\n"}},
		{"too long by pieces", []string{long[:10], long[10:], "\n"}, []string{long[:maxLine], long[maxLine:] + "\n"}},
		{"no cut inside a character", []string{euro, "\n"}, []string{euro[:maxLine-1], "€\n"}},
		{"nothing", []string{"", ""}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			w := newWriter(t, path, Options{})
			for _, c := range tt.chunks {
				if err := w.Write("stdout", t0, []byte(c)); err != nil {
					t.Fatal(err)
				}
			}
			w.Close()
			var got []string
			for _, r := range decodeFile(t, path) {
				got = append(got, r.Log)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestStreamsDoNotMix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := newWriter(t, path, Options{})
	w.Write("stdout", t0, []byte("out"))
	w.Write("stderr", t0.Add(time.Second), []byte("err\n"))
	w.Write("stdout", t0.Add(2*time.Second), []byte("put\n"))
	w.Close()
	want := []jsonRecord{
		{"err\n", "stderr", "2026-01-02T03:04:06.000000678Z"},
		{"output\n", "stdout", "2026-01-02T03:04:05.000000678Z"},
	}
	if d := cmp.Diff(want, decodeFile(t, path)); d != "" {
		t.Error(d)
	}
}

// TestEncodeAsStandardLibrary compares with encoding/json, on all bytes.
func TestEncodeAsStandardLibrary(t *testing.T) {
	check := func(s []byte) {
		want, _ := json.Marshal(string(s))
		if got := appendString(nil, s); !bytes.Equal(got, want) {
			t.Fatalf("%q: got %s, want %s", s, got, want)
		}
	}
	for b := range 256 {
		check([]byte{'a', byte(b), 'b'})
		check([]byte{byte(b), 0x80})
	}
	check([]byte("\u2028\u2029 € 🫙 \ufffd"))
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		s := make([]byte, r.IntN(40))
		for i := range s {
			s[i] = byte(r.Uint32())
		}
		check(s)
	}
}

func TestReopenClosesTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	w := newWriter(t, path, Options{})
	w.Write("stdout", t0, []byte("one\n"))
	w.Close()
	f, _ := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	f.WriteString(`{"log":"cut`)
	f.Close()
	w = newWriter(t, path, Options{})
	w.Write("stdout", t0, []byte("two\n"))
	w.Close()
	got := readAll(t, path, ReadOptions{Tail: -1})
	if d := cmp.Diff([]string{"one\n", "two\n"}, lines(got)); d != "" {
		t.Error(d)
	}
}

func TestRotate(t *testing.T) {
	for _, files := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(files), func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "log")
			w := newWriter(t, path, Options{MaxSize: 1000, MaxFiles: files})
			for i := range 200 {
				if err := w.Write("stdout", t0, fmt.Appendf(nil, "line %d\n", i)); err != nil {
					t.Fatal(err)
				}
			}
			w.Close()
			entries, _ := os.ReadDir(dir)
			if len(entries) != files {
				t.Fatalf("files kept: %v, want %d", entries, files)
			}
			for _, e := range entries {
				if fi, _ := e.Info(); fi.Size() > 1200 {
					t.Errorf("%s has %d bytes", e.Name(), fi.Size())
				}
			}
			got := lines(readAll(t, path, ReadOptions{Tail: -1}))
			for i, l := range got {
				if want := fmt.Sprintf("line %d\n", 200-len(got)+i); l != want {
					t.Fatalf("line %d of %d is %q, want %q", i, len(got), l, want)
				}
			}
		})
	}
}

// TestFullDisk fills a small tmpfs under the log.
func TestFullDisk(t *testing.T) {
	dir := smallFS(t, "64k")
	path := filepath.Join(dir, "log")
	w := newWriter(t, path, Options{MaxSize: -1})
	line := []byte(strings.Repeat("y", 999) + "\n")
	failed := 0
	for range 100 {
		if w.Write("stdout", t0, line) != nil {
			failed++
		}
	}
	if failed == 0 {
		t.Fatal("100 kB fitted into 64 kB")
	}
	if err := os.Truncate(path, 0); err != nil { // someone makes room
		t.Fatal(err)
	}
	if err := w.Write("stdout", t0, []byte("after\n")); err != nil {
		t.Fatal(err)
	}
	w.Close()
	got := readAll(t, path, ReadOptions{Tail: -1})
	want := fmt.Sprintf("silo: about %d bytes of output are missing here: no space left on device\n", failed*1000)
	if d := cmp.Diff([]string{want, "after\n"}, lines(got)); d != "" {
		t.Error(d)
	}
}

func TestParseOptions(t *testing.T) {
	tests := []struct {
		in   map[string]string
		want Options
		err  string
	}{
		{nil, Options{10_000_000, 3}, ""},
		{map[string]string{"max-size": "10k", "max-file": "5"}, Options{10_000, 5}, ""},
		{map[string]string{"max-size": "1.5MB", "compress": "false", "mode": "blocking"}, Options{1_500_000, 3}, ""},
		{map[string]string{"max-size": "-1"}, Options{-1, 3}, ""},
		{map[string]string{"max-size": "0"}, Options{}, "positive"},
		{map[string]string{"max-size": "NaN"}, Options{}, "positive"},
		{map[string]string{"max-size": "ten"}, Options{}, "positive"},
		{map[string]string{"max-file": "0"}, Options{}, "from 1 up"},
		{map[string]string{"compress": "true"}, Options{}, "not compressed"},
		{map[string]string{"mode": "non-blocking"}, Options{}, "only blocking"},
		{map[string]string{"max-sizes": "1"}, Options{}, "unknown log opt 'max-sizes'"},
		{map[string]string{"labels": "a"}, Options{}, "unknown log opt"},
	}
	for _, tt := range tests {
		got, err := ParseOptions(tt.in)
		if tt.err == "" && err == nil {
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(tt.in, d)
			}
		} else if err == nil || tt.err == "" || !strings.Contains(err.Error(), tt.err) || !errs.Is(err, errs.Invalid) {
			t.Errorf("%v: error %v, want %q", tt.in, err, tt.err)
		}
	}
}
