package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"silo/internal/listing"
)

// jsonOf shows a value as its JSON, the form that the daemon gets.
func jsonOf(v any) string { return toJSON(v) }

func TestPublish(t *testing.T) {
	for in, want := range map[string]string{
		"80":                `{"80/tcp":[{"HostIp":"","HostPort":""}]}`,
		"80/udp":            `{"80/udp":[{"HostIp":"","HostPort":""}]}`,
		"80/UDP":            `{"80/udp":[{"HostIp":"","HostPort":""}]}`,
		"8080:80":           `{"80/tcp":[{"HostIp":"","HostPort":"8080"}]}`,
		"0:80":              `{"80/tcp":[{"HostIp":"","HostPort":""}]}`,
		"127.0.0.1:8080:80": `{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"8080"}]}`,
		"127.0.0.1::80":     `{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":""}]}`,
		"[::1]:8080:80/tcp": `{"80/tcp":[{"HostIp":"::1","HostPort":"8080"}]}`,
		"[::1]::80":         `{"80/tcp":[{"HostIp":"::1","HostPort":""}]}`,
		"::1:8080:80":       `{"80/tcp":[{"HostIp":"::1","HostPort":"8080"}]}`,
		"8000-8001:80-81":   `{"80/tcp":[{"HostIp":"","HostPort":"8000"}],"81/tcp":[{"HostIp":"","HostPort":"8001"}]}`,
		"8000-8009:80":      `{"80/tcp":[{"HostIp":"","HostPort":"8000-8009"}]}`,
		"80-81":             `{"80/tcp":[{"HostIp":"","HostPort":""}],"81/tcp":[{"HostIp":"","HostPort":""}]}`,
		"80:80 81:80":       `{"80/tcp":[{"HostIp":"","HostPort":"80"},{"HostIp":"","HostPort":"81"}]}`,
		"":                  `-p "": "" is not a port: use 1 to 65535`,
		"0":                 `-p "0": "0" is not a port: use 1 to 65535`,
		"65536":             `-p "65536": "65536" is not a port: use 1 to 65535`,
		"8080:":             `-p "8080:": "" is not a port: use 1 to 65535`,
		":80":               `-p ":80": no host port before the colon`,
		"80/icmp":           `-p "80/icmp": "icmp" is not a protocol: use tcp or udp`,
		"localhost:80:80":   `-p "localhost:80:80": "localhost" is not an IP address`,
		"81-80":             `-p "81-80": the range 81-80 ends before it begins`,
		"1-3:80-81":         `-p "1-3:80-81": 1-3 has 3 ports and 80-81 has 2`,
		"[::1:80":           `-p "[::1:80": "[::1:80": use [ADDRESS]:HOST-PORT:PORT`,
		"[::1]:80":          `-p "[::1]:80": no port in the container: use [::1]:80:PORT`,
		"http":              `-p "http": "http" is not a port: use 1 to 65535`,
	} {
		got, err := publish(strings.Split(in, " "))
		check(t, in, want, got, err)
	}
}

// check compares the JSON of a value, or the text of an error.
func check(t *testing.T, in, want string, got any, err error) {
	t.Helper()
	text := jsonOf(got)
	if err != nil {
		text = err.Error()
		if strings.Contains(text, "\n") {
			t.Errorf("%s: the error has more than one line: %q", in, text)
		}
	}
	if d := cmp.Diff(want, text); d != "" {
		t.Errorf("%s (-want +got):\n%s", in, d)
	}
}

func TestBind(t *testing.T) {
	wd, _ := os.Getwd()
	for in, want := range map[string]string{
		"/a":            `"/a anonymous"`,
		"/a:/b":         `"/a:/b"`,
		"/a:/b:ro":      `"/a:/b:ro"`,
		"/a:/b:ro,suid": `"/a:/b:ro,suid"`,
		".:/b":          `"` + wd + `:/b"`,
		"./x:/b:ro":     `"` + wd + `/x:/b:ro"`,
		"../x:/b":       `"` + filepath.Dir(wd) + `/x:/b"`,
		"data:/b":       `"data:/b"`,
		"":              `-v "": empty section: use [SOURCE:]TARGET[:OPTIONS]`,
		":/b":           `-v ":/b": empty section: use [SOURCE:]TARGET[:OPTIONS]`,
		"/a:":           `-v "/a:": empty section: use [SOURCE:]TARGET[:OPTIONS]`,
		"a":             `-v "a": "a" is not an absolute path in the container`,
		"/a:b":          `-v "/a:b": "b" is not an absolute path in the container`,
		"/a:/b:ro:z":    `-v "/a:/b:ro:z": too many colons: use [SOURCE:]TARGET[:OPTIONS]`,
	} {
		got, anonymous, err := bind(in)
		if anonymous {
			got += " anonymous"
		}
		check(t, in, want, got, err)
	}
}

func TestMountFlag(t *testing.T) {
	wd, _ := os.Getwd()
	for in, want := range map[string]string{
		"type=bind,source=/a,target=/b":                       `{"Type":"bind","Source":"/a","Target":"/b"}`,
		"type=bind,src=.,dst=/b,ro":                           `{"Type":"bind","Source":"` + wd + `","Target":"/b","ReadOnly":true}`,
		"type=bind,src=/a,destination=/b,readonly=false":      `{"Type":"bind","Source":"/a","Target":"/b"}`,
		"type=bind,src=/a,dst=/b,bind-propagation=rslave":     `{"Type":"bind","Source":"/a","Target":"/b","BindOptions":{"Propagation":"rslave"}}`,
		"type=bind,src=/a,dst=/b,bind-recursive=disabled":     `{"Type":"bind","Source":"/a","Target":"/b","BindOptions":{"NonRecursive":true}}`,
		"type=bind,src=/a,dst=/b,bind-create-src":             `{"Type":"bind","Source":"/a","Target":"/b","BindOptions":{"CreateMountpoint":true}}`,
		"source=data,target=/b,volume-nocopy":                 `{"Type":"volume","Source":"data","Target":"/b","VolumeOptions":{"NoCopy":true}}`,
		"target=/b,volume-label=a=b,volume-label=c":           `{"Type":"volume","Target":"/b","VolumeOptions":{"Labels":{"a":"b","c":""}}}`,
		"type=tmpfs,target=/t,tmpfs-size=16m,tmpfs-mode=1770": `{"Type":"tmpfs","Target":"/t","TmpfsOptions":{"SizeBytes":16777216,"Mode":1016}}`,
		`type=bind,"src=/a,b",dst=/b`:                         `{"Type":"bind","Source":"/a,b","Target":"/b"}`,
		"":                                                    `--mount "": not a list of key=value: EOF`,
		"type=npipe,src=/a,dst=/b":                            `--mount "type=npipe,src=/a,dst=/b": type "npipe": use bind, volume or tmpfs`,
		"type=bind,src=/a":                                    `--mount "type=bind,src=/a": no target`,
		"type=bind,dst=/b":                                    `--mount "type=bind,dst=/b": no source for a bind mount`,
		"type=bind,src=a,dst=/b":                              `--mount "type=bind,src=a,dst=/b": source "a" is not an absolute path`,
		"type=bind,src=/a,dst=b":                              `--mount "type=bind,src=/a,dst=b": target "b" is not an absolute path`,
		"type=bind,src=/a,dst=/b,tmpfs-size=1m":               `--mount "type=bind,src=/a,dst=/b,tmpfs-size=1m": tmpfs options do not go with type bind`,
		"type=tmpfs,src=/a,dst=/b":                            `--mount "type=tmpfs,src=/a,dst=/b": a tmpfs has no source`,
		"type=tmpfs,dst=/b,tmpfs-size=x":                      `--mount "type=tmpfs,dst=/b,tmpfs-size=x": tmpfs-size "x" is not a size`,
		"type=tmpfs,dst=/b,tmpfs-mode=9":                      `--mount "type=tmpfs,dst=/b,tmpfs-mode=9": tmpfs-mode "9" is not an octal number`,
		"type=bind,src=/a,dst=/b,bind-recursive=readonly":     `--mount "type=bind,src=/a,dst=/b,bind-recursive=readonly": bind-recursive writable or readonly needs readonly`,
		"type=bind,src=/a,dst=/b,ro=maybe":                    `--mount "type=bind,src=/a,dst=/b,ro=maybe": ro "maybe": use true or false`,
		"type=bind,src=,dst=/b":                               `--mount "type=bind,src=,dst=/b": src has an empty value`,
		"type=bind, src=/a,dst=/b":                            `--mount "type=bind, src=/a,dst=/b": " src=/a": blanks around = or ,`,
		"type=bind,src=/a,dst=/b,frobnicate=1":                `--mount "type=bind,src=/a,dst=/b,frobnicate=1": there is no option "frobnicate"`,
		"bind":                                                `--mount "bind": "bind" is not of the form key=value`,
	} {
		got, err := mountFlag(in)
		check(t, in, want, got, err)
	}
}

func TestDevice(t *testing.T) {
	for in, want := range map[string]string{
		"/dev/fuse":             `{"PathOnHost":"/dev/fuse","PathInContainer":"/dev/fuse","CgroupPermissions":"rwm"}`,
		"/dev/a:/dev/b":         `{"PathOnHost":"/dev/a","PathInContainer":"/dev/b","CgroupPermissions":"rwm"}`,
		"/dev/a:r":              `{"PathOnHost":"/dev/a","PathInContainer":"/dev/a","CgroupPermissions":"r"}`,
		"/dev/a:/dev/b:mr":      `{"PathOnHost":"/dev/a","PathInContainer":"/dev/b","CgroupPermissions":"mr"}`,
		"":                      `--device "": "" is not an absolute path`,
		"fuse":                  `--device "fuse": "fuse" is not an absolute path`,
		"/dev/a:b":              `--device "/dev/a:b": "b" is not an absolute path`,
		"/dev/a:/dev/b:rr":      `--device "/dev/a:/dev/b:rr": "rr" are not permissions: use letters of rwm`,
		"/dev/a:/dev/b:":        `--device "/dev/a:/dev/b:": "" are not permissions: use letters of rwm`,
		"/dev/a:/dev/b:r:extra": `--device "/dev/a:/dev/b:r:extra": too many colons: use HOST[:CONTAINER][:rwm]`,
	} {
		got, err := device(in)
		check(t, in, want, got, err)
	}
}

func TestRestartPolicy(t *testing.T) {
	for in, want := range map[string]string{
		"":               `{"Name":"","MaximumRetryCount":0}`,
		"no":             `{"Name":"no","MaximumRetryCount":0}`,
		"always":         `{"Name":"always","MaximumRetryCount":0}`,
		"on-failure":     `{"Name":"on-failure","MaximumRetryCount":0}`,
		"on-failure:3":   `{"Name":"on-failure","MaximumRetryCount":3}`,
		"on-failure:x":   `--restart "on-failure:x": "x" is not a number of retries`,
		"on-failure:-1":  `--restart "on-failure:-1": the number of retries is negative`,
		"always:3":       `--restart "always:3": only on-failure takes a number of retries`,
		"sometimes":      `--restart "sometimes": use no, on-failure[:N], always or unless-stopped`,
		"unless-stopped": `{"Name":"unless-stopped","MaximumRetryCount":0}`,
	} {
		got, err := restartPolicy(in)
		check(t, in, want, got, err)
	}
}

func TestKeyValueLines(t *testing.T) {
	lookup := func(k string) (string, bool) { return "from-env", k == "HERE" }
	for in, want := range map[string]string{
		"A=1\nB=2":                  `["A=1","B=2"]`,
		"\xef\xbb\xbfA=1\r\n":       `["A=1"]`,
		"# note\n\n  \t\n  A= 1 \n": `["A= 1 "]`,
		"A=\nHERE\nNOT_HERE":        `["A=","HERE=from-env"]`,
		"A=b=c\nA=\"q\"":            `["A=b=c","A=\"q\""]`,
		"=x":                        `line 1: no name before =: "=x"`,
		"A=1\nB C=2":                `line 2: the name "B C" contains a blank`,
		"B =2":                      `line 1: the name "B " contains a blank`,
		"A=1\n\xff=2":               `line 2 is not UTF-8`,
		"A=1 # not a note":          `["A=1 # not a note"]`,
	} {
		got, err := keyValueLines([]byte(in), lookup)
		check(t, in, want, got, err)
	}
	long := "A=" + strings.Repeat("x", 200_000)
	if got, err := keyValueLines([]byte(long), nil); err != nil || got[0] != long {
		t.Errorf("a long line: %v", err)
	}
}

func TestSmallParsers(t *testing.T) {
	t.Setenv("SILO_TEST_HERE", "yes")
	for _, c := range []struct {
		name  string
		parse func(string) (string, error)
		in    string
		want  string
	}{
		{"env", envFlag, "A=1", `"A=1"`},
		{"env", envFlag, "SILO_TEST_HERE", `"SILO_TEST_HERE=yes"`},
		{"env", envFlag, "SILO_TEST_NOT_HERE", `"SILO_TEST_NOT_HERE"`},
		{"env", envFlag, "=1", `"=1" has no name`},
		{"label", labelFlag, "a", `"a"`},
		{"label", labelFlag, "=a", `"=a" has no name`},
		{"address", addressFlag, " 1.1.1.1 ", `"1.1.1.1"`},
		{"address", addressFlag, "1.1.1", `"1.1.1" is not an IP address`},
		{"search", searchFlag, "example.com", `"example.com"`},
		{"search", searchFlag, ".", `"."`},
		{"search", searchFlag, "a b", `"a b" is not a domain`},
		{"host", hostFlag, "db:10.0.0.1", `"db:10.0.0.1"`},
		{"host", hostFlag, "db=[::1]", `"db:::1"`},
		{"host", hostFlag, "db:::1", `"db:::1"`},
		{"host", hostFlag, "h:host-gateway", `"h:host-gateway"`},
		{"host", hostFlag, "db", `"db" is not of the form name:address`},
		{"host", hostFlag, "db:x", `"db:x": "x" is not an IP address`},
		{"stream", streamFlag, "STDIN", `"stdin"`},
		{"stream", streamFlag, "in", `"in" is not a stream: use stdin, stdout or stderr`},
		{"registry", plain(registryOf), "core", `"docker.io"`},
		{"registry", plain(registryOf), "user/core", `"docker.io"`},
		{"registry", plain(registryOf), "localhost/core", `"localhost"`},
		{"registry", plain(registryOf), "host:5000/core:1", `"host:5000"`},
		{"registry", plain(registryOf), "ghcr.io/a/b@sha256:00", `"ghcr.io"`},
		{"familiar", plain(listing.FamiliarName), "docker.io/library/core:1", `"core:1"`},
		{"familiar", plain(listing.FamiliarName), "docker.io/user/core", `"user/core"`},
		{"familiar", plain(listing.FamiliarName), "host:5000/core", `"host:5000/core"`},
		{"familiar", plain(listing.FamiliarName), "core:1@sha256:00", `"core:1"`},
		{"familiar", plain(listing.FamiliarName), "sha256:00", `"sha256:00"`},
		{"full", plain(fullName), "core", `"docker.io/library/core:latest"`},
		{"full", plain(fullName), "user/core:1", `"docker.io/user/core:1"`},
		{"full", plain(fullName), "host:5000/core@sha256:00", `"host:5000/core@sha256:00"`},
		{"platform", platformJSON, "linux/arm/v7", `"{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\"}"`},
		{"title", plain(title), "ab cD", `"Ab CD"`},
	} {
		got, err := c.parse(c.in)
		check(t, c.name+" "+c.in, c.want, got, err)
	}
}

func plain(f func(string) string) func(string) (string, error) {
	return func(s string) (string, error) { return f(s), nil }
}

func TestValues(t *testing.T) {
	var n int64
	for _, c := range []struct{ kind, in, want string }{
		{"bytes", "64m", "67108864"},
		{"bytes", "1.5g", "1610612736"},
		{"bytes", "5", "5"},
		{"bytes", "-1", `"-1" is not a size: use a number of bytes, or one with b, k, m or g`},
		{"swap", "-1", "-1"},
		{"swap", "1k", "1024"},
		{"cpus", "1.5", "1500000000"},
		{"cpus", "0.000000001", "1"},
		{"cpus", "0.0000000001", `"0.0000000001" is too precise or too large: nine decimals at most`},
		{"cpus", "many", `"many" is not a number of processors`},
	} {
		v := map[string]*value{"bytes": bytesValue(&n), "swap": swapValue(&n), "cpus": cpusValue(&n)}[c.kind]
		err := v.Set(c.in)
		check(t, c.kind+" "+c.in, c.want, n, err)
	}
	var m map[string][]string
	f := filterValue(&m)
	for _, s := range []string{"", "Status = exited", "status=created", "label=a=b"} {
		if err := f.Set(s); err != nil {
			t.Error(err)
		}
	}
	check(t, "filters", `{"label":["a=b"],"status":["exited","created"]}`, m, f.Set(""))
	check(t, "filters", `"status" is not of the form key=value`, m, f.Set("status"))
}

// TestRequest gives every flag of run and compares the whole create request.
func TestRequest(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	args := []string{
		"-i", "-t", "-P", "--rm", "--name", "n", "--hostname", "h", "--user", "1:2", "-w", "/w", "-e", "A=1", "--env-file", file("env", "B=2\nC=3\n"),
		"-l", "l=1", "--label-file", file("labels", "m=2\n"), "--entrypoint", "/e", "--network", "nat", "--dns", "1.1.1.1", "--dns-search", "a.b",
		"--add-host", "x:1.2.3.4", "--ip", "172.16.0.9", "--mac-address", "02:00:00:00:00:01", "-v", "/a:/b:ro", "-v", "/anon", "--mount", "type=tmpfs,dst=/m",
		"--tmpfs", "/t:size=1m", "--read-only", "-m", "64m", "--memory-swap", "-1", "--memory-reservation", "32m", "--cpus", "1.5", "-c", "512",
		"--cpuset-cpus", "0-1", "--cpuset-mems", "0", "--pids-limit", "99", "--ulimit", "nofile=10:20", "--ulimit", "nofile=30", "--sysctl", "net.ipv4.ip_forward=1",
		"--shm-size", "16m", "--cap-add", "NET_ADMIN", "--cap-drop", "ALL", "--privileged", "--security-opt", "seccomp=" + file("p.json", "{\n \"defaultAction\": \"X\" }"),
		"--security-opt", "no-new-privileges", "--device", "/dev/fuse:rw", "--init", "--services", "--wait-services", "--service-failure", "restart", "--stop-signal", "INT", "--stop-timeout", "7", "--log-opt", "max-size=1m",
		"--pid", "private", "--ipc", "private", "--uts", "host", "--isolation", "pid", "--storage-opt", "size=64m", "--health-cmd", "true", "--health-interval", "5s",
		"--health-timeout", "1s", "--health-retries", "2", "--health-start-period", "3s", "--health-start-interval", "1s", "--health-on-failure", "kill",
		"--group-add", "5", "--oom-score-adj", "100", "--cgroup-parent", "/x", "--annotation", "an=1", "-p", "80:80", "--expose", "90-91/udp", "-a", "stdout",
	}
	var o createFlags
	f := pflag.NewFlagSet("run", pflag.ContinueOnError)
	o.add(f)
	if err := f.Parse(args); err != nil {
		t.Fatal(err)
	}
	r, err := o.request(f, "core", []string{"sh", "-c", "true"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "create-all", string(text)+"\n")
	f.VisitAll(func(flag *pflag.Flag) {
		switch flag.Name {
		case "net", "help", "no-healthcheck", "restart", "pull", "platform", "quiet", "cidfile":
			return // another name, exclusive of others, or not of the request
		}
		if !flag.Changed {
			t.Errorf("--%s is not tested", flag.Name)
		}
	})
}

func TestRequestConflicts(t *testing.T) {
	for in, want := range map[string]string{
		"--no-healthcheck --health-cmd=x":     "--no-healthcheck does not go with --health-…",
		"--rm --restart=always":               "--rm does not go with --restart",
		"--health-interval=-1s":               "--health-… takes no negative value",
		"--pull=often":                        `--pull "often": use always, missing or never`,
		"--health-on-failure=explode":         `--health-on-failure "explode": use none, kill, restart or stop`,
		"--pid=mine":                          `--pid "mine": use private or host`,
		"--uts=mine":                          `--uts "mine": use host`,
		"--ipc=mine":                          `--ipc "mine": use private, shareable, host or container:NAME`,
		"--network=a --network=b":             "--network was given 2 times: a container joins one network when it is created",
		"--ip=::1":                            `--ip "::1" is not an IPv4 address`,
		"--mac-address=02:00":                 `--mac-address "02:00" is not a MAC address`,
		"--network=host --ip=1.2.3.4":         "--ip and --mac-address do not go with --network host",
		"--env-file=/nonexistent":             "--env-file: open /nonexistent: no such file or directory",
		"--security-opt=seccomp":              `--security-opt "seccomp" is not of the form name=value`,
		"--security-opt=seccomp=/nonexistent": "--security-opt seccomp: open /nonexistent: no such file or directory",
		"--ulimit=nofile":                     `--ulimit "nofile": invalid ulimit argument: nofile`,
		"--tmpfs=t":                           `--tmpfs "t": "t" is not an absolute path`,
		"--stop-timeout=-2":                   "--stop-timeout -2: use seconds, or -1 to wait for ever",
		"--expose=x":                          `--expose "x": "x" is not a port: use 1 to 65535`,
	} {
		var o createFlags
		f := pflag.NewFlagSet("run", pflag.ContinueOnError)
		o.add(f)
		if err := f.Parse(strings.Fields(in)); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		_, err := o.request(f, "core", nil)
		check(t, in, want, nil, err)
	}
}
