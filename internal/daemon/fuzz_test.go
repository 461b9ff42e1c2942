package daemon

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"silo/internal/engine"
	"silo/internal/linux"
)

// FuzzRequest makes any request. A handler that panics gives 500, and an
// error is always JSON with a message of one line.
func FuzzRequest(f *testing.F) {
	for _, r := range routes {
		f.Add(r.method, "/v1.44"+r.path, `filters={"label":["a=b"]}&t=1&h=2&w=3`, `{"Image":"core","Cmd":["sh"]}`)
	}
	f.Add("POST", "/containers/create", "name=x", `{"Image":"x","ExposedPorts":{"80/tcp":{}},"HostConfig":{"PortBindings":{"80/tcp":[{"HostIp":"::","HostPort":"1"}]},"Mounts":[{"Type":"volume"}]},"NetworkingConfig":{"EndpointsConfig":{"a":null}}}`)
	f.Add("POST", "/v1.40/containers/create", "", `{"MacAddress":"02:00:00:00:00:00","Healthcheck":{"Interval":1},"HostConfig":{"NetworkMode":"container:x"}}`)
	f.Add("GET", "/v1.99/../x", "%zz", "")
	b := &stub{}
	b.attach = func(context.Context, engine.AttachOptions, engine.Hijack) error { return nil }
	s := NewServer(b, discard(), Build{})
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		if path == "" || path[0] != '/' || strings.ContainsAny(method, " \r\n\t") || method == "" {
			return // no request
		}
		r := httptest.NewRequest("GET", "/", strings.NewReader(body))
		r.Method, r.URL = method, &url.URL{Path: path, RawQuery: query}
		r.Header.Set("Content-Type", "application/json")
		r = r.WithContext(context.WithValue(t.Context(), peerKey{}, &linux.Peer{UID: 0}))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		b.calls = nil
		if w.Code < 400 {
			return
		}
		var m struct{ Message string }
		if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || m.Message == "" || strings.Contains(m.Message, "\n") {
			t.Errorf("%d: %q %v", w.Code, w.Body, err)
		}
		// The stub has no log to read.
		if w.Code == 500 && !strings.HasSuffix(path, "/logs") {
			t.Errorf("500: %s", w.Body)
		}
	})
}
