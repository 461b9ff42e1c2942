package image

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// A list of tags comes in pages, which are on one server.
func TestTagsInPages(t *testing.T) {
	next := ""
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		switch page := r.URL.Query().Get("last"); page {
		case "":
			w.Header().Set("Link", "<"+next+">; rel=\"next\"")
			fmt.Fprint(w, `{"name":"app","tags":["1","2"]}`)
		default:
			fmt.Fprintf(w, `{"name":"app","tags":["%s"]}`, page)
		}
	}))
	defer site.Close()
	f := newStore(t)
	name := strings.TrimPrefix(site.URL, "http://") + "/app"
	next = "/v2/app/tags/list?last=3"
	if tags, err := f.ImageTags(t.Context(), name, nil); err != nil || !slices.Equal(tags, []string{"1", "2", "3"}) {
		t.Errorf("two pages: %v, %v", tags, err)
	}
	next = "http://elsewhere.example/v2/app/tags/list?last=3"
	if tags, err := f.ImageTags(t.Context(), name, nil); err == nil || !strings.Contains(err.Error(), "elsewhere") {
		t.Errorf("a page on another server: %v, %v", tags, err)
	}
	if _, err := f.ImageTags(t.Context(), strings.TrimPrefix(site.URL, "http://")+"/%", nil); err == nil {
		t.Error("a name that is none is taken")
	}
}
