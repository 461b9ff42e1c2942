package image

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/distribution/reference"
	"github.com/google/go-cmp/cmp"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
	"silo/internal/filter"
)

// small makes and loads an image that differs by its seed.
func (f *fixture) small(t testing.TB, seed string, tags ...string) Image {
	t.Helper()
	return f.mustLoad(t, dockerArchive(t, tags, tarOf(t, "shared", "x"), tarOf(t, "seed", seed)))
}

func TestResolve(t *testing.T) {
	f := newStore(t)
	a := f.small(t, "a", "core:latest", "localhost:5000/a/b:v1", "docker.io/someone/x:1")
	b := f.small(t, "b")
	hexA, hexB := strings.TrimPrefix(a.ID, "sha256:"), strings.TrimPrefix(b.ID, "sha256:")
	if hexA[:4] == hexB[:4] {
		t.Fatal("pick other seeds")
	}
	if err := f.ImageTag(t.Context(), b.ID, hexA[:6]); err != nil { // a name that looks like an id
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		"core": a.ID, "core:latest": a.ID, "docker.io/core": a.ID, "library/core": a.ID, "docker.io/library/core:latest": a.ID, "index.docker.io/library/core": a.ID,
		"localhost:5000/a/b:v1": a.ID, "someone/x:1": a.ID,
		a.ID: a.ID, hexA: a.ID, hexA[:12]: a.ID, "sha256:" + hexA[:7]: a.ID, hexB[:7]: b.ID,
		hexA[:6]: b.ID,
	} {
		if got, err := f.Resolve(ref); err != nil || got.ID != want {
			t.Errorf("%q: %v %v, want %s", ref, got.ID, err, want)
		}
	}
	for ref, kind := range map[string]errs.Kind{
		"core:1": errs.NotFound, "localhost:5000/a/b": errs.NotFound, "someone/core": errs.NotFound, strings.Repeat("0", 64): errs.NotFound, "sha256:" + strings.Repeat("0", 64): errs.NotFound,
		"UPPER": errs.Invalid, "": errs.Invalid, "a b": errs.Invalid, "core@sha256:zz": errs.Invalid,
	} {
		if got, err := f.Resolve(ref); !errs.Is(err, kind) {
			t.Errorf("%q: %v %v", ref, got.ID, err)
		}
	}
	if _, err := f.Resolve("nope"); err == nil || err.Error() != "No such image: nope:latest" {
		t.Errorf("%v", err)
	}
}

func TestAmbiguousID(t *testing.T) {
	f := newStore(t)
	var first [16]bool
	for i := 0; ; i++ {
		img := f.small(t, fmt.Sprint(i))
		var n int
		fmt.Sscanf(img.ID[7:8], "%x", &n)
		if first[n] {
			if _, err := f.Resolve(img.ID[7:8]); !errs.Is(err, errs.Conflict) {
				t.Errorf("%v", err)
			}
			return
		}
		first[n] = true
	}
}

// TestReferences compares what is made of names with Docker's own library.
func TestReferences(t *testing.T) {
	for _, s := range []string{
		"core", "core:1", "library/core", "docker.io/core:x", "a/b/c:1", "localhost/x", "localhost:5000/x:y", "127.0.0.1:5000/x", "[::1]:5000/x:1", "Host.example/x",
		"ghcr.io/a/b:v1.2.3_x-y", "core@" + digest.FromString("x").String(), "core:1@" + digest.FromString("x").String(), "index.docker.io/library/x",
		"", " ", ":1", "core:", "core:-x", "a//b", "/a", "a/", "UPPER", "a/B", "x@sha256:1", "-a", "a..b", "a__b", "a___b", "a.-b", strings.Repeat("a", 256), strings.Repeat("0", 64),
	} {
		want, wantErr := reference.ParseNormalizedNamed(s)
		got, err := parseName(s)
		if (err == nil) != (wantErr == nil) || err == nil && got.String() != want.String() {
			t.Errorf("parseName(%q): %v %v, want %v %v", s, got, err, want, wantErr)
		}
		tag, err := parseTag(s)
		if wantErr != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("parseTag(%q): %v", s, err)
			}
			continue
		}
		if _, ok := want.(reference.Digested); ok {
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("parseTag(%q): %v", s, err)
			}
		} else if want := reference.TagNameOnly(want).String(); err != nil || tag.String() != want {
			t.Errorf("parseTag(%q): %v %v, want %s", s, tag, err, want)
		}
	}
}

func TestList(t *testing.T) {
	f := newStore(t)
	imp := func(tag, label string) string {
		var m messages
		time.Sleep(time.Millisecond) // so that creation times differ
		if err := f.ImageImport(t.Context(), tag, "", "", []string{"LABEL " + label}, bytes.NewReader(tarOf(t, "n", tag)), m.add); err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(m.text())
	}
	ids := map[string]string{imp("one:1", "kind=a"): "one", imp("team/two:1", "kind=b x=2"): "two", imp("", "kind=a y=1"): "none"}
	if err := f.ImageTag(t.Context(), "one:1", "one:2"); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		filter filter.Args
		want   []string
	}{
		"all":               {nil, []string{"none", "two", "one"}},
		"dangling":          {filter.Args{"dangling": {"true"}}, []string{"none"}},
		"not dangling":      {filter.Args{"dangling": {"false"}}, []string{"two", "one"}},
		"label":             {filter.Args{"label": {"kind=a"}}, []string{"none", "one"}},
		"labels":            {filter.Args{"label": {"kind=a", "y"}}, []string{"none"}},
		"before":            {filter.Args{"before": {"team/two:1"}}, []string{"one"}},
		"since":             {filter.Args{"since": {"one:1"}}, []string{"none", "two"}},
		"reference":         {filter.Args{"reference": {"one"}}, []string{"one"}},
		"reference pattern": {filter.Args{"reference": {"*/*:1", "nope"}}, []string{"two"}},
		"until past":        {filter.Args{"until": {"24h"}}, []string{}},
		"until now":         {filter.Args{"until": {fmt.Sprint(time.Now().Unix() + 5)}}, []string{"none", "two", "one"}},
		"both":              {filter.Args{"label": {"kind=a"}, "dangling": {"false"}}, []string{"one"}},
	} {
		list, err := f.Images(t.Context(), false, tt.filter)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := []string{}
		for _, s := range list {
			got = append(got, ids[s.ID])
			if s.Size == 0 || s.Containers != -1 || s.RepoTags == nil || s.RepoDigests == nil {
				t.Errorf("%s: %+v", name, s)
			}
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	list, _ := f.Images(t.Context(), false, filter.Args{"reference": {"one:2"}})
	if len(list) != 1 || cmp.Diff([]string{"one:2"}, list[0].RepoTags) != "" {
		t.Errorf("%+v", list)
	}
	for _, bad := range []filter.Args{{"nope": {"x"}}, {"dangling": {"maybe"}}, {"until": {"soon"}}, {"reference": {"[a"}}} {
		if _, err := f.Images(t.Context(), false, bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	if _, err := f.Images(t.Context(), false, filter.Args{"before": {"gone"}}); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
}

// user is a container in the way of a removal.
type user struct {
	name    string
	running bool
}

// TestRemove goes through Docker's rules.
func TestRemove(t *testing.T) {
	untagged := func(n ...string) (out []image.DeleteResponse) {
		for _, x := range n {
			out = append(out, image.DeleteResponse{Untagged: x})
		}
		return out
	}
	deleted := image.DeleteResponse{Deleted: "ID"}
	for name, tt := range map[string]struct {
		tags  []string
		ref   string // "ID" is the image's
		force bool
		used  user
		want  []image.DeleteResponse
		err   string
	}{
		"one of two names":        {[]string{"a:1", "b:1"}, "a:1", false, user{}, untagged("a:1"), ""},
		"one of two, used":        {[]string{"a:1", "b:1"}, "a:1", false, user{"c", true}, untagged("a:1"), ""},
		"last name":               {[]string{"a:1"}, "a:1", false, user{}, append(untagged("a:1"), deleted), ""},
		"latest":                  {[]string{"a:latest"}, "a", false, user{}, append(untagged("a:latest"), deleted), ""},
		"id":                      {[]string{"a:1"}, "ID", false, user{}, append(untagged("a:1"), deleted), ""},
		"id without a name":       {nil, "ID", false, user{}, []image.DeleteResponse{deleted}, ""},
		"id with two tags":        {[]string{"a:1", "a:2"}, "ID", false, user{}, nil, "conflict: unable to delete SHORT (must be forced) - image is referenced in multiple repositories"},
		"id with two tags forced": {[]string{"a:1", "a:2"}, "ID", true, user{}, append(untagged("a:1", "a:2"), deleted), ""},
		"last name, used":         {[]string{"a:1"}, "a:1", false, user{"c", false}, nil, `conflict: unable to remove repository reference "a:1" (must force) - container c is using its referenced image SHORT`},
		"last name, used, forced": {[]string{"a:1"}, "a:1", true, user{"c", true}, untagged("a:1"), ""},
		"id, running, forced":     {[]string{"a:1"}, "ID", true, user{"c", true}, nil, "conflict: unable to delete SHORT (cannot be forced) - image is being used by running container c"},
		"id, stopped":             {[]string{"a:1"}, "ID", false, user{"c", false}, nil, "conflict: unable to delete SHORT (must be forced) - image is being used by stopped container c"},
		"id, stopped, forced":     {[]string{"a:1"}, "ID", true, user{"c", false}, untagged("a:1"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			var happened []events.Action
			f := newStore(t, func(o *Options) {
				o.InUse = func(string) (string, bool) { return tt.used.name, tt.used.running }
				o.Event = func(a events.Action, _, _ string) { happened = append(happened, a) }
			})
			img := f.small(t, "x", tt.tags...)
			got, err := f.ImageRemove(t.Context(), strings.Replace(tt.ref, "ID", img.ID, 1), tt.force, false)
			short := strings.TrimPrefix(img.ID, "sha256:")[:12]
			if tt.err != "" {
				if want := strings.Replace(tt.err, "SHORT", short, 1); !errs.Is(err, errs.Conflict) || err.Error() != want {
					t.Errorf("%v, want %s", err, want)
				}
				if again, err := f.Resolve(img.ID); err != nil || len(again.RepoTags) != len(tt.tags) {
					t.Errorf("changed though refused: %v %v", again.RepoTags, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			gone := got[len(got)-1].Deleted != ""
			if gone {
				got[len(got)-1].Deleted = strings.Replace(got[len(got)-1].Deleted, img.ID, "ID", 1)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
			if happened[0] != events.ActionLoad || len(happened) != 1+len(got) {
				t.Errorf("events %v", happened)
			}
			if _, err := f.Resolve(img.ID); (err != nil) != gone {
				t.Errorf("%v", err)
			}
			if gone {
				f.clean(t)
			}
		})
	}
	if _, err := newStore(t).ImageRemove(t.Context(), "x", false, false); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
}

// TestSharedContent: what two images have in common goes with the second.
func TestSharedContent(t *testing.T) {
	f := newStore(t)
	f.small(t, "a", "a")
	b := f.small(t, "b", "b")
	if _, err := f.ImageRemove(t.Context(), "a", false, false); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := f.ImageSave(t.Context(), []string{"b"}, &out); err != nil {
		t.Errorf("b is not whole: %v", err)
	}
	if _, err := f.ImageRemove(t.Context(), b.ID, false, false); err != nil {
		t.Fatal(err)
	}
	f.clean(t)
}

func TestHold(t *testing.T) {
	f := newStore(t)
	img := f.small(t, "a", "a")
	f.bases.Remove(img.ID) // as if someone had deleted it
	held, release, err := f.Hold(t.Context(), "a")
	if err != nil || held.ID != img.ID {
		t.Fatal(err)
	}
	if !f.bases.Has(img.ID) {
		t.Error("the base was not built again")
	}
	if _, err := f.ImageRemove(t.Context(), "a", true, false); !errs.Is(err, errs.Conflict) {
		t.Errorf("removed while held: %v", err)
	}
	release()
	if _, err := f.ImageRemove(t.Context(), "a", false, false); err != nil {
		t.Error(err)
	}
	if _, _, err := f.Hold(t.Context(), "a"); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
}

// TestOpenSweeps leaves behind what crashes leave, and only that goes.
func TestOpenSweeps(t *testing.T) {
	f := newStore(t)
	img := f.small(t, "a", "a")
	before := f.blobNames(t)
	orphan := digest.FromString("orphan")
	write(t, f.blobs.path(orphan), "orphan")
	write(t, filepath.Join(f.data, "blobs", "ingest", "123"), "half")
	write(t, f.blobs.partial(orphan), "fresh")
	old := digest.FromString("old")
	write(t, f.blobs.partial(old), "old")
	long := time.Now().Add(-2 * partialAge)
	if err := os.Chtimes(f.blobs.partial(old), long, long); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(f.data, "blobs", "sha256", "README")
	write(t, foreign, "not ours")
	unfinished := digest.FromString("unfinished")
	if err := os.Mkdir(f.imageDir(unfinished), 0o700); err != nil {
		t.Fatal(err)
	}
	f.bases.built[unfinished.String()] = []string{"x"}

	g := open(t, f.data, f.bases)
	want := append(append([]string(nil), before...), "partial/"+orphan.Encoded(), "sha256/README")
	if d := cmp.Diff(slices.Sorted(slices.Values(want)), g.blobNames(t)); d != "" {
		t.Error(d)
	}
	if g.bases.Has(unfinished.String()) || !g.bases.Has(img.ID) {
		t.Errorf("bases: %v", g.bases.built)
	}
	if _, err := os.Stat(f.imageDir(unfinished)); err == nil {
		t.Error("unfinished image still there")
	}

	// With a damaged record nothing is removed: it may claim anything.
	write(t, f.recordPath(digest.Digest(img.ID)), "{")
	write(t, f.blobs.path(orphan), "orphan")
	h := open(t, f.data, f.bases)
	if !h.blobs.has(orphan) || !h.IDs()[img.ID] {
		t.Error("swept in spite of a damaged record")
	}
	write(t, f.recordPath(digest.Digest(img.ID)), `{"format":99}`)
	if _, err := Open(Options{Data: f.data, Bases: f.bases}); err == nil || !strings.Contains(err.Error(), "newer Silo") {
		t.Errorf("%v", err)
	}
}

// TestTagsAtOnce loses no name when many are given at the same time.
func TestTagsAtOnce(t *testing.T) {
	f := newStore(t)
	img := f.small(t, "a", "a")
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := f.ImageTag(t.Context(), "a", fmt.Sprintf("t:%d", i)); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	again, err := open(t, f.data, f.bases).Resolve(img.ID)
	if err != nil || len(again.RepoTags) != 21 {
		t.Errorf("%v %v", again.RepoTags, err)
	}
}

// TestLoadAndRemoveAtOnce: whatever wins, the store stays whole.
func TestLoadAndRemoveAtOnce(t *testing.T) {
	f := newStore(t)
	archive := dockerArchive(t, []string{"a"}, tarOf(t, "a", "1"))
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(2)
		go func() {
			defer wg.Done()
			for range 10 {
				if err := f.ImageLoad(t.Context(), bytes.NewReader(archive), true, nil); err != nil {
					t.Error(err)
				}
			}
		}()
		go func() {
			defer wg.Done()
			for range 10 {
				if _, err := f.ImageRemove(t.Context(), "a", false, false); err != nil && !errs.Is(err, errs.NotFound) {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	_, err := f.ImageRemove(t.Context(), "a", false, false)
	if err != nil && !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	f.clean(t)
}

// A built-in image carries its version as a tag: a newer one brings its own and
// takes the older one's away, but no name that is the user's.
func TestBuiltinVersions(t *testing.T) {
	f := newStore(t)
	add := func(version string) Image {
		t.Helper()
		a := labelledArchive(t, map[string]string{versionLabel: version}, []string{"core:latest", "core:" + version, "other:" + version}, pack(t, "gzip", tarOf(t, "v", version)))
		if err := f.AddBuiltin(t.Context(), "core:latest", bytes.NewReader(a)); err != nil {
			t.Fatal(err)
		}
		img, err := f.Resolve("core")
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	if got := add("1").RepoTags; !slices.Equal(got, []string{"core:1", "core:latest"}) {
		t.Errorf("names %q, want core:1 and core:latest", got)
	}
	if got := add("2").RepoTags; !slices.Equal(got, []string{"core:2", "core:latest"}) {
		t.Errorf("names %q, want core:2 and core:latest", got)
	}
	if _, err := f.Resolve("core:1"); !errs.Is(err, errs.NotFound) {
		t.Errorf("core:1 is still there: %v", err)
	}
	own := f.small(t, "own", "core:3")
	if got := add("3").RepoTags; !slices.Equal(got, []string{"core:latest"}) {
		t.Errorf("names %q, want core:latest alone", got)
	}
	if img, err := f.Resolve("core:3"); err != nil || img.ID != own.ID {
		t.Errorf("core:3 is %s (%v), want the user's %s", img.ID, err, own.ID)
	}
}

func TestBuiltin(t *testing.T) {
	f := newStore(t)
	v1 := dockerArchive(t, []string{"whatever:1"}, pack(t, "gzip", tarOf(t, "v", "1")))
	v2 := dockerArchive(t, nil, pack(t, "gzip", tarOf(t, "v", "2")))
	add := func(archive []byte) Image {
		t.Helper()
		if err := f.AddBuiltin(t.Context(), "core", bytes.NewReader(archive)); err != nil {
			t.Fatal(err)
		}
		img, err := f.Resolve("core")
		if err != nil {
			t.Fatal(err)
		}
		return img
	}
	one := add(v1)
	if again := add(v1); again.ID != one.ID || f.bases.builds != 1 {
		t.Errorf("added twice: %d builds", f.bases.builds)
	}
	two := add(v2)
	if two.ID == one.ID {
		t.Error("not replaced")
	}
	if _, err := f.Resolve(one.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("the old one is still there: %v", err)
	}
	// A name that the user gave the old one keeps it.
	if err := f.ImageTag(t.Context(), "core", "mine"); err != nil {
		t.Fatal(err)
	}
	add(v1)
	if img, err := f.Resolve("mine"); err != nil || img.ID != two.ID {
		t.Errorf("%v %v", img.ID, err)
	}
	// The user's own image under the name stays.
	own := f.small(t, "own", "core")
	if img := add(v2); img.ID != own.ID {
		t.Error("took the name from the user's image")
	}
	if own.Builtin != "" || two.Builtin != "core" {
		t.Errorf("the user's is built in as %q, ours as %q", own.Builtin, two.Builtin)
	}
	if err := f.AddBuiltin(t.Context(), "core", bytes.NewReader(tarOf(t, "x", "y"))); !errs.Is(err, errs.Invalid) {
		t.Errorf("%v", err)
	}
}
