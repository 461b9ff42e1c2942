package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func lines(text string) (out [][]string) {
	for l := range strings.Lines(text) {
		out = append(out, strings.Split(strings.TrimSpace(l), ":"))
	}
	return out
}

const debianPasswd = `root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
garbage
:::::
app:x:1000:1001::
far:x:70000:70000::/:
x:notanumber:1:::/
`

const debianGroup = `root:x:0:
adm:x:4:root,app
short
app:x:1001:
far:x:70000:app
`

func TestResolveUser(t *testing.T) {
	passwd, group := lines(debianPasswd), lines(debianGroup)
	for _, c := range []struct {
		spec string
		more []string
		want user
	}{
		{"", nil, user{home: "/root", groups: []uint32{4}}},
		{"root", nil, user{home: "/root", groups: []uint32{4}}},
		{"0", nil, user{home: "/root", groups: []uint32{4}}},
		{"app", nil, user{uid: 1000, gid: 1001, home: "/", groups: []uint32{4}}},
		{"1000:adm", nil, user{uid: 1000, gid: 4, home: "/"}},
		{"4321", nil, user{uid: 4321, home: "/"}},
		{"4321:7", []string{"adm", "9"}, user{uid: 4321, gid: 7, home: "/", groups: []uint32{4, 9}}},
		// No image has to know the two built-in identities.
		{"ContainerAdministrator", nil, user{home: "/root", groups: []uint32{4}}},
		{"ContainerAdministrator:adm", nil, user{gid: 4, home: "/root"}},
		{"ContainerUser", nil, user{uid: 65530, gid: 65530, home: "/"}},
		{"ContainerUser:app", []string{"adm"}, user{uid: 65530, gid: 1001, home: "/", groups: []uint32{4}}},
	} {
		got, err := resolveUser(passwd, group, c.spec, c.more)
		if err != nil {
			t.Errorf("%q: %v", c.spec, err)
			continue
		}
		if d := cmp.Diff(c.want, got, cmp.AllowUnexported(user{})); d != "" {
			t.Errorf("%q: %s", c.spec, d)
		}
	}
}

// An image that has accounts of these names decides itself what they are.
func TestResolveBuiltinOfTheImage(t *testing.T) {
	passwd := lines("ContainerUser:*:65530:65530:No privileges:/home/ContainerUser:/bin/sh\nContainerAdministrator:*:0:0::/home/admin:/bin/sh")
	for spec, want := range map[string]user{
		"ContainerUser":          {uid: 65530, gid: 65530, home: "/home/ContainerUser"},
		"ContainerAdministrator": {home: "/home/admin"},
		"":                       {home: "/home/admin"},
	} {
		got, err := resolveUser(passwd, nil, spec, nil)
		if d := cmp.Diff(want, got, cmp.AllowUnexported(user{})); err != nil || d != "" {
			t.Errorf("%q: %v %s", spec, err, d)
		}
	}
	// And one without any files has both of them all the same.
	for spec, want := range map[string]user{
		"ContainerUser":          {uid: 65530, gid: 65530, home: "/"},
		"ContainerAdministrator": {home: "/root"},
	} {
		got, err := resolveUser(nil, nil, spec, nil)
		if d := cmp.Diff(want, got, cmp.AllowUnexported(user{})); err != nil || d != "" {
			t.Errorf("%q without files: %v %s", spec, err, d)
		}
	}
}

func TestResolveUserRefuses(t *testing.T) {
	passwd, group := lines(debianPasswd), lines(debianGroup)
	for spec, want := range map[string]string{
		"nobody-here":           "user nobody-here: unable to find it",
		"containeruser":         "user containeruser: unable to find it", // names have case
		"app:none":              "group none: unable to find it",
		"far":                   "a container has the ids 0 to 65535",
		"0:70000":               "group 70000: a container has the ids 0 to 65535",
		"ContainerUser:nowhere": "group nowhere: unable to find it",
	} {
		if _, err := resolveUser(passwd, group, spec, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", spec, err, want)
		}
	}
}

// Every change of an account file shows at once, though it is kept in memory:
// also one of the same size at the same moment, with its time put back.
func TestAccountsSeeEveryChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwd")
	when := time.Unix(1e9, 0)
	write := func(text string, replace bool) {
		t.Helper()
		to := path
		if replace {
			to += ".new"
		}
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(to, when, when); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(to, path); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 300 {
		name := fmt.Sprintf("user%03d", i)
		write(name+":x:0:0::/:\n", i%2 == 0)
		if i%100 == 0 {
			time.Sleep(200 * time.Millisecond) // from here on it may be kept
		}
		for range 2 {
			if got := accounts(path, false); len(got) != 1 || got[0][0] != name {
				t.Fatalf("change %d: %v", i, got)
			}
		}
	}
	time.Sleep(200 * time.Millisecond)
	first := accounts(path, false)
	if again := accounts(path, false); &first[0] != &again[0] {
		t.Error("a file that has not changed is read again")
	}
	if fresh := accounts(path, true); &first[0] != &fresh[0] {
		t.Error("a file that cannot have changed is read again")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := accounts(path, false); got != nil {
		t.Errorf("a file that is gone has %v", got)
	}
	if got := accounts(path, true); got != nil { // the root has been laid anew meanwhile
		t.Errorf("a file that is gone has %v", got)
	}
}
