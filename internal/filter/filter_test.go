package filter

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"silo/internal/errs"
)

func TestParse(t *testing.T) {
	tests := []struct {
		in   string
		want Args
		bad  bool
	}{
		{"", nil, false},
		{"  ", nil, false},
		{"null", Args{}, false},
		{"{}", Args{}, false},
		{`{"label":["a=b","c"]}`, Args{"label": {"a=b", "c"}}, false},
		{`{"label":{"c":true,"a=b":true}}`, Args{"label": {"a=b", "c"}}, false},
		{`{"status":{"exited":false}}`, Args{"status": {"exited"}}, false},
		{`{"label":[]}`, Args{}, false},
		{`{"label":"a"}`, nil, true},
		{`{"label":[1]}`, nil, true},
		{`["a"]`, nil, true},
		{`{"label":["a"]} x`, nil, true},
		{`{`, nil, true},
	}
	for _, tt := range tests {
		got, err := Parse(tt.in)
		if (err != nil) != tt.bad || err != nil && !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: error %v", tt.in, err)
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Error(tt.in, d)
		}
	}
}

func TestValidate(t *testing.T) {
	a := Args{"name": {"x"}, "zz": {"y"}, "foo": {"z"}}
	err := a.Validate("name", "label")
	if err == nil || err.Error() != "invalid filter 'foo'" || !errs.Is(err, errs.Invalid) {
		t.Errorf("got %v", err)
	}
	if err := a.Validate("foo", "zz", "name"); err != nil {
		t.Error(err)
	}
	if err := Args(nil).Validate(); err != nil {
		t.Error(err)
	}
}

func TestBool(t *testing.T) {
	a := Args{"t": {"true"}, "f": {"0"}, "two": {"true", "false"}, "bad": {"x"}}
	for key, want := range map[string]bool{"t": true, "f": false, "none": true} {
		if got, err := a.Bool(key, true); err != nil || got != want {
			t.Errorf("%s: %v %v", key, got, err)
		}
	}
	for _, key := range []string{"two", "bad"} {
		if _, err := a.Bool(key, true); !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

func TestMatch(t *testing.T) {
	a := Args{"k": {"web", "^db[0-9]$", "("}}
	tests := []struct {
		s                    string
		exact, prefix, match bool
	}{
		{"web", true, true, true},
		{"web2", false, true, true},
		{"my-web", false, false, true},
		{"db1", false, false, true},
		{"db12", false, false, false},
		{"(", true, true, true},
		{"", false, false, false},
	}
	for _, tt := range tests {
		if a.Exact("k", tt.s) != tt.exact || a.Prefix("k", tt.s) != tt.prefix || a.Match("k", tt.s) != tt.match {
			t.Errorf("%q: %v %v %v", tt.s, a.Exact("k", tt.s), a.Prefix("k", tt.s), a.Match("k", tt.s))
		}
	}
	if !a.Exact("none", "x") || !a.Prefix("none", "x") || !a.Match("none", "x") {
		t.Error("a key without values must match")
	}
	for _, pattern := range []string{"^/web$", "^web$", "web", "/web", "eb"} {
		if !(Args{"name": {pattern}}).Name("name", "/web") {
			t.Errorf("%s does not match /web", pattern)
		}
	}
	if (Args{"name": {"^eb"}}).Name("name", "/web") {
		t.Error("^eb matches /web")
	}
}

func TestLabels(t *testing.T) {
	labels := map[string]string{"a": "1", "b": "x=y", "empty": ""}
	tests := []struct {
		a    Args
		want bool
	}{
		{nil, true},
		{Args{"label": {"a"}}, true},
		{Args{"label": {"a=1"}}, true},
		{Args{"label": {"a=2"}}, false},
		{Args{"label": {"a="}}, false},
		{Args{"label": {"empty="}}, true},
		{Args{"label": {"b=x=y"}}, true},
		{Args{"label": {"a", "c"}}, false},
		{Args{"label!": {"a"}}, false},
		{Args{"label!": {"a=2"}}, true},
		{Args{"label": {"a"}, "label!": {"c"}}, true},
	}
	for _, tt := range tests {
		if got := tt.a.Labels(labels); got != tt.want {
			t.Errorf("%v: %v", tt.a, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"label":{"a":true}}`)
	f.Add(`{"label":["a"]}`)
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil && !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
		for k := range a {
			a.Match(k, s)
			a.Pairs(k, map[string]string{s: s})
			_, _ = a.Bool(k, false)
		}
	})
}
