package image

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
)

func TestLoadDockerArchive(t *testing.T) {
	for _, kind := range []string{"", "gzip", "zstd"} {
		for _, outer := range []string{"", "gzip", "zstd"} {
			t.Run(kind+" in "+outer, func(t *testing.T) {
				f := newStore(t)
				l1 := pack(t, kind, tarOf(t, "a", "one"))
				l2 := pack(t, kind, tarOf(t, "b", "two", "c", "three"))
				img := f.mustLoad(t, pack(t, outer, dockerArchive(t, []string{"core:latest", "localhost:5000/x:1"}, l1, l2)))
				if d := cmp.Diff([]string{"core:latest", "localhost:5000/x:1"}, img.RepoTags); d != "" {
					t.Error(d)
				}
				want := []string{digest.FromBytes(unpack(t, l1)).String(), digest.FromBytes(unpack(t, l2)).String()}
				if d := cmp.Diff(want, f.bases.built[img.ID]); d != "" {
					t.Error(d)
				}
				if img.Size != int64(len(unpack(t, l1))+len(unpack(t, l2))) {
					t.Errorf("size %d", img.Size)
				}
				// A new process sees the same, and the base is not built again.
				again, err := open(t, f.data, f.bases).Resolve("core")
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(img, again); d != "" {
					t.Error(d)
				}
				if _, err := f.ImageRemove(t.Context(), img.ID, true, false); err != nil {
					t.Fatal(err)
				}
				f.clean(t)
			})
		}
	}
}

// TestSaveIsValid gives what save writes to go-containerregistry, which
// checks every digest, size and media type, and loads it elsewhere.
func TestSaveIsValid(t *testing.T) {
	f := newStore(t)
	one := f.mustLoad(t, dockerArchive(t, []string{"one:1", "one:2"}, pack(t, "gzip", tarOf(t, "a", "1")), pack(t, "gzip", tarOf(t, "b", "2"))))
	two := f.mustLoad(t, dockerArchive(t, []string{"two:latest"}, pack(t, "gzip", tarOf(t, "a", "3"))))
	var out, again bytes.Buffer
	for _, w := range []io.Writer{&out, &again} {
		if err := f.ImageSave(t.Context(), []string{"one", "two"}, w); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Error("two saves differ")
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil }
	for _, ref := range []string{"one:1", "one:2", "two:latest"} {
		tag, _ := name.NewTag(ref)
		img, err := tarball.Image(opener, &tag)
		if err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		if err := validate.Image(img); err != nil {
			t.Errorf("%s: %v", ref, err)
		}
	}
	dir := t.TempDir()
	extract(t, out.Bytes(), dir)
	idx, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(idx); err != nil {
		t.Error(err)
	}
	for _, drop := range []string{"", "index.json", "manifest.json"} {
		g := newStore(t)
		g.mustLoad(t, without(t, out.Bytes(), drop))
		for ref, want := range map[string]Image{"one:1": one, "one:2": one, "two": two} {
			got, err := g.Resolve(ref)
			if err != nil {
				t.Fatalf("without %q: %v", drop, err)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("without %q: %s: %s", drop, ref, d)
			}
		}
	}
}

// TestLoadLayout loads what other tools write: an index of platforms.
func TestLoadLayout(t *testing.T) {
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	idx := v1.ImageIndex(empty.Index)
	want := ""
	for _, arch := range []string{"s390x", "amd64", "arm64"} {
		img, err := random.Image(300, 2)
		if err != nil {
			t.Fatal(err)
		}
		cf, _ := img.ConfigFile()
		cf.OS, cf.Architecture = "linux", arch
		if img, err = mutate.ConfigFile(img, cf); err != nil {
			t.Fatal(err)
		}
		if arch == "amd64" {
			h, _ := img.ConfigName()
			want = h.String()
		}
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	if err := p.AppendIndex(idx, layout.WithAnnotations(map[string]string{containerdName: "docker.io/library/multi:1"})); err != nil {
		t.Fatal(err)
	}
	f := newStore(t)
	f.platform.Architecture = "amd64"
	f.mustLoad(t, tarDir(t, dir))
	img, err := f.Resolve("multi:1")
	if err != nil || img.ID != want {
		t.Fatalf("%v %v, want %s", img.ID, err, want)
	}
	if n := len(f.blobNames(t)); n != 5 { // index, manifest, config, two layers
		t.Errorf("%d blobs kept: %v", n, f.blobNames(t))
	}
}

func TestLoadRefuses(t *testing.T) {
	good := dockerArchive(t, []string{"x"}, tarOf(t, "a", strings.Repeat("x", 5000)))
	header := func(h tar.Header) []byte {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		return b.Bytes()
	}
	cfg := func(s string) string { return digest.FromString(s).Encoded() + ".json" }
	docker := func(config, layers string, more ...string) []byte {
		m := fmt.Sprintf(`[{"Config":%q,"Layers":%s}]`, cfg(config), layers)
		return tarOf(t, append(more, cfg(config), config, "manifest.json", m)...)
	}
	noID := digest.FromString("nothing")
	for name, tt := range map[string]struct {
		archive []byte
		kind    errs.Kind
		want    string
	}{
		"empty":             {nil, errs.Invalid, "not an image archive"},
		"no tar":            {bytes.Repeat([]byte("text "), 500), errs.Invalid, "invalid tar header"},
		"root fs":           {tarOf(t, "etc/passwd", "root"), errs.Invalid, "silo import"},
		"truncated":         {good[:4000], errs.Invalid, "truncated"},
		"truncated gzip":    {pack(t, "gzip", good)[:60], errs.Invalid, "truncated"},
		"xz":                {[]byte("\xfd7zXZ\x00rest"), errs.NotSupported, "xz -dc"},
		"leads out":         {tarOf(t, "../../etc/passwd", "x"), errs.Invalid, "leads out"},
		"device":            {header(tar.Header{Name: "x", Typeflag: tar.TypeChar}), errs.Invalid, "special file"},
		"huge claim":        {header(tar.Header{Name: "x", Typeflag: tar.TypeReg, Size: 1 << 60}), errs.Invalid, "truncated"},
		"sparse":            {sparseTar(t), errs.Invalid, "sparse"},
		"blob mismatch":     {tarOf(t, "blobs/sha256/"+noID.Encoded(), "x", "index.json", "{}"), errs.Invalid, "has digest"},
		"missing layer":     {docker(`{"rootfs":{"diff_ids":["`+noID.String()+`"]}}`, `["no/layer.tar"]`), errs.Invalid, `no file "no/layer.tar"`},
		"layer count":       {docker(`{"rootfs":{"diff_ids":[]}}`, `["l"]`, "l", "x"), errs.Invalid, "names 0 layers"},
		"diff id":           {docker(`{"rootfs":{"diff_ids":["`+noID.String()+`"]}}`, `["l"]`, "l", "x"), errs.Invalid, "has diff id"},
		"bad diff id":       {docker(`{"rootfs":{"diff_ids":["sha256:../x"]}}`, `["l"]`, "l", "x"), errs.Invalid, "diff id"},
		"windows":           {docker(`{"os":"windows"}`, `[]`), errs.NotSupported, "windows"},
		"config mismatch":   {tarOf(t, noID.Encoded()+".json", "{}", "manifest.json", `[{"Config":"`+noID.Encoded()+`.json"}]`), errs.Invalid, "has digest"},
		"bad tag":           {tarOf(t, "c.json", "{}", "manifest.json", `[{"Config":"c.json","RepoTags":["UPPER:x"]}]`), errs.Invalid, "invalid reference"},
		"symlink loop":      {links(t, "manifest.json", "m2", "m2", "manifest.json"), errs.Invalid, "not an image archive"},
		"symlink out":       {links(t, "manifest.json", "../../../../etc/passwd"), errs.Invalid, "not an image archive"},
		"missing manifest":  {tarOf(t, "index.json", `{"schemaVersion":2,"manifests":[{"digest":"`+noID.String()+`","size":1}]}`), errs.Invalid, "lacks blob"},
		"empty index":       {tarOf(t, "index.json", `{"schemaVersion":2,"manifests":[]}`), errs.Invalid, "names no image"},
		"huge json":         {tarOf(t, "manifest.json", strings.Repeat(" ", maxSmall+1)), errs.Invalid, "larger than"},
		"sha512 descriptor": {tarOf(t, "index.json", `{"schemaVersion":2,"manifests":[{"digest":"sha512:`+strings.Repeat("a", 128)+`"}]}`), errs.NotSupported, "only sha256"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newStore(t)
			err := f.ImageLoad(t.Context(), bytes.NewReader(tt.archive), true, nil)
			if !errs.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			f.clean(t)
		})
	}
}

// TestLoadFollowsLinks: docker save before 25 links equal layers.
func TestLoadFollowsLinks(t *testing.T) {
	layer := tarOf(t, "a", "1")
	d := digest.FromBytes(layer).String()
	cfg := fmt.Sprintf(`{"os":"linux","rootfs":{"type":"layers","diff_ids":[%q,%q]}}`, d, d)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	put := func(h tar.Header, body string) {
		h.Size = int64(len(body))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, body)
	}
	put(tar.Header{Name: "two/layer.tar", Typeflag: tar.TypeSymlink, Linkname: "../one/layer.tar"}, "")
	put(tar.Header{Name: "one/layer.tar", Typeflag: tar.TypeReg}, string(layer))
	put(tar.Header{Name: "c.json", Typeflag: tar.TypeReg}, cfg)
	put(tar.Header{Name: "manifest.json", Typeflag: tar.TypeReg}, `[{"Config":"c.json","Layers":["one/layer.tar","two/layer.tar"]}]`)
	w.Close()
	f := newStore(t)
	if img := f.mustLoad(t, b.Bytes()); len(img.Layers) != 2 || len(img.RepoTags) != 0 {
		t.Errorf("%+v", img)
	}
}

func TestLoadBuilderFails(t *testing.T) {
	f := newStore(t)
	f.bases.fail = errFake
	err := f.ImageLoad(t.Context(), bytes.NewReader(dockerArchive(t, []string{"x"}, tarOf(t, "a", "1"))), true, nil)
	if err == nil || !strings.Contains(err.Error(), "builder broke") {
		t.Error(err)
	}
	f.clean(t)
}

// A builder that does not read all must not let an unverified layer in.
func TestLayersAreVerifiedWhateverTheBuilderReads(t *testing.T) {
	layer := tarOf(t, "a", "1")
	evil := append(append([]byte(nil), layer...), "more behind the end"...)
	claim := digest.FromBytes(layer).String()
	cfg := fmt.Sprintf(`{"os":"linux","rootfs":{"type":"layers","diff_ids":[%q]}}`, claim)
	archive := tarOf(t, "l", string(evil), "c.json", cfg, "manifest.json", `[{"Config":"c.json","Layers":["l"]}]`)
	for name, set := range map[string]func(*fakeBases){
		"stops at the end of the tar": func(b *fakeBases) { b.stopEarly = true },
		"knows the chain":             func(b *fakeBases) { b.skipKnown = true; b.chains[claim] = true },
	} {
		t.Run(name, func(t *testing.T) {
			f := newStore(t)
			set(f.bases)
			err := f.ImageLoad(t.Context(), bytes.NewReader(archive), true, nil)
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "has diff id") {
				t.Error(err)
			}
			f.clean(t)
		})
	}
}

func TestLoadCancelled(t *testing.T) {
	f := newStore(t)
	ctx, cancel := context.WithCancel(t.Context())
	archive := dockerArchive(t, []string{"x"}, tarOf(t, "a", strings.Repeat("x", 1<<20)))
	r := io.MultiReader(bytes.NewReader(archive[:1<<19]), readerFunc(func(p []byte) (int, error) { cancel(); return copy(p, archive[1<<19:]), nil }))
	if err := f.ImageLoad(ctx, r, true, nil); err == nil || ctx.Err() == nil {
		t.Errorf("%v", err)
	}
	f.clean(t)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func FuzzLoad(f *testing.F) {
	f.Add(dockerArchive(f, []string{"x"}, tarOf(f, "a", "1")))
	f.Add(tarOf(f, "index.json", `{"schemaVersion":2,"manifests":[]}`))
	f.Add(links(f, "manifest.json", "m2"))
	s := newStore(f, func(o *Options) { o.Log = nil })
	f.Fuzz(func(t *testing.T, archive []byte) {
		if len(archive) > 1<<20 {
			return
		}
		if err := s.ImageLoad(t.Context(), bytes.NewReader(archive), true, nil); err != nil {
			if errs.KindOf(err) == errs.Internal {
				t.Errorf("%v is taken for a fault of Silo", err)
			}
		}
		for id := range s.IDs() {
			if _, err := s.ImageRemove(t.Context(), id, true, false); err != nil {
				t.Error(err)
			}
		}
		s.clean(t)
	})
}

func links(t testing.TB, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: pairs[i], Linkname: pairs[i+1], Typeflag: tar.TypeSymlink}); err != nil {
			t.Fatal(err)
		}
	}
	w.Close()
	return b.Bytes()
}

// sparseTar is a file that is one hole of 1 TiB, in the form of PAX 1.0.
func sparseTar(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	body := "0\n" + strings.Repeat("\x00", 510)
	pax := ""
	for _, kv := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=x", "GNU.sparse.realsize=1099511627776"} {
		n := len(kv) + 2
		for n != len(fmt.Sprint(n))+1+len(kv)+1 {
			n++
		}
		pax += fmt.Sprintf("%d %s\n", n, kv)
	}
	block := func(name string, flag byte, size int) {
		h := make([]byte, 512)
		copy(h, name)
		copy(h[100:], "0000644\x000000000\x000000000\x00")
		copy(h[124:], fmt.Sprintf("%011o\x0000000000000\x00", size))
		copy(h[148:], "        ")
		h[156] = flag
		copy(h[257:], "ustar\x0000")
		sum := 0
		for _, c := range h {
			sum += int(c)
		}
		copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
		b.Write(h)
	}
	block("pax", 'x', len(pax))
	b.WriteString(pax + strings.Repeat("\x00", 512-len(pax)))
	block("x", '0', len(body))
	b.WriteString(body)
	b.Write(make([]byte, 1024))
	return b.Bytes()
}

// without copies a tar, leaving out one entry.
func without(t testing.TB, raw []byte, drop string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	r := tar.NewReader(bytes.NewReader(raw))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Name != drop {
			w.WriteHeader(h)
			io.Copy(w, r)
		}
	}
	w.Close()
	return b.Bytes()
}

func extract(t testing.TB, raw []byte, dir string) {
	t.Helper()
	r := tar.NewReader(bytes.NewReader(raw))
	for {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir {
			os.MkdirAll(filepath.Join(dir, h.Name), 0o700)
			continue
		}
		body, _ := io.ReadAll(r)
		write(t, filepath.Join(dir, h.Name), string(body))
	}
}

func tarDir(t testing.TB, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return b.Bytes()
}
