package image

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
	"silo/internal/testenv"
)

// TestPullRefuses has the registry answer in ways that must not be taken.
func TestPullRefuses(t *testing.T) {
	manifest := func(mediaType, body string) string {
		return memory(t, func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.Contains(r.URL.Path, "/manifests/") {
					h.ServeHTTP(w, r)
					return
				}
				w.Header().Set("Content-Type", mediaType)
				io.WriteString(w, body)
			})
		})
	}
	status := func(code int, body string) string {
		return memory(t, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(code)
				io.WriteString(w, body)
			})
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	oci := "application/vnd.oci.image.manifest.v1+json"
	for name, tt := range map[string]struct {
		host string
		kind errs.Kind
		want string
	}{
		"schema 1":      {manifest(dockerSchema1Sig, `{"schemaVersion":1}`), errs.NotSupported, "schema version 1"},
		"both":          {manifest(oci, `{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}`), errs.Invalid, "both an image and an index"},
		"no config":     {manifest(oci, `{"schemaVersion":2}`), errs.Invalid, "names no config"},
		"artifact":      {manifest(oci, `{"schemaVersion":2,"config":{"mediaType":"application/vnd.cncf.helm.config.v1+json"}}`), errs.NotSupported, "helm"},
		"no json":       {manifest(oci, `<html>`), errs.Invalid, "read manifest"},
		"huge":          {manifest(oci, strings.Repeat(" ", maxSmall+1)), errs.Invalid, "larger than"},
		"path as hash":  {manifest(oci, `{"schemaVersion":2,"config":{"digest":"sha256:../../etc/passwd"}}`), errs.Invalid, "digest"},
		"huge config":   {manifest(oci, `{"schemaVersion":2,"config":{"size":99999999999,"digest":"`+digest.FromString("").String()+`"}}`), errs.Invalid, "99999999999"},
		"unknown":       {memory(t, nil), errs.NotFound, "not found"},
		"denied":        {status(403, `{"errors":[{"code":"DENIED","message":"no"}]}`), errs.Forbidden, "denied: no"},
		"rate limit":    {status(429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`), errs.Unavailable, "slow down"},
		"broken":        {status(500, "oops"), errs.Unavailable, "oops"},
		"nobody there":  {nobody, errs.Unavailable, "cannot be reached"},
		"no such digit": {"127.0.0.1:1", errs.Unavailable, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newStore(t)
			err := f.ImagePull(t.Context(), tt.host+"/x:1", "", nil, nil)
			if !errs.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "pull "+tt.host+"/x:1: ") {
				t.Errorf("kind %d: %v, want %q", errs.KindOf(err), err, tt.want)
			}
			for _, b := range f.blobNames(t) {
				if strings.HasPrefix(b, "sha256/") || strings.HasPrefix(b, "ingest/") {
					t.Errorf("kept %s", b)
				}
			}
		})
	}
}

// TestPlainHTTP: nothing goes in the clear but to loopback and where it is
// asked for, even where a registry redirects to.
func TestPlainHTTP(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost:5000": true, "127.0.0.1": true, "127.8.9.1:80": true, "[::1]:5000": true, "10.0.0.1:5000": false, "localhost.example": false, "example.org": false,
	} {
		if isLoopback(host) != want {
			t.Errorf("isLoopback(%q) is %v", host, !want)
		}
	}
	list := []string{"reg.example", "other.example:5000", "10.1.0.0/16"}
	for host, want := range map[string]bool{
		"reg.example:80": true, "reg.example": true, "other.example:5000": true, "other.example": false, "other.example:80": false, "10.1.2.3:5000": true, "10.2.0.1": false,
	} {
		if listed(host, list) != want {
			t.Errorf("listed(%q) is %v", host, !want)
		}
	}
	asked := false
	g := schemeGuard{roundTripper(func(*http.Request) (*http.Response, error) { asked = true; return nil, io.EOF }), false}
	_, err := g.RoundTrip(httptest.NewRequest("GET", "http://10.0.0.1/v2/", nil))
	if !errs.Is(err, errs.Forbidden) || asked {
		t.Errorf("%v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestNoSpace fills a small file system: the error says so, nothing is left.
func TestNoSpace(t *testing.T) {
	testenv.NeedRoot(t)
	data := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", data).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", data).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	host := memory(t, nil)
	remoteImage(t, host+"/x:1", 400_000, 2)
	f := open(t, data, newBases())
	big := dockerArchive(t, []string{"x"}, tarOf(t, "a", strings.Repeat("x", 500_000)))
	for name, err := range map[string]error{
		"pull":   f.ImagePull(t.Context(), host+"/x:1", "", nil, nil),
		"load":   f.ImageLoad(t.Context(), bytes.NewReader(big), true, nil),
		"import": f.ImageImport(t.Context(), "x", "", "", nil, bytes.NewReader(big), nil),
	} {
		if !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("%s: %v", name, err)
		}
	}
	f.clean(t)
	if fi, err := os.ReadDir(filepath.Join(data, "blobs", "partial")); err != nil || len(fi) > 0 {
		t.Errorf("%v %v", fi, err)
	}
}
