package daemon

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/system"

	"silo/internal/errs"
)

// create decodes a body for a version and gives back what is left of it.
func create(t *testing.T, v version, body string) (*createRequest, string) {
	t.Helper()
	c, err := decodeCreate(v, []byte(body))
	if err != nil {
		if !errs.Is(err, errs.Invalid) {
			t.Errorf("kind of %v", err)
		}
		return nil, err.Error()
	}
	return c, ""
}

func TestCreateOfOldVersions(t *testing.T) {
	const body = `{"Image":"core","Healthcheck":{"StartInterval":5},"MacAddress":"02:00:00:00:00:01","HostConfig":{
		"Annotations":{"a":"b"},"ConsoleSize":[1,2],"PidsLimit":-1,"NetworkMode":"nat",
		"Mounts":[{"Type":"bind","BindOptions":{"CreateMountpoint":true}}]},
		"NetworkingConfig":{"EndpointsConfig":{"nat":{"GwPriority":3}}}}`
	type seen struct {
		StartInterval, Console, Annotations, Mountpoint, Priority bool
		Warnings                                                  int
	}
	look := func(c *createRequest) seen {
		return seen{
			c.Healthcheck.StartInterval != 0, c.HostConfig.ConsoleSize != [2]uint{}, c.HostConfig.Annotations != nil,
			c.HostConfig.Mounts[0].BindOptions.CreateMountpoint, c.NetworkingConfig.EndpointsConfig["nat"].GwPriority != 0, len(c.warnings),
		}
	}
	for v, want := range map[version]seen{
		40: {Warnings: 1},
		41: {Warnings: 1},
		42: {Console: true, Mountpoint: true, Warnings: 1},
		43: {Console: true, Mountpoint: true, Annotations: true, Warnings: 1},
		44: {true, true, true, true, false, 1},
		47: {true, true, true, true, false, 1},
		48: {true, true, true, true, true, 1},
		51: {true, true, true, true, true, 1},
	} {
		c, msg := create(t, v, body)
		if msg != "" {
			t.Fatal(v, msg)
		}
		if d := cmp.Diff(want, look(c)); d != "" {
			t.Error(v, d)
		}
		if c.HostConfig.PidsLimit != nil {
			t.Error(v, "a limit of -1 is no limit")
		}
		if mac := c.NetworkingConfig.EndpointsConfig["nat"].MacAddress.String(); mac != "02:00:00:00:00:01" {
			t.Error(v, "MAC", mac)
		}
	}
	if _, msg := create(t, 52, body); !strings.Contains(msg, "no longer supported") {
		t.Error(msg)
	}
}

func TestCommandOfOneWord(t *testing.T) {
	c, msg := create(t, 44, `{"Image":"core","Cmd":"date","entrypoint":"","Hostname":"h"}`)
	if msg != "" {
		t.Fatal(msg)
	}
	got := [][]string{c.Cmd, c.Entrypoint, {c.Hostname}}
	if d := cmp.Diff([][]string{{"date"}, {""}, {"h"}}, got); d != "" {
		t.Error(d)
	}
	if _, msg := create(t, 44, `{"Image":"core","Cmd":"date","Env":"a=b"}`); !strings.Contains(msg, "cannot unmarshal string") {
		t.Errorf("a list that must be one: %q", msg)
	}
}

func TestMACOfTheContainer(t *testing.T) {
	const mac = `"MacAddress":"02:00:00:00:00:01"`
	for body, want := range map[string]string{
		`{` + mac + `}`: "",
		`{` + mac + `,"HostConfig":{"NetworkMode":"host"}}`:                                                                              "conflicting options",
		`{` + mac + `,"NetworkingConfig":{"EndpointsConfig":{"a":{}}}}`:                                                                  "",
		`{` + mac + `,"NetworkingConfig":{"EndpointsConfig":{"a":{},"b":{}}}}`:                                                           "must match the identity",
		`{` + mac + `,"HostConfig":{"NetworkMode":"a"},"NetworkingConfig":{"EndpointsConfig":{"a":{"MacAddress":"02:00:00:00:00:02"}}}}`: "must match the endpoint-specific",
		`{"MacAddress":"x"}`: "invalid MAC address",
		`{"MacAddress":""}`:  "",
	} {
		c, msg := create(t, 44, `{"Image":"core",`+body[1:])
		if (msg == "") != (want == "") || !strings.Contains(msg, want) {
			t.Errorf("%s: %q", body, msg)
		}
		if c == nil || len(c.mac) == 0 {
			continue
		}
		for name, e := range c.NetworkingConfig.EndpointsConfig {
			if e.MacAddress.String() != "02:00:00:00:00:01" {
				t.Errorf("%s: %s has %v", body, name, e.MacAddress)
			}
		}
	}
}

// fields decodes JSON for a look at single fields.
func fields(t *testing.T, v any) map[string]any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestInspectOfOldVersions(t *testing.T) {
	c := container.InspectResponse{ID: "c1", Config: &container.Config{Image: "core"}, NetworkSettings: &container.NetworkSettings{
		SandboxID: "s1", Networks: map[string]*network.EndpointSettings{"nat": {IPAddress: netip.MustParseAddr("172.20.0.2"), IPPrefixLen: 20, MacAddress: network.HardwareAddr{2, 0, 0, 0, 0, 1}}},
	}}
	for v, want := range map[version]any{51: "172.20.0.2", 52: nil} {
		got, err := oldContainerInspect(v, c)
		if err != nil {
			t.Fatal(err)
		}
		m := fields(t, got)
		settings := m["NetworkSettings"].(map[string]any)
		if m["Id"] != "c1" || settings["SandboxID"] != "s1" || settings["IPAddress"] != want {
			t.Errorf("%v: %v", v, settings)
		}
		if v == 51 && (settings["MacAddress"] != "02:00:00:00:00:01" || settings["IPPrefixLen"] != 20.0) {
			t.Errorf("%v: %v", v, settings)
		}
	}
	if got, err := oldContainerInspect(40, container.InspectResponse{}); err != nil || fields(t, got) == nil {
		t.Error(err)
	}
}

func TestImagesOfOldVersions(t *testing.T) {
	list := []image.Summary{{ID: "i1", Size: 5, Containers: 2}}
	for v, want := range map[version][]any{
		42: {5.0, -1.0, "<none>:<none>"}, 43: {5.0, -1.0, nil}, 44: {nil, -1.0, nil}, 50: {nil, -1.0, nil}, 51: {nil, 2.0, nil},
	} {
		got, err := oldImageList(v, list)
		if err != nil {
			t.Fatal(err)
		}
		m := fields(t, map[string]any{"x": got})["x"].([]any)[0].(map[string]any)
		var tag any
		if tags := m["RepoTags"].([]any); len(tags) > 0 {
			tag = tags[0]
		}
		if d := cmp.Diff(want, []any{m["VirtualSize"], m["Containers"], tag}); d != "" {
			t.Error(v, d)
		}
		inspect, err := oldImageInspect(v, image.InspectResponse{ID: "i1", Size: 5})
		if err != nil {
			t.Fatal(err)
		}
		if m := fields(t, inspect); (m["VirtualSize"] != nil) != (v < 44) || (m["Author"] != nil) != (v < 52) {
			t.Error(v, m)
		}
	}
}

func TestDiskUsageOfOldVersions(t *testing.T) {
	d := start(t, &stub{usage: system.DiskUsage{
		ImageUsage:     &image.DiskUsage{TotalSize: 9, TotalCount: 1, Items: []image.Summary{{ID: "i1"}}},
		ContainerUsage: &container.DiskUsage{TotalCount: 2},
	}})
	for path, want := range map[string][]string{
		"/v1.51/system/df":                      {"BuildCache", "Containers", "Images", "LayersSize", "Volumes"},
		"/v1.52/system/df":                      {"BuildCache", "ContainerUsage", "Containers", "ImageUsage", "Images", "LayersSize", "Volumes"},
		"/system/df?verbose=1":                  {"ContainerUsage", "ImageUsage"},
		"/system/df?verbose=1&type=image":       {"ImageUsage"},
		"/system/df?verbose=1&type=build-cache": {},
	} {
		_, body := d.do(t, "GET", path, "")
		m := map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(body), &m); err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		for k := range m {
			got[k] = true
		}
		wantSet := map[string]bool{}
		for _, k := range want {
			wantSet[k] = true
		}
		if d := cmp.Diff(wantSet, got); d != "" {
			t.Error(path, d)
		}
		if items := strings.Contains(string(m["ImageUsage"]), `"Items"`); m["ImageUsage"] != nil && items != strings.Contains(path, "verbose") {
			t.Errorf("%s: %s", path, m["ImageUsage"])
		}
	}
}
