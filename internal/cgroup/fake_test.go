package cgroup

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"silo/internal/errs"
)

// tree writes files, named by path, below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const (
	mountsV2     = "30 22 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
	mountsHybrid = `30 22 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:1 - cgroup cgroup rw,cpu,cpuacct
33 30 0:30 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
34 30 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 30 0:33 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer
37 30 0:34 / /sys/fs/cgroup/net_cls rw,relatime - cgroup cgroup rw,net_cls
39 30 0:36 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
`
)

func host(t *testing.T, mounts string) string {
	files := map[string]string{
		"proc/self/mountinfo":           "22 1 0:1 / / rw - ext4 /dev/vda rw\n" + mounts,
		"proc/meminfo":                  "MemTotal:        4028440 kB\nMemFree:         1 kB\n",
		"sys/devices/system/cpu/online": "0-1,3\n",
	}
	if strings.Contains(mounts, "/unified") {
		files["sys/fs/cgroup/unified/cgroup.controllers"] = "hugetlb pids\n"
	} else if strings.Contains(mounts, "cgroup2") {
		files["sys/fs/cgroup/cgroup.controllers"] = "cpuset cpu io memory hugetlb pids rdma misc\n"
		files["sys/fs/cgroup/cgroup.subtree_control"] = "memory pids\n"
	}
	return tree(t, files)
}

func TestDetect(t *testing.T) {
	root := host(t, mountsHybrid)
	l, err := detect(root)
	if err != nil {
		t.Fatal(err)
	}
	at := func(p string) string { return filepath.Join(root, "sys/fs/cgroup", p) }
	want := Layout{
		Mode: Hybrid, Unified: at("unified"), Named: []string{at("systemd")}, CPUs: []int{0, 1, 3}, Mems: []int{0}, Memory: 4028440 << 10,
		Controllers: map[string]Hierarchy{
			"cpu": {Dir: at("cpu,cpuacct")}, "cpuacct": {Dir: at("cpu,cpuacct")}, "cpuset": {Dir: at("cpuset")}, "memory": {Dir: at("memory")},
			"freezer": {Dir: at("freezer")}, "hugetlb": {Dir: at("unified"), V2: true}, "pids": {Dir: at("unified"), V2: true},
		},
	}
	if diff := cmp.Diff(want, l); diff != "" {
		t.Error(diff)
	}
	// The v1 freezer is not joined where v2 can freeze; a shared hierarchy once.
	if diff := cmp.Diff([]Hierarchy{{at("unified"), true}, {Dir: at("cpu,cpuacct")}, {Dir: at("cpuset")}, {Dir: at("memory")}, {Dir: at("systemd")}}, l.dirs()); diff != "" {
		t.Error(diff)
	}

	if l, err = detect(host(t, mountsV2)); err != nil || l.Mode != V2 || !l.Controllers["io"].V2 || len(l.dirs()) != 1 {
		t.Errorf("v2: %+v, %v", l, err)
	}
	only, _, _ := strings.Cut(mountsHybrid, "40 30")
	if l, err = detect(host(t, only)); err != nil || l.Mode != V1 || l.Unified != "" || len(l.dirs()) != 5 {
		t.Errorf("v1: %+v, %v", l, err)
	}
	if _, err = detect(host(t, "")); !errs.Is(err, errs.NotSupported) {
		t.Errorf("none: %v", err)
	}
}

// fakeV2 is a group on a v2 host whose files are plain ones.
func fakeV2(t *testing.T, files map[string]string) (*Group, string) {
	t.Helper()
	root := host(t, mountsV2)
	dir := filepath.Join(root, "sys/fs/cgroup/silo/abc")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l, err := detect(root)
	if err != nil {
		t.Fatal(err)
	}
	return New(l, "/silo", "abc"), dir
}

func limit(n int64) *int64 { return &n }

func TestSetV2(t *testing.T) {
	empty := []string{"cpu.max", "cpu.weight", "cpuset.cpus", "cpuset.mems", "memory.max", "memory.swap.max", "memory.low", "pids.max", "io.weight", "io.bfq.weight"}
	for name, tc := range map[string]struct {
		r       Resources
		without string // a file the kernel lacks
		want    map[string]string
		warn    string
	}{
		"nothing": {want: map[string]string{}},
		"all": {
			r: Resources{
				Memory: 64 << 20, MemorySwap: 96 << 20, MemoryReservation: 32 << 20, NanoCPUs: 1500000000, CPUShares: 512,
				CpusetCpus: "0,3", CpusetMems: "0", PidsLimit: limit(100), BlkioWeight: 500,
			},
			want: map[string]string{
				"memory.max": "67108864", "memory.swap.max": "33554432", "memory.low": "33554432", "cpu.max": "150000 100000",
				"cpu.weight": "59", "cpuset.cpus": "0,3", "cpuset.mems": "0", "pids.max": "100", "io.bfq.weight": "500",
			},
		},
		"memory alone":    {r: Resources{Memory: 64 << 20}, want: map[string]string{"memory.max": "67108864", "memory.swap.max": "67108864"}},
		"no swap":         {r: Resources{Memory: 64 << 20, MemorySwap: 64 << 20}, want: map[string]string{"memory.max": "67108864", "memory.swap.max": "0"}},
		"endless swap":    {r: Resources{Memory: 64 << 20, MemorySwap: -1}, want: map[string]string{"memory.max": "67108864", "memory.swap.max": "max"}},
		"no memory limit": {r: Resources{Memory: -1, MemoryReservation: -1}, want: map[string]string{"memory.max": "max", "memory.swap.max": "max", "memory.low": "0"}},
		"no pids limit":   {r: Resources{PidsLimit: limit(-1)}, want: map[string]string{"pids.max": "max"}},
		"pids zero":       {r: Resources{PidsLimit: limit(0)}, want: map[string]string{"pids.max": "max"}},
		"quota":           {r: Resources{CPUQuota: 20000}, want: map[string]string{"cpu.max": "20000"}},
		"no quota":        {r: Resources{CPUQuota: -1}, want: map[string]string{"cpu.max": "max"}},
		"period":          {r: Resources{CPUPeriod: 50000}, want: map[string]string{"cpu.max": "max 50000"}},
		"without bfq":     {r: Resources{BlkioWeight: 10}, without: "io.bfq.weight", want: map[string]string{"io.weight": "1"}},
		"swap not accounted": {
			r: Resources{Memory: 64 << 20, MemorySwap: 96 << 20}, without: "memory.swap.max",
			want: map[string]string{"memory.max": "67108864"}, warn: "swap is not",
		},
		"swap by default not accounted": {r: Resources{Memory: 64 << 20}, without: "memory.swap.max", want: map[string]string{"memory.max": "67108864"}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{}
			for _, f := range empty {
				if f != tc.without {
					files[f] = ""
				}
			}
			g, dir := fakeV2(t, files)
			warnings, err := g.Set(tc.r)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(warnings, "|"); (tc.warn == "") != (got == "") || !strings.Contains(got, tc.warn) {
				t.Errorf("warnings %q, want %q", got, tc.warn)
			}
			got := map[string]string{}
			for f := range files {
				if text, _ := os.ReadFile(filepath.Join(dir, f)); len(text) > 0 {
					got[f] = string(text)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSetNotSupported(t *testing.T) {
	g, _ := fakeV2(t, nil)
	_, err := g.Set(Resources{PidsLimit: limit(5)})
	if !errs.Is(err, errs.NotSupported) || !strings.Contains(err.Error(), "pids.max") || !strings.Contains(err.Error(), `"5"`) {
		t.Errorf("a file that is not there: %v", err)
	}
	delete(g.layout.Controllers, "memory")
	if _, err = g.Set(Resources{Memory: 64 << 20}); !errs.Is(err, errs.NotSupported) || !strings.Contains(err.Error(), "memory") {
		t.Errorf("a controller that is not there: %v", err)
	}
	if warnings, err := g.Set(Resources{BlkioWeight: 100}); err != nil || len(warnings) != 1 {
		t.Errorf("block I/O weight: %v, %v", warnings, err)
	}
}

func TestValidate(t *testing.T) {
	l, err := detect(host(t, mountsV2)) // processors 0, 1 and 3
	if err != nil {
		t.Fatal(err)
	}
	for want, r := range map[string]Resources{
		"6 MiB":                               {Memory: 4 << 20},
		"without a memory limit":              {MemorySwap: 64 << 20},
		"less than memory":                    {Memory: 64 << 20, MemorySwap: 32 << 20},
		"positive numbers":                    {Memory: -2},
		"is more than memory":                 {Memory: 64 << 20, MemoryReservation: 65 << 20},
		"reservation 1 bytes":                 {MemoryReservation: 1},
		"CPUs 3.5: the host has 3":            {NanoCPUs: 3500000000},
		"CPUs 0.000000001":                    {NanoCPUs: 1},
		"use one":                             {NanoCPUs: 1000000000, CPUQuota: 5000},
		"period 10 ":                          {CPUPeriod: 10},
		"quota 5 ":                            {CPUQuota: 5},
		"shares 1:":                           {CPUShares: 1},
		"no number 2 of its processors 0-1,3": {CpusetCpus: "0-3"},
		"no number 9":                         {CpusetCpus: "9"},
		`"0-"`:                                {CpusetCpus: "0-"},
		`"a"`:                                 {CpusetMems: "a"},
		`"3-1"`:                               {CpusetCpus: "3-1"},
		`"0-4000000000"`:                      {CpusetCpus: "0-4000000000"},
		"no number 1 of its memory nodes 0":   {CpusetMems: "0-1"},
		"pids limit -7":                       {PidsLimit: limit(-7)},
		"block I/O weight 5: use 10 to 1000":  {BlkioWeight: 5},
	} {
		if err := r.Validate(l); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v, want Invalid with %q", r, err, want)
		}
	}
	good := Resources{Memory: 6 << 20, MemorySwap: -1, NanoCPUs: 3000000000, CpusetCpus: "0-1,3", CpusetMems: "0", PidsLimit: limit(-1), CPUShares: 2, BlkioWeight: 10}
	if err := good.Validate(l); err != nil {
		t.Error(err)
	}
}

func TestNames(t *testing.T) {
	for _, parent := range []string{"", "/", "..", "silo/..", "../silo", "a//b", "silo/cgroup.x", "memory.y", "a b", "a\x00b", "ä", "tasks", strings.Repeat("a/", 600) + "a"} {
		if err := CheckParent(parent); !errs.Is(err, errs.Invalid) {
			t.Errorf("parent %q: %v", parent, err)
		}
		g := New(Layout{Unified: "/nowhere"}, parent, "x")
		_, procsErr := g.Procs()
		_, statsErr := g.Stats()
		_, setErr := g.Set(Resources{})
		for _, err := range []error{g.Create(), g.Destroy(), g.Kill(), g.Freeze(), g.Thaw(), procsErr, statsErr, setErr, g.SetDevices(nil)} {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("parent %q: %v", parent, err)
			}
		}
	}
	for _, parent := range []string{"silo", "/silo", "/user.slice/user-1000.slice", "silo-br0", "a/b/c/"} {
		if err := CheckParent(parent); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"", "..", "a/b", "cpu.x", "../etc"} {
		if err := New(Layout{}, "silo", name).Create(); !errs.Is(err, errs.Invalid) {
			t.Errorf("name %q: %v", name, err)
		}
	}
}

func TestStatsV2(t *testing.T) {
	g, _ := fakeV2(t, map[string]string{
		"cpu.stat":       "usage_usec 2500\nuser_usec 2000\nsystem_usec 500\nnr_periods 7\nnr_throttled 2\nthrottled_usec 90\nnr_bursts 0\nburst_usec 0\n",
		"memory.current": "1048576\n", "memory.max": "max\n", "memory.peak": "2097152\n",
		"memory.stat":   "anon 4096\nfile 8192\ninactive_file 100\nworkingset_refault_anon 0\n",
		"memory.events": "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n",
		"pids.current":  "3\n", "pids.max": "max\n",
		"io.stat":       "8:0 rbytes=4096 wbytes=512 rios=2 wios=1 dbytes=0 dios=0\n259:1 \n7:1 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0 cost.usage=abc\n",
		"cgroup.events": "populated 0\nfrozen 1\n", "cgroup.freeze": "1\n", "cgroup.procs": "",
	})
	got, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	want := Stats{
		CPU:    CPUStats{Total: 2500000, User: 2000000, System: 500000, Periods: 7, ThrottledPeriods: 2, ThrottledTime: 90000},
		Memory: MemoryStats{Usage: 1 << 20, MaxUsage: 2 << 20, Limit: 4028440 << 10, V2: true, Stats: map[string]uint64{"anon": 4096, "file": 8192, "inactive_file": 100, "workingset_refault_anon": 0}},
		Pids:   PidsStats{Current: 3},
		Blkio: BlkioStats{
			ServiceBytes: []BlkioEntry{{8, 0, "read", 4096}, {8, 0, "write", 512}, {7, 1, "read", 1}, {7, 1, "write", 2}},
			Serviced:     []BlkioEntry{{8, 0, "read", 2}, {8, 0, "write", 1}, {7, 1, "read", 3}, {7, 1, "write", 4}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n, err := g.OOMKills(); n != 1 || err != nil {
		t.Errorf("OOM kills %d, %v", n, err)
	}
	if empty, err := g.Empty(); !empty || err != nil {
		t.Errorf("empty: %v, %v", empty, err)
	}
	if frozen, err := g.Frozen(); !frozen || err != nil {
		t.Errorf("frozen: %v, %v", frozen, err)
	}
	if err := g.Freeze(); err != nil {
		t.Error(err)
	}
	gone := New(g.layout, "silo", "gone")
	if _, err := gone.Stats(); !errs.Is(err, errs.NotFound) {
		t.Errorf("stats of what is gone: %v", err)
	}
	if _, err := gone.OOMKills(); !errs.Is(err, errs.NotFound) {
		t.Errorf("OOM kills of what is gone: %v", err)
	}
	if err := errors.Join(gone.Kill(), gone.Destroy()); err != nil {
		t.Error(err)
	}
}

func TestParseBlkioV1(t *testing.T) {
	got, err := parseBlkio("8:16 Read 4096\n8:16 Write 0\n8:16 Discard 0\n8:16 Total 4096\nTotal 4096\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]BlkioEntry{{8, 16, "Read", 4096}, {8, 16, "Write", 0}, {8, 16, "Discard", 0}, {8, 16, "Total", 4096}}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := parseBlkio("x Read 1\n"); err == nil {
		t.Error("a bad device number passed")
	}
}

// Create gives children the controllers that the parent has and they lack.
func TestEnableV2(t *testing.T) {
	root := host(t, mountsV2)
	l, err := detect(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := New(l, "silo", "abc").Create(); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(root, "sys/fs/cgroup/cgroup.subtree_control"))
	if err != nil || string(got) != "+io" { // the last of +cpuset +cpu +io; a plain file keeps no list
		t.Errorf("%q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(root, "sys/fs/cgroup/silo/abc")); err != nil {
		t.Error(err)
	}
}

func TestListFormat(t *testing.T) {
	for _, text := range []string{"0", "0-3", "0-1,3", "0,2,4-7", "8191"} {
		n, err := parseList(text)
		if err != nil || formatList(n) != text {
			t.Errorf("%q became %v and %q, %v", text, n, formatList(n), err)
		}
	}
	for _, text := range []string{"", ",", "1,", "-1", "8192", "1-2-3", "0x1", " 1"} {
		if _, err := parseList(text); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q passed", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("0-3,7")
	f.Add("8:0 rbytes=1 wios=2\n")
	f.Add("8:0 Read 1\nTotal 1")
	f.Fuzz(func(t *testing.T, text string) {
		if n, err := parseList(text); err == nil {
			if again, err := parseList(formatList(n)); err != nil || !cmp.Equal(n, again) {
				t.Errorf("%q: %v, then %v, %v", text, n, again, err)
			}
		}
		_, _ = parseBlkio(text)
		_ = parseIOStat(text, &BlkioStats{})
	})
}
