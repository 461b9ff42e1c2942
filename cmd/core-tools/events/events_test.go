package events

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"<13>Mar  4 05:06:07 sh[12]: hello":            "user notice sh hello",
		"<11>Mar  4 05:06:07 myhost cron[9]: ran: all": "user error cron ran: all",
		"<30>Mar 14 05:06:07 sshd: a: b":               "daemon information sshd a: b",
		"<13>sh: no time":                              "user notice sh no time",
		"no priority at all":                           "user notice  no priority at all",
		"<999>x: y":                                    "user notice  <999>x: y",
		"<191>x: y":                                    "local7 debug x y",
		"<192>x: y":                                    "user notice  <192>x: y",
		"<0>1 2026-01-01T00:00:00.123Z host app 12 ID1 - boom": "kernel emergency app boom",
		`<34>1 - - - - - [a b="c]\"d"][e] with data`:           "auth critical  with data",
		`<34>1 - - su - - [a b="c"]`:                           "auth critical su ",
		"<34>1 - - su - -":                                     "auth critical  1 - - su - -",
		"<34>1 notatime h a p m - x":                           "auth critical  1 notatime h a p m - x",
		`<34>1 - - su - - [unended`:                            "auth critical  1 - - su - - [unended",
		"<13>Mar  4 05:06:07 two words: x":                     "user notice words x",
		"<13>bad\xfftag: \xff\x00y\x00\n":                      "user notice  bad\ufffdtag: \ufffd\x00y",
		"":                                                     "user notice  ",
		"<13>":                                                 "user notice  ",
		"<>x":                                                  "user notice  <>x",
		"<13>Mar  4 05:06:07 " + strings.Repeat("t", 65) + ": long tag is text": "user notice  " + strings.Repeat("t", 65) + ": long tag is text",
	} {
		e := Parse([]byte(text), now)
		if got := strings.Join([]string{e.Facility, e.Level, e.Source, e.Message}, " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if !e.Time.Equal(now) {
			t.Errorf("%q: time %v is not that of arrival", text, e.Time)
		}
	}
	long := Parse([]byte("<13>x: "+strings.Repeat("é", 9000)), now)
	if len(long.Message) > mostMessage+len("…") || !strings.HasSuffix(long.Message, "é…") {
		t.Errorf("a long message has %d bytes and ends with %q", len(long.Message), long.Message[len(long.Message)-8:])
	}
}

func TestLevels(t *testing.T) {
	for name, want := range map[string]int{"err": 3, "Error": 3, "info": 6, "emerg": 0, "debug": 7} {
		if n, ok := Level(name); !ok || n != want {
			t.Errorf("level %s is %d %v, want %d", name, n, ok, want)
		}
	}
	if _, ok := Level("loud"); ok {
		t.Error("loud is a level")
	}
	if n, ok := Facility("kern"); !ok || n != 0 {
		t.Errorf("facility kern is %d %v", n, ok)
	}
}

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	if all, err := Read(dir); err != nil || len(all) != 0 {
		t.Errorf("no folder: %d events, %v", len(all), err)
	}
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	add := func(message string) {
		t.Helper()
		if err := s.Add(Event{Time: now, Level: "notice", Message: message}); err != nil {
			t.Fatal(err)
		}
	}
	add("one")
	add("two\nlines")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// Garbage that somebody wrote into it is passed over.
	f, err := os.OpenFile(filepath.Join(dir, current), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("garbage\n{}\n\xff\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if s, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	add("three")
	all, err := Read(dir)
	if err != nil || len(all) != 3 || all[1].Message != "two\nlines" || all[2].Index != 3 {
		t.Fatalf("%+v %v", all, err)
	}
	// However much is written, what is kept is bounded, and it is the newest.
	big := strings.Repeat("x", mostMessage)
	for range 1000 {
		add(big)
	}
	var total int64
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += info.Size()
	}
	if len(entries) != mostFiles+1 || total > (mostFiles+1)*mostBytes {
		t.Errorf("%d files with %d bytes, want %d with at most %d", len(entries), total, mostFiles+1, (mostFiles+1)*mostBytes)
	}
	all, err = Read(dir)
	if err != nil || all[len(all)-1].Index != 1003 {
		t.Errorf("the last event is %d, want 1003 (%v)", all[len(all)-1].Index, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTrim(t *testing.T) {
	dir := t.TempDir()
	for name, days := range map[string]int{current: 100, current + ".1": 5, current + ".2": 40, current + ".4": 50, "other": 100} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := now.Add(-time.Duration(days) * 24 * time.Hour)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := Trim(dir, 30*24*time.Hour, now); err != nil || n != 2 {
		t.Errorf("%d removed, %v, want 2", n, err)
	}
	for name, want := range map[string]bool{current: true, current + ".1": true, current + ".2": false, current + ".4": false, "other": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, os.ErrNotExist) == want {
			t.Errorf("%s: %v, want it to be there: %v", name, err, want)
		}
	}
}

// FuzzParse: any datagram makes an event that can be kept.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"<13>Mar  4 05:06:07 h sh[12]: hello", `<34>1 - - - - - [a b="c"] x`, "", "<", "<13>1 "} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e := Parse(data, now)
		if !utf8.ValidString(e.Message) || !utf8.ValidString(e.Source) || len(e.Message) > mostMessage*3+3 || e.Level == "" || e.Facility == "" {
			t.Errorf("%q: %+v", data, e)
		}
	})
}
