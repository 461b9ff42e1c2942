package engine

import (
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"

	"silo/internal/cgroup"
	"silo/internal/errs"
)

func TestIDAllocator(t *testing.T) {
	pool, claims, data := IDPool{First: 1 << 20, Count: 3 * rangeSize}, hostClaims(filepath.Join(t.TempDir(), "ids")), t.TempDir()
	a := newIDAllocator(pool, claims, "seed")
	got := map[uint32]bool{}
	for i := range 3 {
		first, err := a.take(filepath.Join(data, strconv.Itoa(i)))
		if err != nil || got[first] || first < 1<<20 || first%rangeSize != 0 {
			t.Fatalf("take: %d, %v, had %v", first, err, got)
		}
		got[first] = true
	}
	one := filepath.Join(data, "one")
	if _, err := a.take(one); !errs.Is(err, errs.Unavailable) {
		t.Errorf("an empty pool gives %v", err)
	}
	if exists(one) {
		t.Error("the folder is left of a range that was not given")
	}
	if err := a.release(1 << 20); err != nil {
		t.Error(err)
	}
	for _, want := range []bool{true, false} {
		if ok, err := a.claim(1<<20, one); ok != want || err != nil {
			t.Errorf("claim: %v, %v, want %v: a range is claimed once", ok, err, want)
		}
	}
}

// TestAllocatorsShareAPool takes from one pool as two daemons, one of which
// forgets its claims as a killed one does.
func TestAllocatorsShareAPool(t *testing.T) {
	pool, claims, data := IDPool{First: 1 << 20, Count: 64 * rangeSize}, hostClaims(filepath.Join(t.TempDir(), "ids")), t.TempDir()
	allocators := []*idAllocator{newIDAllocator(pool, claims, "same"), newIDAllocator(pool, claims, "same")}
	var mu sync.Mutex
	owner := map[uint32]string{}
	var work sync.WaitGroup
	for i, a := range allocators {
		work.Go(func() {
			for n := range 32 {
				dir := filepath.Join(data, strconv.Itoa(i), strconv.Itoa(n))
				first, err := a.take(dir)
				mu.Lock()
				if err != nil || owner[first] != "" {
					t.Errorf("%s: %d, %v: that is %s's", dir, first, err, owner[first])
				}
				owner[first] = dir
				mu.Unlock()
			}
		})
	}
	work.Wait()
	other := newIDAllocator(pool, claims, "other")
	late := filepath.Join(data, "late")
	if _, err := other.take(late); !errs.Is(err, errs.Unavailable) {
		t.Fatalf("a pool that others have emptied gives %v", err)
	}
	for first, dir := range owner {
		if ok, err := other.claim(first, late); ok || err != nil {
			t.Fatalf("claim of another's range: %v, %v", ok, err)
		}
		// Its container is gone, and so is the daemon that should say so.
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if got, err := other.take(late); got != first || err != nil {
			t.Errorf("take: %d, %v, want %d, whose container is gone", got, err, first)
		}
		// The first one lets go of what is another's by now.
		if err := errors.Join(claims.drop(first, dir), claims.sweep()); err != nil {
			t.Error(err)
		}
		if to, err := os.Readlink(claims.path(first)); to != late {
			t.Errorf("the claim is %q's, %v", to, err)
		}
		break
	}
}

func TestParseIDPool(t *testing.T) {
	for in, ok := range map[string]bool{"1879048192:268369920": true, "65536:65536": true, "": false, "5": false, "0:65536": false, "65536:1": false, "4294901760:131072": false, "x:y": false} {
		if _, err := ParseIDPool(in); (err == nil) != ok {
			t.Errorf("ParseIDPool(%q): %v", in, err)
		}
	}
}

func TestCapabilities(t *testing.T) {
	for _, tt := range []struct {
		name      string
		add, drop []string
		has, not  string
		bad       bool
	}{
		{name: "default", has: "CAP_CHOWN", not: "CAP_SYS_ADMIN"},
		{name: "add", add: []string{"sys_admin"}, has: "CAP_SYS_ADMIN", not: "CAP_NET_ADMIN"},
		{name: "drop", drop: []string{"CAP_CHOWN"}, has: "CAP_KILL", not: "CAP_CHOWN"},
		{name: "drop all add one", drop: []string{"ALL"}, add: []string{"NET_RAW"}, has: "CAP_NET_RAW", not: "CAP_CHOWN"},
		{name: "add all drop one", drop: []string{"SYS_TIME"}, add: []string{"all"}, has: "CAP_SYS_ADMIN", not: "CAP_SYS_TIME"},
		{name: "unknown", add: []string{"FLY"}, bad: true},
	} {
		caps, err := capabilities(&container.HostConfig{CapAdd: tt.add, CapDrop: tt.drop})
		if (err != nil) != tt.bad {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		set := map[string]bool{}
		for _, c := range caps {
			set[c] = true
		}
		if !tt.bad && (!set[tt.has] || set[tt.not]) {
			t.Errorf("%s: %v", tt.name, caps)
		}
	}
}

func TestWantsPID(t *testing.T) {
	for _, tt := range []struct {
		mode, isolation string
		args            []string
		want, bad       bool
	}{
		{args: []string{"sh"}},
		{args: []string{"/sbin/init"}, want: true},
		{args: []string{"/usr/lib/systemd/systemd"}, want: true},
		{args: []string{"tini", "--", "x"}, want: true},
		{args: []string{"/sbin/init"}, isolation: "process"},
		{mode: "private", want: true},
		{isolation: "pid", want: true},
		{mode: "host"},
		{mode: "host", isolation: "pid", bad: true},
		{mode: "container:x", bad: true},
		{isolation: "hyperv", bad: true},
	} {
		got, err := wantsPID(&container.HostConfig{PidMode: container.PidMode(tt.mode), Isolation: container.Isolation(tt.isolation)}, tt.args)
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("%+v: %v, %v", tt, got, err)
		}
	}
}

func TestRoomForTheAgent(t *testing.T) {
	for in, want := range map[int64]int64{0: 0, -1: -1, 1: 13, 4194292: 4194304, 4194293: -1, math.MaxInt64: -1} {
		if got := withAgent(cgroup.Resources{PidsLimit: &in}); *got.PidsLimit != want {
			t.Errorf("pids limit %d: %d, want %d", in, *got.PidsLimit, want)
		}
	}
}

func TestInitEnv(t *testing.T) {
	for _, tt := range []struct {
		pid  bool
		env  []string
		args []string
		want string
	}{
		{true, []string{"A=b"}, []string{"/sbin/init"}, "A=b container=silo"},
		{true, nil, []string{"/lib/systemd/systemd", "--user"}, "container=silo"},
		{true, []string{"container=docker"}, []string{"/sbin/init"}, "container=docker"},
		{true, []string{"container"}, []string{"/sbin/init"}, "container"}, // it is not to have it
		{true, nil, []string{"tini", "--", "init"}, ""},
		{false, nil, []string{"/sbin/init"}, ""}, // not process 1
		{true, nil, nil, ""},
	} {
		r := &configRecord{PID: tt.pid, Config: &container.Config{Env: tt.env}}
		if got := strings.Join(initEnv(r, tt.args), " "); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

// A network that is not there is a wrong option: "not found", as an answer to
// create, is said of the image, and clients pull it then.
func TestNetworkMode(t *testing.T) {
	for in, want := range map[string]string{"": "nat", "default": "nat", "bridge": "nat", "nat": "nat", "none": "none", "host": "host", "container:x": "container:x"} {
		if got, err := networkMode(&container.HostConfig{NetworkMode: container.NetworkMode(in)}); err != nil || got != want {
			t.Errorf("network %q is %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"nope", "container:"} {
		if _, err := networkMode(&container.HostConfig{NetworkMode: container.NetworkMode(in)}); !errs.Is(err, errs.Invalid) {
			t.Errorf("network %q: %v", in, err)
		}
	}
}

func TestShownCommand(t *testing.T) {
	if got, want := shownCommand([]string{"sh", "-c", "echo a; echo b"}), "sh -c 'echo a; echo b'"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestShownHostConfig(t *testing.T) {
	none := int64(-1)
	r := &configRecord{HostConfig: &container.HostConfig{Resources: container.Resources{Memory: 1 << 30, MemorySwappiness: &none}}}
	got := shownHostConfig(r)
	if got.MemorySwap != 2<<30 || got.MemorySwappiness != nil || got.CgroupnsMode != "private" {
		t.Errorf("memory and swap %d, swappiness %v, cgroup namespace %q", got.MemorySwap, got.MemorySwappiness, got.CgroupnsMode)
	}
	if diff := cmp.Diff([][]string{defaultMasked, defaultReadOnly}, [][]string{got.MaskedPaths, got.ReadonlyPaths}); diff != "" {
		t.Error(diff)
	}
	r.HostConfig.SecurityOpt = []string{"systempaths=unconfined"}
	if got := shownHostConfig(r); got.MaskedPaths == nil || len(got.MaskedPaths) > 0 || len(got.ReadonlyPaths) > 0 {
		t.Errorf("unconfined: %v, %v", got.MaskedPaths, got.ReadonlyPaths)
	}
	if r.HostConfig.MemorySwap != 0 {
		t.Error("the record was changed")
	}
}

func TestShownState(t *testing.T) {
	for state, want := range map[container.ContainerState][3]bool{ // running, paused, restarting
		container.StateCreated: {}, container.StateRunning: {true, false, false}, container.StatePaused: {true, true, false},
		container.StateRestarting: {true, false, true}, container.StateExited: {},
	} {
		s := (&Container{}).shownState(stateRecord{State: state})
		if got := [3]bool{s.Running, s.Paused, s.Restarting}; got != want || s.Status != state {
			t.Errorf("%s is shown as %v (%s), want %v", state, got, s.Status, want)
		}
	}
}

func TestNetworkFilter(t *testing.T) {
	for _, mode := range []string{"nat", "none"} {
		r := &configRecord{Config: &container.Config{}, HostConfig: &container.HostConfig{NetworkMode: container.NetworkMode(mode)}}
		for filter, want := range map[string]bool{mode: true, "bridge": mode == "nat", "host": false} {
			if got := anyMatch(map[string][]string{"network": {filter}}, "network", networkNames(string(r.HostConfig.NetworkMode))); got != want {
				t.Errorf("network=%s and a container on %s: %t", filter, mode, got)
			}
		}
	}
}

func TestMergeEnv(t *testing.T) {
	got := mergeEnv([]string{"PATH=/bin", "A=image", "B=image"}, []string{"A=user", "B", "C=user"})
	if diff := cmp.Diff([]string{"PATH=/bin", "A=user", "B", "C=user"}, got); diff != "" {
		t.Error(diff)
	}
	for _, tt := range []struct{ env, want []string }{
		{nil, []string{defaultPath}},
		{[]string{"PATH", "A=1"}, []string{"A=1"}},
		{got, []string{"PATH=/bin", "A=user", "C=user"}},
	} {
		if diff := cmp.Diff(tt.want, effectiveEnv(tt.env)); diff != "" {
			t.Errorf("%q: %s", tt.env, diff)
		}
	}
}

func TestDetachKeys(t *testing.T) {
	for in, want := range map[string]string{"": "\x10\x11", "ctrl-a": "\x01", "a,ctrl-b": "a\x02", "ctrl-@": "\x00", "ctrl-_": "\x1f"} {
		if got, err := detachKeys(in, true); err != nil || string(got) != want {
			t.Errorf("detachKeys(%q) = %q, %v", in, got, err)
		}
		if got, err := detachKeys(in, false); err != nil || len(got) > 0 {
			t.Errorf("detachKeys(%q) without a terminal = %q, %v", in, got, err)
		}
	}
	for _, in := range []string{"ctrl-", "ab", "ctrl-ab", "ctrl-1", ","} {
		if _, err := detachKeys(in, false); !errs.Is(err, errs.Invalid) {
			t.Errorf("detachKeys(%q): %v", in, err)
		}
	}
}

func TestParseSignal(t *testing.T) {
	for in, want := range map[string]int{"9": 9, "KILL": 9, "SIGTERM": 15, "sigint": 2, "RTMIN+3": 37, "SIGRTMAX-1": 63} {
		if got, err := parseSignal(in); err != nil || got != want {
			t.Errorf("parseSignal(%q) = %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "0", "65", "NOPE", "-1", "RTMIN-1", "RTMIN+99"} {
		if _, err := parseSignal(in); !errs.Is(err, errs.Invalid) {
			t.Errorf("parseSignal(%q): %v", in, err)
		}
	}
}

func TestParseBindRefuses(t *testing.T) {
	for _, in := range []string{"", "a", ":/b", "/a:", "/a:/b:ro:x", "/a:/b:fly", "../a:/b", "a/b:/c"} {
		if _, err := parseBind(in); !errs.Is(err, errs.Invalid) {
			t.Errorf("parseBind(%q): %v", in, err)
		}
	}
	source := filepath.Join(t.TempDir(), "made")
	if _, err := parseBind(source + ":/b:fly"); !errs.Is(err, errs.Invalid) || exists(source) {
		t.Errorf("a wrong option: %v; the folder is made: %t", err, exists(source))
	}
	if m, err := parseBind(source + ":/b:ro,cached,z"); err != nil || !m.ReadOnly || !exists(source) {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestBlkio(t *testing.T) {
	if data, err := json.Marshal(blkio(nil)); err != nil || string(data) != "[]" {
		t.Errorf("no use of disks is %s, %v", data, err)
	}
}

func TestTmpfsOptions(t *testing.T) {
	m, err := tmpfsMount(mountRecord{Target: "/t", Options: "size=1m,exec,mode=700"})
	if err != nil || m.Options != "size=1m,mode=700" {
		t.Errorf("%+v, %v", m, err)
	}
	for size, want := range map[string]bool{"0": true, "64m": true, "50%": true, "8G": true, "9223372036854775807": true, "999999999999999999999": false, "9223372036854775807k": false, "-1": false, "": false, "1kk": false, "x": false} {
		if got := sizeFits(size); got != want {
			t.Errorf("tmpfs size %q: %t", size, got)
		}
	}
	if _, err := tmpfsMount(mountRecord{Target: "/t", Options: "source=/etc"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("an unknown option gives %v", err)
	}
}

func TestParsePS(t *testing.T) {
	out := []byte("UID PID CMD\nroot 1 init\n1000 22 sleep 10 20\n")
	got, err := parsePS(out, []int{22})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"1000", "22", "sleep 10 20"}}, got.Processes); diff != "" {
		t.Error(diff)
	}
	if _, err := parsePS([]byte("UID CMD\n"), nil); !errs.Is(err, errs.Invalid) {
		t.Errorf("without PID: %v", err)
	}
}
