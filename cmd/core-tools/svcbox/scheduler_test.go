package main

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestCrontab(t *testing.T) {
	tasks, wrong := parseCrontab("# comment\n\n*/15 8-10,20 * * mon-fri root echo  hi > /x\n@daily ContainerUser clean\n" +
		"60 * * * * root x\n* * * * root\n@never root x\n5-1 * * * * root x\n*/0 * * * * root x\n* * 0 * * root x\n@hourly root\n* * * * foo root x\n")
	if len(tasks) != 2 || tasks[0].command != "echo  hi > /x" || tasks[0].user != "root" || tasks[1].user != "ContainerUser" || tasks[1].command != "clean" {
		t.Errorf("%+v", tasks)
	}
	var lines []string
	for _, w := range wrong {
		lines = append(lines, w.Error())
	}
	want := []string{
		`line 5: "60": not in 0 to 59`, `line 6: want minute, hour, day, month, weekday, user and command`, `line 7: "@never": no such time`,
		`line 8: "5-1": runs backwards`, `line 9: "*/0": bad step`, `line 10: "0": not in 1 to 31`, `line 11: want minute, hour, day, month, weekday, user and command`,
		`line 12: "foo": not in 0 to 7`,
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
}

func TestDue(t *testing.T) {
	at := func(s string) time.Time {
		when, err := time.Parse("2006-01-02 15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, c := range []struct {
		line, at string
		want     bool
	}{
		{"* * * * * u c", "2026-03-04 05:06", true},
		{"*/15 * * * * u c", "2026-03-04 05:45", true},
		{"*/15 * * * * u c", "2026-03-04 05:46", false},
		{"5/20 * * * * u c", "2026-03-04 05:45", true},
		{"0 0 * * sun u c", "2026-03-01 00:00", true},
		{"0 0 * * 7 u c", "2026-03-01 00:00", true},
		{"0 0 * * 1-5 u c", "2026-03-01 00:00", false},
		{"0 0 13 * 5 u c", "2026-03-13 00:00", true}, // a Friday the 13th
		{"0 0 13 * 5 u c", "2026-03-06 00:00", true}, // a Friday
		{"0 0 13 * 5 u c", "2026-04-13 00:00", true}, // a 13th
		{"0 0 13 * 5 u c", "2026-04-14 00:00", false},
		{"0 0 */2 * 1 u c", "2026-03-02 00:00", false}, // a star: both must fit
		{"0 0 1 jan * u c", "2026-01-01 00:00", true},
		{"@monthly u c", "2026-02-01 00:00", true},
		{"@monthly u c", "2026-02-01 00:01", false},
	} {
		task, err := parseTask(c.line)
		if err != nil {
			t.Fatal(err)
		}
		if got := task.due(at(c.at)); got != c.want {
			t.Errorf("%s at %s: %v, want %v", c.line, c.at, got, c.want)
		}
	}
}

// told collects what a scheduler says.
type told struct {
	mu    sync.Mutex
	lines []string
}

func (l *told) add(level int, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, fmt.Sprintf("%d %s", level, text))
}

func (l *told) has(part string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(strings.Join(l.lines, "\n"), part)
}

func TestScheduler(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	passwd := fmt.Sprintf("me:*:%s:%s::%s:/bin/sh\n", me.Uid, me.Gid, dir)
	root := record(t, map[string]string{
		"etc/passwd": passwd,
		"etc/crontab": "* * * * * me echo out; echo $USER $HOME >" + dir + "/ran\n* * * * * me exit 3\n* * * * * nobody-here x\n" +
			"0 0 1 1 * me echo never >" + dir + "/never\nbroken\n* * * * * me yes | head -c 100000\n",
	})
	var said told
	s := &scheduler{root: root, tell: said.add, running: map[string]bool{}}
	s.reload()
	s.minute(t.Context(), time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC))
	s.wait.Wait()
	if data, err := os.ReadFile(filepath.Join(dir, "ran")); err != nil || string(data) != "me "+dir+"\n" {
		t.Errorf("%q %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "never")); err == nil {
		t.Error("ran what was not due")
	}
	for _, want := range []string{"3 /etc/crontab: line 5: ", "6 /etc/crontab: 5 tasks", ": out", "4 exit 3: exit status 3", "3 x: nobody-here: no such user", "6 done: yes"} {
		if !said.has(want) {
			t.Errorf("%q was not told:\n%.2000s", want, strings.Join(said.lines, "\n"))
		}
	}
	if n := len(strings.Join(said.lines, "")); n > 20*mostOutput {
		t.Errorf("told %d bytes of one task's output", n)
	}
	if err := os.Remove(string(root) + crontabPath); err != nil {
		t.Fatal(err)
	}
	if s.reload(); len(s.tasks) != 0 {
		t.Error("tasks without a file")
	}
}

// A task that still runs is not started again, and there is a most of all.
func TestSchedulerBounds(t *testing.T) {
	var said told
	s := &scheduler{root: record(t, nil), tell: said.add, running: map[string]bool{"u\x00busy": true}}
	s.start(t.Context(), task{user: "u", command: "busy"})
	for i := range mostRunning {
		s.running[fmt.Sprint(i)] = true
	}
	s.start(t.Context(), task{user: "u", command: "more"})
	if !said.has("left out, as it still runs: busy") || !said.has("left out, as 16 others run: more") {
		t.Errorf("%q", said.lines)
	}
}

func FuzzCrontab(f *testing.F) {
	f.Add("*/5 1-3,7 * jan-dec/2 sun root x\n@daily u c\n")
	f.Fuzz(func(t *testing.T, text string) {
		tasks, _ := parseCrontab(text)
		for _, task := range tasks {
			if task.command == "" || task.user == "" {
				t.Errorf("%q: %+v", text, task)
			}
			task.due(time.Unix(1700000000, 0))
		}
	})
}
