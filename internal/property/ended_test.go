package property

import (
	"testing"

	"silo/api"
	"silo/internal/facts"
)

// A process that only the inside names proves a lie unless it can have begun
// and ended between the host's two looks.
func TestSeenOnlyInside(t *testing.T) {
	for name, tt := range map[string]struct {
		start int64
		state string
		ended bool
		host  bool // the inside is shown the host's processes
		want  api.Answer
	}{
		"gone, and was begun meanwhile":   {start: 50, ended: true, want: api.CouldNotTell},
		"gone, but begun before":          {start: 30, ended: true, want: api.Differs},
		"gone, had ended before":          {start: 30, state: "Z", ended: true, want: api.CouldNotTell},
		"another's on the host":           {start: 50, want: api.Differs},
		"another's, all of them are seen": {start: 50, host: true, want: ""},
	} {
		in, out := scene()
		out.Since, out.HostPIDs, out.Ended = 40, tt.host, map[int]bool{555: tt.ended}
		in.Processes = append(in.Processes, facts.Process{PID: 555, Start: tt.start, State: tt.state})
		var got api.Answer
		for _, x := range Evaluate(in, "", out).Processes {
			if x.PIDInside == 555 {
				got = x.Answer
			}
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestOwns(t *testing.T) {
	o := Outside{FirstID: 1000, IDs: 100}
	for uid, want := range map[uint32]bool{999: false, 1000: true, 1099: true, 1100: false, 0: false} {
		if got := o.Owns(&facts.Process{UID: uid, Session: 7}); got != want {
			t.Errorf("user %d: %t", uid, got)
		}
	}
	o.Session = 7
	if !o.Owns(&facts.Process{UID: 0, Session: 7}) || o.Owns(&facts.Process{UID: 1000, Session: 8}) {
		t.Error("a session counts more than a user")
	}
}
