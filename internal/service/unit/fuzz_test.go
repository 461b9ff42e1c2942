package unit

import (
	"os"
	"strings"
	"testing"
	"time"
)

// FuzzParse wants every text to be taken or refused in one line, and what is
// taken to be whole.
func FuzzParse(f *testing.F) {
	entries, err := os.ReadDir("testdata/units")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile("testdata/units/" + e.Name())
		if err != nil {
			f.Fatal(err)
		}
		f.Add("x"+e.Name()[strings.LastIndexByte(e.Name(), '.'):], text)
	}
	f.Add("a@b.service", []byte("[Service]\nExecStart=-@:+/bin/%i \"$A ${B}\" \\x41 ; b\nLimitNOFILE=1K:2K\nEnvironment=\"A=b\\tc\"\n[Unit]\nConditionPathExists=|!/x\n"))
	f.Add("a.timer", []byte("[Timer]\nOnCalendar=Mon..Fri *-*~01/2 1..5/2:00:00.5/2 UTC\nOnBootSec=1y 2M 3w 4d 5h 6min 7s 8ms 9us\n"))
	f.Add("a.socket", []byte("[Socket]\nListenStream=[::1]:80\nListenStream=@x\nListenFIFO=/a/b\nSocketMode=0600\n"))
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		m := rootOf(map[string]string{"/etc/x": ""})
		if _, err := ParseName(name); err != nil {
			return
		}
		m["etc/systemd/system/"+name] = m["etc/x"]
		m["etc/systemd/system/"+name].Data = text
		s := NewSet(m, testHost())
		u := s.Load(name)
		if strings.Contains(u.Reason, "\n") || u.State == "" || u.State == Bad && u.Reason == "" {
			t.Errorf("state %q, reason %q", u.State, u.Reason)
		}
		if u.State != Loaded {
			return
		}
		if u.Service != nil && (u.Service.Type == "" || len(u.Service.Commands[ExecStart])+len(u.Service.Commands[ExecStop]) == 0) {
			t.Errorf("a service with nothing to do: %+v", u.Service)
		}
		for _, list := range u.commands() {
			for _, c := range list {
				if argv, err := c.Argv([]string{"A=x y", "B=z"}); err == nil && len(argv) == 0 {
					t.Errorf("no arguments: %+v", c)
				}
			}
		}
		s.Check(u)
		if tx, err := s.Start(none, name); err == nil && len(tx.Jobs) == 0 {
			t.Error("a start of nothing")
		}
	})
}

func (u *Unit) commands() map[Phase][]Command {
	if u.Service == nil {
		return nil
	}
	return u.Service.Commands
}

// FuzzCalendar wants what is taken to be written as it would be read, and its
// next time to fit.
func FuzzCalendar(f *testing.F) {
	for _, s := range []string{"daily", "Mon..Fri *-*-* 1:2:3", "*-*~07/1 0:0:0/2.5", "2000..2010/3-1,2,3-4 5:6 UTC", "@5", "12-31T1:2", "Sun *-2-29"} {
		f.Add(s, int64(1700000000))
	}
	f.Fuzz(func(t *testing.T, text string, at int64) {
		c, err := ParseCalendar(text, nil)
		if err != nil {
			return
		}
		again, err := ParseCalendar(c.String(), nil)
		if err != nil || again.String() != c.String() {
			t.Errorf("%q is written %q and read %v, %v", text, c, again, err)
		}
		after := time.Unix(at%8e9, 0).UTC()
		next, ok := c.Next(after)
		if ok && (!next.After(after) || !c.fits(next.Truncate(24*time.Hour))) {
			t.Errorf("%q after %s is %s", text, after, next)
		}
		if same, okAgain := again.Next(after); ok != okAgain || !same.Equal(next) {
			t.Errorf("%q and %q differ: %s, %s", text, c, next, same)
		}
	})
}

// FuzzEnvFile wants only assignments to come out.
func FuzzEnvFile(f *testing.F) {
	f.Add([]byte("A=b\nC='d\\' \"e\\\n\""))
	f.Fuzz(func(t *testing.T, text []byte) {
		env, err := ParseEnvFile(text)
		if err != nil {
			return
		}
		for _, e := range env {
			if name, _, ok := strings.Cut(e, "="); !ok || !envName(name) {
				t.Errorf("%q is no assignment", e)
			}
		}
	})
}
