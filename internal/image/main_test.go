package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// fakeBases reads layers as the real one does and checks their diff ids.
type fakeBases struct {
	mu     sync.Mutex
	built  map[string][]string // image id to diff ids
	chains map[string]bool
	// The ways of a builder: it may stop at the end of the tar, or leave out
	// layers whose chain it has.
	stopEarly, skipKnown bool
	fail                 error
	builds               int
}

func (b *fakeBases) Build(ctx context.Context, id string, layers []LayerSource, progress func(int, int64)) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fail != nil {
		return b.fail
	}
	b.builds++
	var diffs []string
	for i, l := range layers {
		diffs = append(diffs, l.DiffID)
		if b.skipKnown && b.chains[l.ChainID] {
			continue
		}
		if err := b.layer(l, func(n int64) { progress(i, n) }); err != nil {
			return err
		}
		b.chains[l.ChainID] = true
	}
	b.built[id] = diffs
	return ctx.Err()
}

func (b *fakeBases) layer(l LayerSource, progress func(int64)) error {
	r, err := l.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	if b.stopEarly {
		tr := tar.NewReader(r)
		for {
			if _, err := tr.Next(); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	d := digest.SHA256.Digester()
	n, err := io.Copy(d.Hash(), r)
	if err != nil {
		return err
	}
	if progress(n); d.Digest().String() != l.DiffID {
		return fmt.Errorf("layer stream has diff id %s, want %s", d.Digest(), l.DiffID)
	}
	return nil
}

func (b *fakeBases) Remove(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.built, id)
	return nil
}

func (b *fakeBases) Has(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.built[id] != nil
}

func newBases() *fakeBases {
	return &fakeBases{built: map[string][]string{}, chains: map[string]bool{}}
}

type fixture struct {
	*Store
	bases *fakeBases
	data  string
}

func open(t testing.TB, data string, bases *fakeBases, change ...func(*Options)) *fixture {
	t.Helper()
	o := Options{Data: data, Bases: bases, Log: slog.New(slog.NewTextHandler(testWriter{t}, nil))}
	for _, c := range change {
		c(&o)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{s, bases, data}
}

func newStore(t testing.TB, change ...func(*Options)) *fixture {
	return open(t, t.TempDir(), newBases(), change...)
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// tarOf makes a tar of files; a value is the content.
func tarOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, files[i+1])
	}
	w.Close()
	return b.Bytes()
}

func pack(t testing.TB, kind string, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch kind {
	case "":
		return raw
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b)
	}
	w.Write(raw)
	w.Close()
	return b.Bytes()
}

// dockerArchive makes an image archive as `docker save` did before Docker 25.
func dockerArchive(t testing.TB, tags []string, layers ...[]byte) []byte {
	t.Helper()
	return labelledArchive(t, nil, tags, layers...)
}

func labelledArchive(t testing.TB, labels map[string]string, tags []string, layers ...[]byte) []byte {
	t.Helper()
	created := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	cfg := dockerspec.DockerOCIImage{Image: ocispec.Image{Created: &created, Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}}}
	cfg.RootFS.Type, cfg.Config.Labels = "layers", labels
	e := dockerEntry{RepoTags: tags}
	var files []string
	for i, l := range layers {
		plain := unpack(t, l)
		cfg.RootFS.DiffIDs = append(cfg.RootFS.DiffIDs, digest.FromBytes(plain))
		cfg.History = append(cfg.History, ocispec.History{CreatedBy: fmt.Sprintf("layer %d", i)})
		name := fmt.Sprintf("%064d/layer.tar", i)
		e.Layers = append(e.Layers, name)
		files = append(files, name, string(l))
	}
	raw, _ := json.Marshal(cfg)
	e.Config = digest.FromBytes(raw).Encoded() + ".json"
	m, _ := json.Marshal([]dockerEntry{e})
	return tarOf(t, append(files, e.Config, string(raw), "manifest.json", string(m))...)
}

func unpack(t testing.TB, l []byte) []byte {
	t.Helper()
	switch {
	case bytes.HasPrefix(l, []byte{0x1f, 0x8b}):
		r, err := gzip.NewReader(bytes.NewReader(l))
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := io.ReadAll(r)
		return raw
	case bytes.HasPrefix(l, []byte{0x28, 0xb5}):
		r, _ := zstd.NewReader(bytes.NewReader(l))
		defer r.Close()
		raw, _ := io.ReadAll(r)
		return raw
	}
	return l
}

// messages collects progress.
type messages struct {
	mu  sync.Mutex
	all []jsonstream.Message
}

func (m *messages) add(j jsonstream.Message) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, j)
}

// text is all messages as lines, without progress numbers.
func (m *messages) text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var b strings.Builder
	for _, j := range m.all {
		fmt.Fprintf(&b, "%s %s%s\n", j.ID, j.Status, strings.TrimSpace(j.Stream))
	}
	return b.String()
}

func (f *fixture) mustLoad(t testing.TB, archive []byte) Image {
	t.Helper()
	var m messages
	if err := f.ImageLoad(t.Context(), bytes.NewReader(archive), false, m.add); err != nil {
		t.Fatal(err)
	}
	line := m.text()[strings.LastIndex(m.text(), "Loaded image"):]
	img, err := f.Resolve(strings.TrimSpace(line[strings.Index(line, ":")+1:]))
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// blobNames lists what lies in the blob folders, for leak checks.
func (f *fixture) blobNames(t testing.TB) []string {
	t.Helper()
	var out []string
	for _, sub := range []string{"sha256", "ingest", "partial"} {
		names, err := filepath.Glob(filepath.Join(f.data, "blobs", sub, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			out = append(out, sub+"/"+filepath.Base(n))
		}
	}
	sort.Strings(out)
	return out
}

// clean checks that a store holds nothing, on disk and in memory.
func (f *fixture) clean(t testing.TB) {
	t.Helper()
	if b := f.blobNames(t); len(b) > 0 {
		t.Errorf("blobs left: %v", b)
	}
	dirs, _ := filepath.Glob(filepath.Join(f.data, "images", "?????????*"))
	for _, d := range dirs {
		if filepath.Base(d) != "refs.json" {
			t.Errorf("left: %s", d)
		}
	}
	if len(f.bases.built) > 0 {
		t.Errorf("bases left: %v", f.bases.built)
	}
	if len(f.claims) > 0 {
		t.Errorf("claims left: %v", f.claims)
	}
	if len(f.locks.locks) > 0 {
		t.Errorf("locks left: %v", f.locks.locks)
	}
}

var errFake = errors.New("builder broke")

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
