package client

import (
	"encoding/json"
	"reflect"
	"testing"

	mobycontainer "github.com/moby/moby/api/types/container"
	mobyimage "github.com/moby/moby/api/types/image"
	mobysystem "github.com/moby/moby/api/types/system"
	mobyvolume "github.com/moby/moby/api/types/volume"

	"silo/client/container"
	"silo/client/image"
	"silo/client/system"
	"silo/client/volume"
)

// TestTypesAreDockers compares the copies that client/gen made with the
// originals, field by field: names, tags and types.
func TestTypesAreDockers(t *testing.T) {
	for _, c := range []struct{ copy, original any }{
		{container.CreateRequest{}, mobycontainer.CreateRequest{}},
		{container.CreateResponse{}, mobycontainer.CreateResponse{}},
		{container.Summary{}, mobycontainer.Summary{}},
		{container.InspectResponse{}, mobycontainer.InspectResponse{}},
		{container.StatsResponse{}, mobycontainer.StatsResponse{}},
		{container.TopResponse{}, mobycontainer.TopResponse{}},
		{container.UpdateConfig{}, mobycontainer.UpdateConfig{}},
		{container.UpdateResponse{}, mobycontainer.UpdateResponse{}},
		{container.WaitResponse{}, mobycontainer.WaitResponse{}},
		{container.ExecCreateRequest{}, mobycontainer.ExecCreateRequest{}},
		{container.ExecCreateResponse{}, mobycontainer.ExecCreateResponse{}},
		{container.ExecStartRequest{}, mobycontainer.ExecStartRequest{}},
		{container.ExecInspectResponse{}, mobycontainer.ExecInspectResponse{}},
		{container.PruneReport{}, mobycontainer.PruneReport{}},
		{container.DiskUsage{}, mobycontainer.DiskUsage{}},
		{image.Summary{}, mobyimage.Summary{}},
		{image.InspectResponse{}, mobyimage.InspectResponse{}},
		{image.HistoryResponseItem{}, mobyimage.HistoryResponseItem{}},
		{image.DeleteResponse{}, mobyimage.DeleteResponse{}},
		{image.DiskUsage{}, mobyimage.DiskUsage{}},
		{system.Info{}, mobysystem.Info{}},
		{system.VersionResponse{}, mobysystem.VersionResponse{}},
		{system.DiskUsage{}, mobysystem.DiskUsage{}},
		{volume.Volume{}, mobyvolume.Volume{}},
		{volume.ListResponse{}, mobyvolume.ListResponse{}},
		{volume.CreateRequest{}, mobyvolume.CreateRequest{}},
		{volume.PruneReport{}, mobyvolume.PruneReport{}},
		{volume.DiskUsage{}, mobyvolume.DiskUsage{}},
	} {
		same(t, reflect.TypeOf(c.original).String(), reflect.TypeOf(c.copy), reflect.TypeOf(c.original), map[reflect.Type]bool{})
	}
}

// same reports where two types differ on the wire.
func same(t *testing.T, path string, a, b reflect.Type, seen map[reflect.Type]bool) {
	t.Helper()
	if a == b || a == reflect.TypeFor[json.RawMessage]() || seen[a] {
		return
	}
	seen[a] = true
	if a.Kind() != b.Kind() {
		t.Errorf("%s is %s, Docker's is %s: go run ./client/gen", path, a, b)
		return
	}
	switch a.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		same(t, path, a.Elem(), b.Elem(), seen)
	case reflect.Map:
		same(t, path+" key", a.Key(), b.Key(), seen)
		same(t, path+" value", a.Elem(), b.Elem(), seen)
	case reflect.Struct:
		if a.NumField() != b.NumField() {
			t.Errorf("%s has %d fields, Docker's %d: go run ./client/gen", path, a.NumField(), b.NumField())
			return
		}
		for i := range a.NumField() {
			x, y := a.Field(i), b.Field(i)
			if x.Name != y.Name || x.Tag != y.Tag || x.Anonymous != y.Anonymous {
				t.Errorf("%s: field %s %q, Docker's %s %q: go run ./client/gen", path, x.Name, x.Tag, y.Name, y.Tag)
			}
			same(t, path+"."+x.Name, x.Type, y.Type, seen)
		}
	}
}
