package event

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/events"

	"silo/api"
)

func openLog(t *testing.T, path string) *Log {
	t.Helper()
	l, err := OpenLog(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func message(action string, n int) events.Message {
	return events.Message{
		Type: events.ContainerEventType, Action: events.Action(action), TimeNano: int64(n) * int64(time.Second),
		Actor: events.Actor{ID: strings.Repeat("ab", 32), Attributes: map[string]string{"name": "web", "image": "core"}},
	}
}

func session(t *testing.T, l *Log, n uint32) []api.SessionRecord {
	t.Helper()
	list, err := l.Session(n)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestLogBySession: what was added before the question is in the answer, also
// by another silod.
func TestLogBySession(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	l := openLog(t, path)
	l.Add(7, message("create", 1))
	l.Add(8, message("create", 2))
	l.Add(7, message("start", 3))
	want := []api.SessionRecord{
		{At: time.Unix(1, 0), Source: "silo", Type: "create", Text: "container abababababab image=core name=web"},
		{At: time.Unix(3, 0), Source: "silo", Type: "start", Text: "container abababababab image=core name=web"},
	}
	if d := cmp.Diff(want, session(t, l, 7)); d != "" {
		t.Errorf("session 7 (-want +got):\n%s", d)
	}
	l.Add(7, message("die", 4))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l.Add(7, message("late", 5)) // nobody is there to write it, and nobody waits
	next := openLog(t, path)
	if got := session(t, next, 7); len(got) != 3 || got[2].Type != "die" {
		t.Errorf("after a restart: %+v", got)
	}
}

// TestLogIsBounded: two files, neither above the bound by more than what waits
// at once.
func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	l := openLog(t, path)
	big := message("x", 1)
	big.Actor.Attributes = map[string]string{"text": strings.Repeat("x", 8<<10)}
	for i := range 400 {
		l.Add(7, big)
		if i%16 == 0 {
			session(t, l, 7) // so that none finds the queue full
		}
	}
	if n := len(session(t, l, 7)); n < 100 || n >= 400 {
		t.Errorf("%d events are kept, want the last ones only", n)
	}
	for _, p := range []string{path, path + ".1"} {
		info, err := os.Stat(p)
		if err != nil || info.Size() > MaxLog {
			t.Errorf("%s: %v, %v; want at most %d bytes", p, info.Size(), err, MaxLog)
		}
	}
	if _, err := os.Stat(path + ".2"); err == nil {
		t.Error("a third file is kept")
	}
}

func TestLogWithDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.log")
	if err := os.WriteFile(path, []byte("{\"Session\":7,\"Ac\n\x00\xff\n[]\n{\"Session\":7,\"Action\":\"ok\"}\n{\"Sess"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := session(t, openLog(t, path), 7); len(got) != 1 || got[0].Type != "ok" {
		t.Errorf("got %+v, want the one line that is whole", got)
	}
}

func TestAudit(t *testing.T) {
	dir := t.TempDir()
	line := func(kind string, at, ses string) string {
		return fmt.Sprintf("type=%s msg=audit(%s:24287): pid=1 uid=0 ses=%s res=1\n", kind, at, ses)
	}
	for name, text := range map[string]string{
		"audit.log.1": line("LOGIN", "1364481363.243", "7") + line("LOGIN", "1364481364.000", "77"),
		"audit.log":   "garbage ses=7\ntype=X msg=audit(never:1): ses=7\n" + line("USER_END", "1364481365.500", "7"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Audit(dir, 7)
	if err != nil {
		t.Fatal(err)
	}
	want := []api.SessionRecord{
		{At: time.UnixMilli(1364481363243), Source: "audit", Type: "LOGIN", Text: "pid=1 uid=0 ses=7 res=1"},
		{At: time.UnixMilli(1364481365500), Source: "audit", Type: "USER_END", Text: "pid=1 uid=0 ses=7 res=1"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if got, err := Audit(filepath.Join(dir, "none"), 7); err != nil || len(got) > 0 {
		t.Errorf("a host without an audit log: %v, %v", got, err)
	}
}
