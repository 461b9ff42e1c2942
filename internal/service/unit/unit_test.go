package unit

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// tree makes a root out of paths and texts; "-> x" is a link to x.
func rootOf(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		f := &fstest.MapFile{Data: []byte(text), Mode: 0o644}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			f = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
		}
		m[strings.TrimPrefix(name, "/")] = f
	}
	return m
}

func setOf(files map[string]string) *Set { return NewSet(rootOf(files), testHost()) }

func testHost() Host {
	return Host{
		Hostname: "box.example.org", MachineID: "00112233445566778899aabbccddeeff", BootID: "b00", KernelRelease: "6.12.3-test",
		Architecture: "x86-64", OSRelease: map[string]string{"ID": "debian", "VERSION_ID": "12"}, User: "root", Group: "root",
		Home: "/root", Shell: "/bin/sh", Environment: []string{"LANG=C"}, Capabilities: []string{"CAP_CHOWN"}, CPUs: 2, Memory: 1 << 30,
		KernelCmdline: "quiet root=/dev/x", Controllers: []string{"cpu", "memory"},
	}
}

// one loads a unit that is made of one file.
func one(t *testing.T, name, text string) *Unit {
	t.Helper()
	return setOf(map[string]string{"/usr/lib/systemd/system/" + name: text}).Load(name)
}

// fixtures is a root made of testdata, with links as packages make them.
func fixtures(t *testing.T) *Set {
	t.Helper()
	files := map[string]string{
		"/lib": "-> usr/lib",
		"/etc/systemd/system/multi-user.target.wants/web.service":              "-> /lib/systemd/system/web.service",
		"/etc/systemd/system/multi-user.target.wants/store.service":            "-> /lib/systemd/system/store.service",
		"/etc/systemd/system/multi-user.target.wants/cluster.service":          "-> /lib/systemd/system/cluster.service",
		"/etc/systemd/system/sockets.target.wants/echo.socket":                 "-> /lib/systemd/system/echo.socket",
		"/etc/systemd/system/timers.target.wants/tidy.timer":                   "-> /lib/systemd/system/tidy.timer",
		"/etc/systemd/system/kv.service":                                       "-> /lib/systemd/system/store.service",
		"/run/systemd/generator/cluster.service.wants/cluster@15-main.service": "-> /lib/systemd/system/cluster@.service",
		"/usr/lib/systemd/system-generators/cluster-generator":                 "#!/bin/sh\n",
		"/etc/cluster/15/main/cluster.conf":                                    "x",
	}
	entries, err := os.ReadDir("testdata/units")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile("testdata/units/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		files["/usr/lib/systemd/system/"+e.Name()] = string(text)
	}
	m := rootOf(files)
	m["usr/lib/systemd/system-generators/cluster-generator"].Mode = 0o755
	return NewSet(m, testHost())
}

// none is a system in which nothing is up.
func none(string) bool { return false }

// up is one in which the named units are.
func up(names ...string) Active {
	return func(name string) bool {
		for _, n := range names {
			if n == name {
				return true
			}
		}
		return false
	}
}
