package main

import (
	"slices"
	"testing"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		args    []string
		all     bool
		columns []string
	}{
		{nil, false, plainColumns},
		{[]string{"-ef"}, true, fullColumns},
		{[]string{"aux"}, true, userColumns},
		{[]string{"-eo", "pid,comm"}, true, []string{"pid", "comm"}},
		{[]string{"-o", "pid", "-o", "user"}, false, []string{"pid", "user"}},
		{[]string{"-A", "-opid"}, true, []string{"pid"}},
	} {
		r, err := parse(c.args)
		if err != nil || r.all != c.all || !slices.Equal(r.columns, c.columns) {
			t.Errorf("%q: %+v %v, want all %v and %q", c.args, r, err, c.all, c.columns)
		}
	}
	for _, bad := range [][]string{{"-eo"}, {"-eo", "nothing"}, {"-?"}, {"-zo", "pid"}} {
		if r, err := parse(bad); err == nil {
			t.Errorf("%q: %+v", bad, r)
		}
	}
}
