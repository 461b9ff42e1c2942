package layer

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"silo/internal/errs"
)

func TestFolders(t *testing.T) {
	s := open(t)
	layers := sources(tarOf(t, file("a", "1")), tarOf(t, file("b", "22")), tarOf(t, file("c", "3")))
	b, err := s.Build(context.Background(), imageA, layers, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir := func(i int) string { return filepath.Join(s.layers, strings.TrimPrefix(layers[i].ChainID, "sha256:")) }
	if d := cmp.Diff([]string{dir(2), dir(1), dir(0)}, b.Layers); d != "" {
		t.Errorf("layers: %s", d)
	}
	for i, want := range []string{`null`, `["` + dir(0) + `"]`, `["` + dir(1) + `","` + dir(0) + `"]`} {
		path := filepath.Join(dir(i), "layerchain.json")
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("layer %d: layerchain.json is %s (%v), want %s", i, got, err, want)
		}
		if st, err := os.Stat(path); err != nil || st.Mode() != 0o600 {
			t.Errorf("layer %d: layerchain.json has mode %v, %v", i, st.Mode(), err)
		}
	}
	rec, err := os.ReadFile(filepath.Join(dir(1), "layer.json"))
	if want := "\"diffID\": \"" + layers[1].DiffID + "\",\n  \"size\": 2048\n"; err != nil || !strings.Contains(string(rec), want) {
		t.Errorf("layer.json is %s, %v", rec, err)
	}
	again, err := s.Base(imageA)
	if d := cmp.Diff(b, again); d != "" || err != nil {
		t.Errorf("Base differs from Build: %v\n%s", err, d)
	}
	if _, err := s.Base(imageB); !errs.Is(err, errs.NotFound) {
		t.Errorf("unknown base: %v", err)
	}
	for _, bad := range []string{"", "sha256:../../x", "sha256:" + strings.Repeat("A", 64), strings.Repeat("a", 64)} {
		if _, err := s.Base(bad); !errs.Is(err, errs.Invalid) {
			t.Errorf("id %q: %v", bad, err)
		}
	}
}

// counted counts how often the layers are read.
func counted(layers []Source, n *atomic.Int32) []Source {
	for i := range layers {
		open := layers[i].Open
		layers[i].Open = func() (io.ReadCloser, error) { n.Add(1); return open() }
	}
	return layers
}

func TestBuildOnce(t *testing.T) {
	s := open(t)
	var reads atomic.Int32
	layers := counted(sources(tarOf(t, file("a", "1")), tarOf(t, file("b", "2"))), &reads)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.Build(context.Background(), imageA, layers, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := reads.Load(); n != 2 {
		t.Errorf("two layers were read %d times", n)
	}
	// A damaged base, or a lost layer folder, is made again.
	b, err := s.Base(imageA)
	if err != nil {
		t.Fatal(err)
	}
	for _, damage := range []func() error{
		func() error { return os.Truncate(b.Path, 100) },
		func() error { return os.WriteFile(filepath.Dir(b.Path)+"/base.json", []byte("{"), 0o600) },
		func() error { return os.RemoveAll(b.Layers[1]) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		got, err := s.Build(context.Background(), imageA, layers, nil)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(b, got); d != "" {
			t.Error(d)
		}
	}
	if n := reads.Load(); n != 8 {
		t.Errorf("three repairs read layers %d times, want 6", n-2)
	}
}

func TestProgressAndDeterminism(t *testing.T) {
	tars := [][]byte{tarOf(t, file("a", strings.Repeat("x", 1<<20)), hard("b", "a"), file("c/d", "1")), tarOf(t, file("a", "2"), file("c/.wh.d", ""))}
	told := map[int]int64{}
	s := open(t)
	b, err := s.Build(context.Background(), imageA, sources(tars...), func(layer int, n int64) { told[layer] = n })
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[int]int64{0: int64(len(tars[0])), 1: int64(len(tars[1]))}, told); d != "" {
		t.Errorf("progress: %s", d)
	}
	one, err := os.ReadFile(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		two, err := os.ReadFile(build(t, tars...).Path)
		if err != nil || string(one) != string(two) {
			t.Fatalf("two builds differ: %v", err)
		}
	}
}

// endless gives bytes until its context ends.
type endless struct{ cancel func() }

func (r endless) Read(p []byte) (int, error) { r.cancel(); return copy(p, tarHead), nil }

var tarHead = make([]byte, 512)

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := open(t)
	layers := sources(tarOf(t, file("a", "1")))
	layers[0].Open = func() (io.ReadCloser, error) { return io.NopCloser(endless{cancel}), nil }
	if _, err := s.Build(ctx, imageA, layers, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	empty(t, s)
}

func TestRemoveKeepsWhatOthersUse(t *testing.T) {
	s := open(t)
	shared, own := tarOf(t, file("a", "1")), tarOf(t, file("b", "2"))
	both := sources(shared, own)
	if _, err := s.Build(context.Background(), imageA, both, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Build(context.Background(), imageB, sources(shared), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(imageA, func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	names(t, s.bases, imageB)
	names(t, s.layers, both[0].ChainID)
	if err := s.Remove(imageB, func(chain string) bool { return chain == both[0].ChainID }); err != nil {
		t.Fatal(err)
	}
	names(t, s.bases)
	names(t, s.layers, both[0].ChainID)
	if err := s.Remove(imageB, nil); err != nil {
		t.Errorf("a second time: %v", err)
	}
}

// names checks which objects a folder holds.
func names(t *testing.T, dir string, ids ...string) {
	t.Helper()
	var got []string
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, "sha256:"+e.Name())
	}
	if d := cmp.Diff(ids, got); d != "" {
		t.Errorf("%s: %s", dir, d)
	}
}

func TestSweep(t *testing.T) {
	s := open(t)
	a, b := sources(tarOf(t, file("a", "1"))), sources(tarOf(t, file("b", "1")))
	for id, layers := range map[string][]Source{imageA: a, imageB: b} {
		if _, err := s.Build(context.Background(), id, layers, nil); err != nil {
			t.Fatal(err)
		}
	}
	// What a silod killed in the middle leaves behind.
	for _, dir := range []string{s.bases + "/.tmp-123", s.layers + "/.tmp-456", s.bases + "/.tmp-removing-789"} {
		if err := os.MkdirAll(dir+"/x", 0o700); err != nil {
			t.Fatal(err)
		}
	}
	busy, done, err := s.temp(s.bases)
	if err != nil {
		t.Fatal(err)
	}
	removed, err := s.Sweep(map[string]bool{imageA: true})
	if err != nil || len(removed) != 5 {
		t.Errorf("removed %q, %v", removed, err)
	}
	if _, err := os.Stat(busy); err != nil {
		t.Errorf("a build under way was swept: %v", err)
	}
	done()
	names(t, s.bases, imageA)
	names(t, s.layers, a[0].ChainID)
	// With a damaged base nothing is known of layers: they stay.
	if err := os.WriteFile(filepath.Join(s.bases, strings.TrimPrefix(imageA, "sha256:"), "base.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if removed, err := s.Sweep(map[string]bool{imageA: true}); err != nil || len(removed) != 0 {
		t.Errorf("removed %q, %v", removed, err)
	}
}
