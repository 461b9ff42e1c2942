package daemon

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// An archive is fetched from an address, as it is, and what goes wrong there is
// said.
func TestImportFromAnAddress(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/root.tar" {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, "tarball "+r.Header.Get("Accept-Encoding"))
	}))
	defer site.Close()
	b := &stub{}
	d := start(t, b)
	for _, address := range []string{site.URL, strings.TrimPrefix(site.URL, "http://")} {
		b.calls = nil
		resp, body := d.do(t, "POST", "/images/create?fromSrc="+address+"/root.tar&repo=r", "")
		want := []any{call{"ImageImport", []any{"r", "Imported from " + address + "/root.tar", "", []string(nil), "tarball "}}}
		if diff := cmp.Diff(want, b.calls); diff != "" || resp.StatusCode != 200 {
			t.Errorf("%s: %d %s (-want +got):\n%s", address, resp.StatusCode, body, diff)
		}
	}
	b.calls = nil
	resp, body := d.do(t, "POST", "/images/create?fromSrc="+site.URL+"/gone.tar", "")
	if resp.StatusCode != 503 || !strings.Contains(body, "/gone.tar: its server answers 404 Not Found") || len(b.calls) > 0 {
		t.Errorf("%d %s, %v", resp.StatusCode, body, b.calls)
	}
	site.Close()
	if resp, body = d.do(t, "POST", "/images/create?fromSrc="+site.URL+"/root.tar", ""); resp.StatusCode != 503 || !strings.Contains(body, "refused") {
		t.Errorf("no server: %d %s", resp.StatusCode, body)
	}
}

// A repository without a tag is all of its images, as for `docker pull -a`.
func TestPullAll(t *testing.T) {
	b := &stub{}
	d := start(t, b)
	resp, body := d.do(t, "POST", "/images/create?fromImage=reg:5000/app&platform=linux/arm64", "")
	want := []any{
		call{"ImageTags", []any{"reg:5000/app", nilAuth}},
		call{"ImagePull", []any{"reg:5000/app:1", "linux/arm64", nilAuth}},
		call{"ImagePull", []any{"reg:5000/app:2", "linux/arm64", nilAuth}},
	}
	if diff := cmp.Diff(want, b.calls); diff != "" || resp.StatusCode != 200 {
		t.Errorf("%d %s (-want +got):\n%s", resp.StatusCode, body, diff)
	}
}
