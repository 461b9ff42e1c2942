package unit

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"silo/internal/errs"
)

// apply makes a plan true in a root.
func apply(m fstest.MapFS, plan []Link) {
	for _, l := range plan {
		delete(m, l.Path[1:])
		if l.Target != "" {
			m[l.Path[1:]] = &fstest.MapFile{Data: []byte(l.Target), Mode: fs.ModeSymlink | 0o777}
		}
	}
}

func TestEnableAndDisable(t *testing.T) {
	const dir = "/usr/lib/systemd/system/"
	m := rootOf(map[string]string{
		dir + "a.service":  simple + "[Install]\nWantedBy=multi-user.target\nRequiredBy=x.target\nAlias=b.service\nAlso=a.socket t@.service\n",
		dir + "a.socket":   "[Socket]\nListenStream=/x\n[Install]\nWantedBy=sockets.target\n",
		dir + "t@.service": simple + "[Install]\nWantedBy=multi-user.target\nDefaultInstance=one\n",
		dir + "n@.service": simple + "[Install]\nWantedBy=multi-user.target\n",
		dir + "s.service":  simple,
	})
	plan, err := NewSet(m, testHost()).Enable("a.service")
	if err != nil {
		t.Fatal(err)
	}
	want := []Link{
		{configDir + "/multi-user.target.wants/a.service", dir + "a.service"},
		{configDir + "/x.target.requires/a.service", dir + "a.service"},
		{configDir + "/b.service", dir + "a.service"},
		{configDir + "/sockets.target.wants/a.socket", dir + "a.socket"},
		{configDir + "/multi-user.target.wants/t@one.service", dir + "t@.service"},
	}
	if d := cmp.Diff(want, plan); d != "" {
		t.Errorf("plan (-want +got):\n%s", d)
	}
	apply(m, plan)
	s := NewSet(m, testHost())
	for name, want := range map[string]EnableState{
		"a.service": Enabled, "a.socket": Enabled, "b.service": Alias, "t@one.service": Enabled, "t@.service": Enabled, "t@two.service": Disabled,
		"n@.service": Disabled, "s.service": Static, "none.service": NoFile, "nonsense": BadUnit,
	} {
		if got := s.EnableState(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if plan, err := s.Enable("a.service"); err != nil || len(plan) != 0 {
		t.Errorf("enabling twice plans %v, %v", plan, err)
	}
	if plan, err = s.Disable("b.service"); err != nil || len(plan) != 5 {
		t.Errorf("disabling plans %v, %v; want the five links", plan, err)
	}
	apply(m, plan)
	s = NewSet(m, testHost())
	for _, name := range []string{"a.service", "a.socket", "t@.service"} {
		if got := s.EnableState(name); got != Disabled {
			t.Errorf("%s is %s after it was disabled", name, got)
		}
	}
	if plan, err := s.Enable("n@x.service"); err != nil || len(plan) != 1 || plan[0].Path != configDir+"/multi-user.target.wants/n@x.service" {
		t.Errorf("an instance: %v, %v", plan, err)
	}
	for name, word := range map[string]string{"n@.service": "default instance", "s.service": "no [Install]", "none.service": "no file", "../x.service": "cannot be"} {
		if plan, err := s.Enable(name); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("enable %s: %v, %v; want %q", name, plan, err, word)
		}
	}
}

// What a generator links is started with the container, and is not for Disable
// to take away.
func TestGeneratedLinks(t *testing.T) {
	s := fixtures(t)
	for name, want := range map[string]EnableState{"cluster@15-main.service": Enabled, "cluster@16-other.service": Static} {
		if got := s.EnableState(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	if plan, err := s.Disable("cluster@15-main.service"); err != nil || len(plan) != 0 {
		t.Errorf("disabling plans %v, %v", plan, err)
	}
}

func TestMask(t *testing.T) {
	m := rootOf(map[string]string{"/usr/lib/systemd/system/a.service": simple, "/etc/systemd/system/own.service": simple})
	s := NewSet(m, testHost())
	plan, err := s.Mask("a.service")
	if err != nil || len(plan) != 1 {
		t.Fatal(plan, err)
	}
	if _, err := s.Mask("own.service"); !errs.Is(err, errs.Conflict) {
		t.Errorf("masking a file of the administrator's: %v", err)
	}
	apply(m, plan)
	s = NewSet(m, testHost())
	if got := s.EnableState("a.service"); got != IsMasked {
		t.Errorf("it is %s", got)
	}
	if _, err := s.Enable("a.service"); !errs.Is(err, errs.Conflict) {
		t.Errorf("enabling what is masked: %v", err)
	}
	if _, err := s.Start(none, "a.service"); err == nil || !strings.Contains(err.Error(), "masked") {
		t.Errorf("starting what is masked: %v", err)
	}
	if plan, err = s.Unmask("a.service"); err != nil || len(plan) != 1 || plan[0].Target != "" {
		t.Errorf("unmasking plans %v, %v", plan, err)
	}
}
