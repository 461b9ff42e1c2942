package daemon

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"silo/internal/errs"
)

// fetcher gets archives to import. The whole may take as long as it wants; what
// waits for an answer is bounded.
var fetcher = &http.Client{Transport: &http.Transport{
	Proxy:                 http.ProxyFromEnvironment,
	DialContext:           (&net.Dialer{Timeout: 30 * time.Second}).DialContext,
	TLSHandshakeTimeout:   30 * time.Second,
	ResponseHeaderTimeout: time.Minute,
	DisableKeepAlives:     true,
	DisableCompression:    true, // the archive as it is: import knows what it is packed with
}}

// withoutPassword is an address as an image's history may show it.
func withoutPassword(src string) string {
	if u, err := url.Parse(src); err == nil && u.User != nil {
		u.User = nil
		return u.String()
	}
	return src
}

// fetch opens what an address gives. One without a scheme is taken for http, as
// Docker does.
func fetch(ctx context.Context, src string) (io.ReadCloser, error) {
	address := src
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errs.Invalidf("import from %q: want - and an archive as the body, or an address of http or https", src)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errs.Invalidf("import from %q: %v", src, err)
	}
	resp, err := fetcher.Do(req)
	if err != nil {
		return nil, errs.New(errs.Unavailable, "import: %v", err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, errs.New(errs.Unavailable, "import from %s: its server answers %s", u.Redacted(), resp.Status)
	}
	return resp.Body, nil
}
