package unit

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFixtures(t *testing.T) {
	s := fixtures(t)
	for _, name := range s.Files() {
		u := s.Load(strings.Replace(name, "@.", "@15-main.", 1))
		if u.State != Loaded {
			t.Errorf("%s is %s: %s", name, u.State, u.Reason)
		}
	}
	web := s.Load("web.service")
	want := Command{Path: "/sbin/halter", Args: []string{"/sbin/halter", "--quiet", "--retry", "QUIT/5", "--pidfile", "/run/web.pid"}, Ignore: true}
	if d := cmp.Diff([]Command{want}, web.Service.Commands[ExecStop]); d != "" {
		t.Errorf("ExecStop (-want +got):\n%s", d)
	}
	if got := web.Service.Commands[ExecStart][0].Args[2]; got != "daemon on; workers on;" {
		t.Errorf("a quoted ; became %q", got)
	}
	if len(web.Notes) != 0 {
		t.Errorf("notes on what is understood: %v", web.Notes)
	}
	store := s.Load("kv.service")
	r := store.Service.Run
	if store.Name != "store.service" || store.Aliases[0] != "kv.service" || store != s.Load("store.service") {
		t.Errorf("the alias gives %s, aliases %v", store.Name, store.Aliases)
	}
	if r.BoundingSet == nil || len(r.BoundingSet) != 0 || !r.NoNewPrivs || r.UMask != 0o07 || r.Limits["NOFILE"].Hard != 65535 {
		t.Errorf("run is %+v", r)
	}
	if dirs := r.Dirs[RuntimeDirectory]; dirs.Mode != 0o2755 || len(dirs.Dirs) != 1 || dirs.Dirs[0].Name != "store" {
		t.Errorf("runtime directories are %+v", dirs)
	}
	if store.Service.TimeoutStop != Infinity || store.Service.NotifyAccess != NotifyMain {
		t.Errorf("timeout %v, notify access %s", store.Service.TimeoutStop, store.Service.NotifyAccess)
	}
	if len(store.Notes) != 2 || !strings.Contains(store.Notes[0].Text, "SystemCallFilter=") {
		t.Errorf("hardening is not noted once for each reason: %v", store.Notes)
	}
	c := s.Load("cluster@15-main.service")
	if v, failed := s.Check(c); v != Go || c.Description != "Cluster 15-main" || c.Service.PIDFile != "/run/cluster/15-main.pid" {
		t.Errorf("verdict %s %s, description %q, PID file %q", v, failed, c.Description, c.Service.PIDFile)
	}
	if v, failed := s.Check(s.Load("cluster@16-x.service")); v != Fail || failed != "AssertPathExists=/etc/cluster/16/x/cluster.conf" {
		t.Errorf("verdict %s %s, want fail", v, failed)
	}
	echo := s.Load("echo.socket")
	if !echo.Socket.Accept || echo.Socket.Service != "echo@.service" || len(echo.Socket.Listen) != 2 || echo.Socket.Mode != 0o660 || echo.Socket.FDName != "connection" {
		t.Errorf("socket is %+v", echo.Socket)
	}
	tidy := s.Load("tidy.timer")
	if tidy.Timer.Unit != "tidy.service" || tidy.Timer.Spans[0] != (TimerSpan{OnBoot, 320 * time.Second}) || len(tidy.Timer.Calendar) != 1 {
		t.Errorf("timer is %+v", tidy.Timer)
	}
	if got := s.Load("tidy.service").Service.Commands[ExecStart]; len(got) != 2 || len(got[0].Args) != 2 {
		t.Errorf("a ; between commands gives %+v", got)
	}
	if got := s.Generators(); len(got) != 1 || got[0] != "/usr/lib/systemd/system-generators/cluster-generator" {
		t.Errorf("generators are %v", got)
	}
}

func TestPrefixes(t *testing.T) {
	for in, want := range map[string]Command{
		"-/bin/a x":      {Path: "/bin/a", Args: []string{"/bin/a", "x"}, Ignore: true},
		"@/bin/a me x":   {Path: "/bin/a", Args: []string{"me", "x"}},
		"-@:/bin/a me":   {Path: "/bin/a", Args: []string{"me"}, Ignore: true, NoExpand: true},
		"+/bin/a":        {Path: "/bin/a", Args: []string{"/bin/a"}, Privileged: true},
		"!/bin/a":        {Path: "/bin/a", Args: []string{"/bin/a"}, Privileged: true, KeepWalls: true},
		"!!/bin/a":       {Path: "/bin/a", Args: []string{"/bin/a"}},
		"a \\; ';' %n":   {Path: "a", Args: []string{"a", ";", ";", "x.service"}},
		"/bin/%p":        {Path: "/bin/x", Args: []string{"/bin/x"}},
		"/bin/a $A ${B}": {Path: "/bin/a", Args: []string{"/bin/a", "$A", "${B}"}},
	} {
		u := one(t, "x.service", "[Service]\nExecStart="+in+"\n")
		if u.State != Loaded {
			t.Errorf("%s: %s", in, u.Reason)
			continue
		}
		if d := cmp.Diff([]Command{want}, u.Service.Commands[ExecStart]); d != "" {
			t.Errorf("%s (-want +got):\n%s", in, d)
		}
	}
}

// TestRefused holds what makes a unit bad, with a word that its reason has.
func TestRefused(t *testing.T) {
	const ok = "\nExecStart=/bin/true\n"
	for text, word := range map[string]string{
		"[Service]\nType=dbus\nBusName=a.b" + ok:                "Type=dbus",
		"[Service]\nBusName=a.b" + ok:                           "Type=dbus",
		"[Service]\nType=exec" + "\n":                           "ExecStart",
		"[Unit]\nDescription=x":                                 "ExecStart",
		"[Service]" + ok + "ExecStart=/bin/false\n":             "more than one",
		"[Service]\nType=oneshot\nRestart=always" + ok:          "over and over",
		"[Service]\nExecStart=bin/x":                            "absolute",
		"[Service]\nExecStart=/bin/x 'open":                     "quote",
		"[Service]\nExecStart=+!/bin/x":                         "does not go",
		"[Service]\nExecStart=@/bin/x":                          "name",
		"[Service]\nExecStart=-":                                "no program",
		"[Service]\nExecStart=|/bin/x":                          "shell",
		"[Service]\nUser=a:b" + ok:                              "user",
		"[Service]\nUser=4294967295" + ok:                       "no user",
		"[Service]\nWorkingDirectory=a/b" + ok:                  "absolute",
		"[Service]\nWorkingDirectory=/a/../b" + ok:              "..",
		"[Service]\nRuntimeDirectory=../x" + ok:                 "below",
		"[Service]\nRuntimeDirectory=/x" + ok:                   "relative",
		"[Service]\nStateDirectory=private/x" + ok:              "dynamic",
		"[Service]\nRootDirectory=/srv" + ok:                    "file system",
		"[Service]\nRootImage=/x.img" + ok:                      "file system",
		"[Service]\nBindPaths=/a:/b" + ok:                       "silo run -v",
		"[Service]\nTemporaryFileSystem=/var" + ok:              "kept",
		"[Service]\nLoadCredential=a:/b\nLoadCredential=c" + ok: "secrets",
		"[Service]\nPAMName=login" + ok:                         "login",
		"[Service]\nExitType=cgroup" + ok:                       "stopped",
		"[Service]\nStandardInput=tty" + ok:                     "terminal",
		"[Service]\nStandardOutput=file:x" + ok:                 "absolute",
		"[Service]\nCapabilityBoundingSet=CAP_NOPE" + ok:        "CAP_NOPE",
		"[Service]\nEnvironment=9x=1" + ok:                      "NAME=value",
		"[Service]\nKillSignal=SIGNOPE" + ok:                    "SIGNOPE",
		"[Service]\nDynamicUser=perhaps" + ok:                   "yes or no",
		"[Service]\nTimeoutSec=soon" + ok:                       "soon",
	} {
		u := one(t, "x.service", text)
		if u.State != Bad || !strings.Contains(u.Reason, word) || strings.Contains(u.Reason, "\n") {
			t.Errorf("%q: state %s, reason %q; want bad and %q", text, u.State, u.Reason, word)
		}
	}
	for text, word := range map[string]string{
		"":                                          "listens on nothing",
		"ListenStream=x":                            "want a path",
		"ListenStream=70000":                        "want a path",
		"ListenFIFO=@a":                             "absolute",
		"ListenSequentialPacket=5":                  "unix",
		"ListenDatagram=5\nAccept=yes":              "connections",
		"ListenStream=5\nSymlinks=/a":               "exactly one",
		"ListenNetlink=route\nListenStream=5":       "not made",
		"ListenStream=5\nBindToDevice=eth0":         "all networks",
		"ListenStream=vsock::5":                     "vsock",
		"ListenStream=5\nService=x.socket":          "service",
		"ListenStream=/" + strings.Repeat("a", 107): "longer",
	} {
		if u := one(t, "x.socket", "[Unit]\nDescription=x\n[Socket]\n"+text); u.State != Bad || !strings.Contains(u.Reason, word) {
			t.Errorf("%q: state %s, reason %q; want bad and %q", text, u.State, u.Reason, word)
		}
	}
	for text, word := range map[string]string{"": "elapse", "OnCalendar=never": "never", "OnBootSec=x": "x", "OnBootSec=1\nUnit=x.timer": "itself", "OnBootSec=1\nUnit=a@.service": "instance"} {
		if u := one(t, "x.timer", "[Timer]\nPersistent=no\n"+text); u.State != Bad || !strings.Contains(u.Reason, word) {
			t.Errorf("%q: state %s, reason %q; want bad and %q", text, u.State, u.Reason, word)
		}
	}
}

func TestTakenBack(t *testing.T) {
	u := one(t, "x.service", `[Service]
RootDirectory=/srv
RootDirectory=
BindPaths=/a
BindPaths=
PrivateTmp=no
ProtectSystem=no
ExecStart=/bin/false
ExecStart=
ExecStart=/bin/true
Environment=A=1 "B=2 3"
Environment=
Environment=C=%p 'D=\x41'
CapabilityBoundingSet=~CAP_SYS_ADMIN CAP_BPF
CapabilityBoundingSet=~CAP_CHOWN
AmbientCapabilities=cap_net_raw
SuccessExitStatus=1 2
SuccessExitStatus=
SuccessExitStatus=TEMPFAIL
Nice=5
Nice=
OOMScoreAdjust=99999
`)
	if u.State != Loaded {
		t.Fatal(u.Reason)
	}
	r := u.Service.Run
	if d := cmp.Diff([]string{"C=x", "D=A"}, r.Environment); d != "" {
		t.Errorf("environment (-want +got):\n%s", d)
	}
	if len(r.BoundingSet) != len(allCapabilities())-3 || len(r.AmbientSet) != 1 || r.AmbientSet[0] != "CAP_NET_RAW" {
		t.Errorf("bounding set %v, ambient set %v", r.BoundingSet, r.AmbientSet)
	}
	if got := u.Service.Commands[ExecStart]; len(got) != 1 || got[0].Path != "/bin/true" {
		t.Errorf("commands %v", got)
	}
	if len(u.Service.SuccessExit.Codes) != 1 || r.Nice != nil || r.OOMScore != nil {
		t.Errorf("exits %v, nice %v, score %v", u.Service.SuccessExit, r.Nice, r.OOMScore)
	}
	if len(u.Notes) != 1 || !strings.Contains(u.Notes[0].Text, "OOMScoreAdjust") {
		t.Errorf("notes are %v, want one on OOMScoreAdjust", u.Notes)
	}
}

func TestDefaults(t *testing.T) {
	u := one(t, "x.service", "[Service]\nExecStart=/bin/x\n")
	s := u.Service
	if s.Type != Simple || s.Restart != RestartNo || s.TimeoutStart != 90*time.Second || s.TimeoutAbort != 90*time.Second || s.Kill.Signal != 15 ||
		s.Kill.RestartSignal != 15 || s.Run.Stdout.Kind != StdioJournal || s.Run.Stderr.Kind != StdioInherit || s.Run.Stdin.Kind != StdioNull || s.Run.BoundingSet != nil {
		t.Errorf("defaults are %+v", s)
	}
	u = setOf(nil).Load("x@a.service")
	if u.State != NotFound {
		t.Errorf("an instance without a template is %s", u.State)
	}
	u = one(t, "my.x.service", "[Service]\nDynamicUser=yes\nExecStop=/bin/x\nRemainAfterExit=1\nStandardInputText=a\\tb\nPermissionsStartOnly=yes\nWatchdogSec=3\n")
	s = u.Service
	if u.State != Loaded || s.Run.User != "my_x" || s.Type != Oneshot || s.TimeoutStart != Infinity || string(s.Run.StdinData) != "a\tb\n" || s.Run.Stdin.Kind != StdioData ||
		!s.Commands[ExecStop][0].Privileged || s.NotifyAccess != NotifyMain {
		t.Errorf("%s %+v", u.Reason, s)
	}
}

// TestPolicyIsWhole wants a reason for each line and nothing that is done too.
func TestPolicyIsWhole(t *testing.T) {
	done := rows()
	for name, p := range policies() {
		if p.why == "" {
			t.Errorf("%s has no reason", name)
		}
		for _, section := range []string{"Unit", "Service", "Timer", "Install"} {
			if _, ok := done[section+"."+name]; ok && !strings.HasPrefix(name, "ExecSt") && name != "TimeoutSec" {
				t.Errorf("%s is in the policy and is done in [%s]", name, section)
			}
		}
	}
}

// A dynamic user cannot gain rights, whatever the unit says; what else it
// implies and is not done is noted.
func TestDynamicUserImplies(t *testing.T) {
	u := one(t, "a.service", "[Service]\nExecStart=/bin/a\nDynamicUser=yes\nNoNewPrivileges=no\n")
	if !u.Service.Run.NoNewPrivs {
		t.Error("it can gain rights")
	}
	if len(u.Notes) != 1 || !strings.Contains(u.Notes[0].Text, "PrivateTmp=") || u.Notes[0].Path != u.Path {
		t.Errorf("notes: %v", u.Notes)
	}
}
