package image

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
	"silo/internal/testenv"
)

// memory starts a registry in this process. wrap, if not nil, stands before it.
func memory(t testing.TB, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	h := ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		h = wrap(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// The password is "sesame".
const htpasswd = "silo:$2b$04$abcdefghijklmnopqrstuuinwY/tkBVrn3xrxQI/TgnMHhkvl85RW\n"

// debianRegistry starts Debian's docker-registry on loopback.
func debianRegistry(t testing.TB, auth bool) string {
	t.Helper()
	testenv.NeedCommand(t, "docker-registry", "docker-registry")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	dir := t.TempDir()
	config := fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %s}\nlog: {level: error}\n", filepath.Join(dir, "data"), addr)
	if auth {
		write(t, filepath.Join(dir, "htpasswd"), htpasswd)
		config += fmt.Sprintf("auth: {htpasswd: {realm: test, path: %s}}\n", filepath.Join(dir, "htpasswd"))
	}
	write(t, filepath.Join(dir, "config.yml"), config)
	var out bytes.Buffer
	cmd := exec.Command("docker-registry", "serve", filepath.Join(dir, "config.yml"))
	cmd.Stdout, cmd.Stderr, cmd.Env = &out, &out, []string{"OTEL_TRACES_EXPORTER=none"}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("docker-registry: %s", out.Bytes())
		}
	})
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr
		}
		if time.Now().After(deadline) {
			t.Fatalf("docker-registry does not listen: %s", out.Bytes())
		}
	}
}

// TestPushPull sends an image out and takes it into another store, with
// layers packed in each way.
func TestPushPull(t *testing.T) {
	for name, start := range map[string]func(testing.TB) string{
		"memory": func(t testing.TB) string { return memory(t, nil) },
		"debian": func(t testing.TB) string { return debianRegistry(t, false) },
	} {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			f := newStore(t)
			layers := [][]byte{
				pack(t, "gzip", tarOf(t, "a", strings.Repeat("1", 300_000))),
				pack(t, "zstd", tarOf(t, "b", "2")), tarOf(t, "c", "3"), pack(t, "gzip", tarOf(t, "d", "4")),
			}
			want := f.mustLoad(t, dockerArchive(t, []string{host + "/team/app:1", host + "/team/app:2"}, layers...))
			var out messages
			if err := f.ImagePush(t.Context(), host+"/team/app:1", "", nil, out.add); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(out.text(), " Pushed\n"); n != len(layers) {
				t.Errorf("%d layers pushed:\n%s", n, out.text())
			}
			out = messages{}
			if err := f.ImagePush(t.Context(), host+"/team/app", "", nil, out.add); err != nil {
				t.Fatal(err)
			}
			for _, line := range []string{"Layer already exists", " 1: digest: " + want.Manifest, " 2: digest: " + want.Manifest} {
				if !strings.Contains(out.text(), line) {
					t.Errorf("no %q in\n%s", line, out.text())
				}
			}
			g := newStore(t)
			if tags, err := g.ImageTags(t.Context(), host+"/team/app", nil); err != nil || !slices.Equal(slices.Sorted(slices.Values(tags)), []string{"1", "2"}) {
				t.Errorf("tags of the repository: %v, %v", tags, err)
			}
			var in messages
			if err := g.ImagePull(t.Context(), host+"/team/app:1", "", nil, in.add); err != nil {
				t.Fatal(err)
			}
			got, err := g.Resolve(host + "/team/app:1")
			if err != nil {
				t.Fatal(err)
			}
			want, _ = f.Resolve(host + "/team/app:1")
			want.RepoTags = []string{host + "/team/app:1"}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
			id := shortID(digest.FromBytes(layers[0]))
			for _, line := range []string{
				"1 Pulling from " + host + "/team/app", id + " Pulling fs layer", id + " Downloading", id + " Verifying Checksum", id + " Download complete",
				id + " Extracting", id + " Pull complete", " Digest: " + want.Manifest, " Status: Downloaded newer image for " + host + "/team/app:1",
			} {
				if !strings.Contains(in.text(), line+"\n") {
					t.Errorf("no %q in\n%s", line, in.text())
				}
			}
			in = messages{}
			if err := g.ImagePull(t.Context(), host+"/team/app:1", "", nil, in.add); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(in.text(), "Status: Image is up to date for ") || strings.Contains(in.text(), "Pulling fs layer") {
				t.Error(in.text())
			}
			if err := g.ImagePull(t.Context(), host+"/team/app@"+want.Manifest, "", nil, nil); err != nil {
				t.Error(err)
			}
			if g.bases.builds != 1 {
				t.Errorf("base built %d times", g.bases.builds)
			}
			if _, err := g.ImageRemove(t.Context(), host+"/team/app:1", false, false); err != nil {
				t.Fatal(err)
			}
			g.clean(t)
		})
	}
}

func TestRegistryAuth(t *testing.T) {
	host := debianRegistry(t, true)
	f := newStore(t)
	f.mustLoad(t, dockerArchive(t, []string{host + "/x:1"}, tarOf(t, "a", "1")))
	good := &registry.AuthConfig{Username: "silo", Password: "sesame"}
	for name, a := range map[string]*registry.AuthConfig{"none": nil, "wrong": {Username: "silo", Password: "x"}} {
		if err := f.ImagePush(t.Context(), host+"/x:1", "", a, nil); !errs.Is(err, errs.Unauthorized) {
			t.Errorf("push, %s: %v", name, err)
		}
		if err := f.ImagePull(t.Context(), host+"/x:1", "", a, nil); !errs.Is(err, errs.Unauthorized) || !strings.Contains(err.Error(), "may require credentials") {
			t.Errorf("pull, %s: %v", name, err)
		}
	}
	if err := f.ImagePush(t.Context(), host+"/x:1", "", good, nil); err != nil {
		t.Fatal(err)
	}
	base64 := &registry.AuthConfig{Auth: "c2lsbzpzZXNhbWU="}
	if err := newStore(t).ImagePull(t.Context(), host+"/x:1", "", base64, nil); err != nil {
		t.Error(err)
	}
	if err := f.ImagePull(t.Context(), host+"/nothing:1", "", good, nil); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
}

// TestPullForeign takes images that another client pushed, in both formats,
// plain and as an index; what is pushed back is still valid there.
func TestPullForeign(t *testing.T) {
	host := memory(t, nil)
	put := func(ref string, what remote.Taggable) {
		t.Helper()
		r, _ := name.ParseReference(host + "/" + ref)
		var err error
		switch w := what.(type) {
		case v1.ImageIndex:
			err = remote.WriteIndex(r, w)
		case v1.Image:
			err = remote.Write(r, w)
		default:
			err = remote.Put(r, what)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	idx := v1.ImageIndex(empty.Index)
	ids := map[string]string{}
	for _, arch := range []string{"amd64", "arm64", "s390x"} {
		img, err := random.Image(500, 3)
		if err != nil {
			t.Fatal(err)
		}
		cf, _ := img.ConfigFile()
		cf.OS, cf.Architecture = "linux", arch
		img, _ = mutate.ConfigFile(img, cf)
		h, _ := img.ConfigName()
		ids[arch] = h.String()
		idx = mutate.AppendManifests(idx, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
		put("single:"+arch, img)
	}
	put("multi:1", idx)
	f := newStore(t)
	f.platform.Architecture = "amd64"
	for platform, arch := range map[string]string{"": "amd64", "linux/arm64": "arm64", "arm64": "arm64", "linux/s390x": "s390x"} {
		if err := f.ImagePull(t.Context(), host+"/multi:1", platform, nil, nil); err != nil {
			t.Fatal(err)
		}
		if img, err := f.Resolve(host + "/multi:1"); err != nil || img.ID != ids[arch] {
			t.Errorf("platform %q: %v %v", platform, img.ID, err)
		}
	}
	h, _ := idx.Digest()
	if err := f.ImagePull(t.Context(), host+"/multi@"+h.String(), "", nil, nil); err != nil {
		t.Error(err)
	}
	if img, err := f.Resolve(host + "/multi@" + h.String()); err != nil || img.ID != ids["amd64"] {
		t.Errorf("by digest: %v %v", img.ID, err)
	}
	err := f.ImagePull(t.Context(), host+"/multi:1", "linux/riscv64", nil, nil)
	if !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "linux/riscv64") || !strings.Contains(err.Error(), "there is linux/amd64, linux/arm64, linux/s390x") {
		t.Errorf("%v", err)
	}
	err = f.ImagePull(t.Context(), host+"/single:arm64", "linux/amd64", nil, nil)
	if !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "it is for linux/arm64") {
		t.Errorf("%v", err)
	}
	if err := f.ImagePull(t.Context(), host+"/single:amd64", "linux/amd64", nil, nil); err != nil {
		t.Error(err)
	}
	if err := f.ImageTag(t.Context(), host+"/single:amd64", host+"/back:1"); err != nil {
		t.Fatal(err)
	}
	if err := f.ImagePush(t.Context(), host+"/back:1", "linux/amd64", nil, nil); err != nil {
		t.Fatal(err)
	}
	r, _ := name.ParseReference(host + "/back:1")
	back, err := remote.Image(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(back); err != nil {
		t.Error(err)
	}
	if err := f.ImagePush(t.Context(), host+"/back:1", "linux/arm64", nil, nil); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
	if err := f.ImagePush(t.Context(), host+"/unknown:1", "", nil, nil); !errs.Is(err, errs.NotFound) {
		t.Errorf("%v", err)
	}
}

// remoteImage pushes a random image and gives its manifest.
func remoteImage(t testing.TB, ref string, size int64, layers int64) (v1.Image, *v1.Manifest) {
	t.Helper()
	img, err := random.Image(size, layers)
	if err != nil {
		t.Fatal(err)
	}
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(r, img); err != nil {
		t.Fatal(err)
	}
	m, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return img, m
}

// TestPullResumes cuts every layer in the middle; each request must ask only
// for what is missing.
func TestPullResumes(t *testing.T) {
	var cuts, ranges atomic.Int64
	host := memory(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
				h.ServeHTTP(w, r)
				return
			}
			if r.Header.Get("Range") != "" {
				ranges.Add(1)
				h.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			body := rec.Body.Bytes()
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			if len(body) > 10_000 {
				cuts.Add(1)
				body = body[:len(body)/2]
			}
			w.Write(body)
		})
	})
	_, m := remoteImage(t, host+"/x:1", 50_000, 3)
	f := newStore(t)
	if err := f.ImagePull(t.Context(), host+"/x:1", "", nil, nil); err != nil {
		t.Fatal(err)
	}
	if n := int64(len(m.Layers)); cuts.Load() != n || ranges.Load() < n {
		t.Errorf("%d cuts, %d ranges for %d layers", cuts.Load(), ranges.Load(), n)
	}
}

// breaking stands before a registry whose blobs go wrong in a given way.
func breaking(bad *atomic.Bool, how func(w http.ResponseWriter, r *http.Request, body []byte)) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !bad.Load() || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
				h.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			how(w, r, rec.Body.Bytes())
		})
	}
}

func TestPullCorrupted(t *testing.T) {
	for name, how := range map[string]func(http.ResponseWriter, *http.Request, []byte){
		"flipped":  func(w http.ResponseWriter, _ *http.Request, b []byte) { b[len(b)/2] ^= 1; w.Write(b) },
		"too long": func(w http.ResponseWriter, _ *http.Request, b []byte) { w.Write(append(b, 0)) },
		"other":    func(w http.ResponseWriter, _ *http.Request, b []byte) { w.Write(bytes.Repeat([]byte{7}, len(b))) },
	} {
		t.Run(name, func(t *testing.T) {
			var bad atomic.Bool
			host := memory(t, breaking(&bad, how))
			remoteImage(t, host+"/x:1", 20_000, 2)
			bad.Store(true)
			f := newStore(t)
			err := f.ImagePull(t.Context(), host+"/x:1", "", nil, nil)
			if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "verification failed") {
				t.Errorf("%v", err)
			}
			for _, b := range f.blobNames(t) {
				if strings.HasPrefix(b, "sha256/") {
					t.Errorf("kept %s", b)
				}
			}
			bad.Store(false)
			if err := f.ImagePull(t.Context(), host+"/x:1", "", nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// A partial file of an earlier pull that is not what it should be is started over.
func TestPullMendsPartial(t *testing.T) {
	host := memory(t, nil)
	_, m := remoteImage(t, host+"/x:1", 20_000, 2)
	f := newStore(t)
	write(t, f.blobs.partial(digest.Digest(m.Layers[0].Digest.String())), strings.Repeat("?", 5000))
	write(t, f.blobs.partial(digest.Digest(m.Layers[1].Digest.String())), strings.Repeat("?", 50_000))
	if err := f.ImagePull(t.Context(), host+"/x:1", "", nil, nil); err != nil {
		t.Fatal(err)
	}
}

func TestPullCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var bad atomic.Bool
	host := memory(t, breaking(&bad, func(w http.ResponseWriter, r *http.Request, b []byte) {
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		if len(b) < 10_000 {
			w.Write(b)
			return
		}
		w.Write(b[:len(b)/2])
		w.(http.Flusher).Flush()
		cancel()
		<-r.Context().Done()
	}))
	remoteImage(t, host+"/x:1", 50_000, 5)
	bad.Store(true)
	f := newStore(t)
	if err := f.ImagePull(ctx, host+"/x:1", "", nil, nil); err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("%v", err)
	}
	f.clean(t)
}

// TestPullTogether: pulls of one image at the same time fetch each layer once.
func TestPullTogether(t *testing.T) {
	var mu sync.Mutex
	got := map[string]int{}
	host := memory(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				mu.Lock()
				got[r.URL.Path]++
				mu.Unlock()
			}
			h.ServeHTTP(w, r)
		})
	})
	remoteImage(t, host+"/x:1", 30_000, 4)
	f := newStore(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := f.ImagePull(t.Context(), host+"/x:1", "", nil, nil); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	for path, n := range got {
		if n != 1 {
			t.Errorf("%s fetched %d times", path, n)
		}
	}
	if f.bases.builds != 1 {
		t.Errorf("base built %d times", f.bases.builds)
	}
	if _, err := f.ImageRemove(t.Context(), host+"/x:1", false, false); err != nil {
		t.Fatal(err)
	}
	f.clean(t)
}
