package unit

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const simple = "[Service]\nExecStart=/bin/true\n"

func TestSearchPath(t *testing.T) {
	files := map[string]string{
		"/lib":                                "-> usr/lib",
		"/etc/systemd/system/a.service":       simple + "[Unit]\nDescription=etc\n",
		"/run/systemd/system/a.service":       simple,
		"/usr/lib/systemd/system/a.service":   simple,
		"/usr/lib/systemd/system/b.service":   simple,
		"/run/systemd/system/b.service":       simple + "[Unit]\nDescription=run\n",
		"/usr/lib/systemd/system/m.service":   simple,
		"/etc/systemd/system/m.service":       "-> /dev/null",
		"/usr/lib/systemd/system/e.service":   "",
		"/etc/systemd/system/gone.service":    "-> /usr/lib/systemd/system/nowhere.service",
		"/etc/systemd/system/far.service":     "-> ../../../opt/far.unit",
		"/opt/far.unit":                       simple,
		"/etc/systemd/system/l1.service":      "-> l2.service",
		"/etc/systemd/system/l2.service":      "-> l1.service",
		"/etc/systemd/system/out.service":     "-> ../../../../../../etc/systemd/system/a.service",
		"/etc/systemd/system/kind.socket":     "-> a.service",
		"/usr/lib/systemd/system/t@.service":  simple,
		"/etc/systemd/system/t@own.service":   simple + "[Unit]\nDescription=own\n",
		"/etc/systemd/system/t2@.service":     "-> /lib/systemd/system/t@.service",
		"/etc/systemd/system/default.target":  "-> /lib/systemd/system/my.target",
		"/usr/lib/systemd/system/my.target":   "[Unit]\nDescription=my\n",
		"/usr/lib/systemd/system/u.service":   "[Unit]\n\xff=1",
		"/usr/lib/systemd/system/big.service": strings.Repeat("#\n", mostFileSize),
		"/usr/lib/systemd/system/w.path":      "[Path]\nPathExists=/x\n",
	}
	s := setOf(files)
	for name, want := range map[string]struct {
		state LoadState
		is    string // its name, and a part of description or reason
		says  string
	}{
		"a.service":         {Loaded, "a.service", "etc"},
		"b.service":         {Loaded, "b.service", "run"},
		"m.service":         {Masked, "m.service", "/dev/null"},
		"e.service":         {Masked, "e.service", "empty"},
		"gone.service":      {NotFound, "nowhere.service", ""},
		"far.service":       {Loaded, "far.service", ""},
		"l1.service":        {Bad, "l1.service", "without end"},
		"out.service":       {Loaded, "a.service", "etc"},
		"kind.socket":       {Bad, "kind.socket", "listens on nothing"},
		"t@x.service":       {Loaded, "t@x.service", ""},
		"t@own.service":     {Loaded, "t@own.service", "own"},
		"t2@y.service":      {Loaded, "t@y.service", ""},
		"default.target":    {Loaded, "my.target", "my"},
		"u.service":         {Bad, "u.service", "UTF-8"},
		"big.service":       {Bad, "big.service", "larger"},
		"w.path":            {Bad, "w.path", "not supported"},
		"none.service":      {NotFound, "none.service", ""},
		"network.target":    {Synthetic, "network.target", ""},
		"none.target":       {NotFound, "none.target", ""},
		"tmp.mount":         {Provided, "tmp.mount", "outside"},
		"systemd-x.service": {Provided, "systemd-x.service", "systemd"},
		"../x.service":      {Bad, "../x.service", "cannot be in it"},
	} {
		u := s.Load(name)
		if u.State != want.state || u.Name != want.is || !strings.Contains(u.Description+u.Reason, want.says) {
			t.Errorf("%s is %s %s, %q %q; want %+v", name, u.State, u.Name, u.Description, u.Reason, want)
		}
	}
}

func TestDropIns(t *testing.T) {
	note := func(s string) string { return "[Unit]\nDocumentation=" + s + "\n" }
	s := setOf(map[string]string{
		"/usr/lib/systemd/system/a-b@.service":              simple,
		"/usr/lib/systemd/system/a-b@.service.d/20-x.conf":  note("template"),
		"/etc/systemd/system/a-b@i.service.d/10-x.conf":     note("instance"),
		"/usr/lib/systemd/system/a-b@i.service.d/30-x.conf": note("hidden"),
		"/etc/systemd/system/a-b@i.service.d/30-x.conf":     "-> /dev/null",
		"/etc/systemd/system/a-@.service.d/05-x.conf":       note("dash"),
		"/etc/systemd/system/service.d/20-x.conf":           note("kind, hidden by the template's"),
		"/etc/systemd/system/service.d/99-x.conf":           note("kind"),
		"/etc/systemd/system/a-b@i.service.d/no.txt":        note("not a conf"),
		"/etc/systemd/system/network.target.d/x.conf":       note("synthetic"),
		"/usr/lib/systemd/system/bad.service":               simple,
		"/etc/systemd/system/bad.service.d/x.conf":          "[Service]\nUser=a b\n",
	})
	u := s.Load("a-b@i.service")
	if d := cmp.Diff([]string{"dash", "instance", "template", "kind"}, u.Documentation); d != "" {
		t.Errorf("%s drop-ins (-want +got):\n%s", u.Reason, d)
	}
	if u := s.Load("network.target"); len(u.Documentation) != 1 || u.State != Synthetic {
		t.Errorf("a synthetic target has no drop-in: %+v", u)
	}
	if u := s.Load("bad.service"); u.State != Bad || !strings.Contains(u.Reason, "/etc/systemd/system/bad.service.d/x.conf: line 2") {
		t.Errorf("%s %s, want the place of the fault", u.State, u.Reason)
	}
}

func TestDependencyLinks(t *testing.T) {
	s := setOf(map[string]string{
		"/usr/lib/systemd/system/a@.service":                  simple,
		"/etc/systemd/system/a@.service.wants/b@.service":     "-> /usr/lib/systemd/system/b@.service",
		"/etc/systemd/system/a@x.service.requires/c.service":  "-> /x",
		"/usr/lib/systemd/system/a@x.service.wants/d.service": "-> ../d.service",
		"/etc/systemd/system/a@x.service.wants/d.service":     "-> /dev/null",
		"/etc/systemd/system/a@x.service.wants/not a name":    "-> ../d.service",
		"/etc/systemd/system/e.service":                       "-> f.service",
		"/etc/systemd/system/f.service":                       simple,
		"/etc/systemd/system/a@x.service.wants/e.service":     "-> /etc/systemd/system/f.service",
		"/etc/systemd/system/a@x.service.upholds/up.service":  "-> ../up.service",
	})
	u := s.Load("a@x.service")
	if d := cmp.Diff([]string{"b@x.service", "f.service"}, u.Deps[Wants]); d != "" {
		t.Errorf("wants (-want +got):\n%s", d)
	}
	if !slices.Contains(u.Deps[Requires], "c.service") || !slices.Contains(u.Deps[Upholds], "up.service") {
		t.Errorf("dependencies are %v", u.Deps)
	}
}

func TestCheck(t *testing.T) {
	s := setOf(map[string]string{
		"/a/file": "x", "/a/empty": "", "/a/link": "-> file", "/a/lost": "-> nowhere", "/loop": "-> loop", "/d": "-> /a",
		"/usr/lib/systemd/system/x.service": simple,
	})
	for in, want := range map[string]bool{
		"PathExists=/a/file": true, "PathExists=/a/none": false, "PathExists=!/a/none": true, "PathExists=/d/link": true, "PathExists=/a/lost": false,
		"PathExists=/loop": false, "PathIsSymbolicLink=/d/lost": true, "PathIsSymbolicLink=/a/file": false, "PathIsDirectory=/d": true,
		"PathExistsGlob=/*/fi*": true, "PathExistsGlob=/*/zz*": false, "PathExistsGlob=/d/[e]mpty": true, "DirectoryNotEmpty=/a": true, "DirectoryNotEmpty=/a/file": false,
		"FileNotEmpty=/a/file": true, "FileNotEmpty=/a/empty": false, "FileIsExecutable=/a/file": false, "PathIsMountPoint=/": true, "PathIsMountPoint=/a": false,
		"PathIsReadWrite=/a/file": true, "User=root": true, "User=0": true, "User=joe": false, "User=@system": true, "Group=root": true,
		"Virtualization=container": true, "Virtualization=no": false, "Virtualization=yes": true, "Virtualization=kvm": false, "Virtualization=!container": false,
		"Architecture=x86-64": true, "Architecture=arm64": false, "Host=box.*": true, "Host=BOX.example.org": true, "Host=other": false,
		"Capability=CAP_CHOWN": true, "Capability=CAP_SYS_ADMIN": false, "Environment=LANG": true, "Environment=LANG=C": true, "Environment=LANG=de": false,
		"KernelCommandLine=root": true, "KernelCommandLine=root=/dev/x": true, "KernelCommandLine=ro": false, "KernelVersion=>=6.2": true, "KernelVersion=< 6.2": false,
		"KernelVersion=6.12.*": true, "KernelVersion=>=5.4 <6.13": true, "ControlGroupController=cpu memory": true, "ControlGroupController=cpu io": false, "CPUs=2": true,
		"CPUs=>2": false, "Memory=>=1G": true, "Memory=2G": false, "OSRelease=ID=debian": true, "OSRelease=ID=debian VERSION_ID>=13": false,
		"OSRelease=VERSION_ID>=9": true, "ACPower=true": true, "FirstBoot=yes": false, "FirstBoot=!yes": true, "Security=selinux": false,
	} {
		kind, value, _ := strings.Cut(in, "=")
		u := one(t, "x.service", simple+"[Unit]\nCondition"+in+"\n")
		if u.State != Loaded || len(u.Conditions) != 1 || u.Conditions[0].Kind != kind || !strings.HasSuffix(value, u.Conditions[0].Value) {
			t.Errorf("%s is read as %+v %s", in, u.Conditions, u.Reason)
			continue
		}
		if got, failed := s.Check(u); (got == Go) != want || (got == Skip) == want {
			t.Errorf("%s: %s %s, want holds=%t", in, got, failed, want)
		}
	}
}

func TestTriggers(t *testing.T) {
	s := setOf(map[string]string{"/a": "x", "/usr/lib/systemd/system/x.service": simple})
	for in, want := range map[string]string{
		"":             "go",
		"C=/a C=/b":    "skip ConditionPathExists=/b",
		"C=|/b C=|/a":  "go",
		"C=|/b C=|!/a": "skip ConditionPathExists=|!/a",
		"C=|/a C=/b":   "skip ConditionPathExists=/b",
		"A=/b C=/b":    "fail AssertPathExists=/b",
		"A=/b A=":      "go",
		"A=/b C=/b C=": "fail AssertPathExists=/b",
	} {
		text := simple + "[Unit]\n"
		for _, w := range strings.Fields(in) {
			text += strings.NewReplacer("C=", "ConditionPathExists=", "A=", "AssertPathExists=").Replace(w) + "\n"
		}
		v, failed := s.Check(one(t, "x.service", text))
		if got := strings.TrimSpace(fmt.Sprintf("%s %s", v, failed)); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
