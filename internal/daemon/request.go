package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/errs"
	"silo/internal/filter"
)

// maxBody is the most bytes of JSON that a request may bring.
const maxBody = 4 << 20

// request is an API request: what the router found out about it.
type request struct {
	*http.Request
	version version
	name    string     // what stands for the {…} in the route's path
	query   url.Values // Docker's clients send all parameters in the URL
}

func (r *request) str(key string) string { return r.query.Get(key) }

// flag is a truth value as Docker reads one: anything but nothing and no.
func (r *request) flag(key string) bool {
	switch strings.ToLower(strings.TrimSpace(r.query.Get(key))) {
	case "", "0", "no", "false", "none":
		return false
	}
	return true
}

func (r *request) flagOr(key string, def bool) bool {
	if !r.query.Has(key) {
		return def
	}
	return r.flag(key)
}

func (r *request) filters() (filter.Args, error) { return filter.Parse(r.query.Get("filters")) }

// integer gives nil if the parameter is not there.
func (r *request) integer(key string) (*int, error) {
	s := r.query.Get(key)
	if s == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return nil, errs.Invalidf("parameter %s=%s: give a whole number", key, s)
	}
	return &n, nil
}

// size reads the terminal size h and w.
func (r *request) size() (height, width uint16, err error) {
	for _, p := range []struct {
		key, name string
		to        *uint16
	}{{"h", "height", &height}, {"w", "width", &width}} {
		n, err := strconv.ParseUint(r.query.Get(p.key), 10, 16)
		if err != nil {
			return 0, 0, errs.Invalidf("invalid resize %s %q: give a number from 0 to %d", p.name, r.query.Get(p.key), math.MaxUint16)
		}
		*p.to = uint16(n)
	}
	return height, width, nil
}

// time reads Docker's timestamps, seconds with an optional fraction. Clients
// turn other forms into that. Absent is the zero time.
func (r *request) time(key string) (time.Time, error) {
	s := r.query.Get(key)
	if s == "" {
		return time.Time{}, nil
	}
	whole, frac, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err == nil && frac != "" {
		frac = (frac + "000000000")[:9]
		var ns int64
		if ns, err = strconv.ParseInt(frac, 10, 64); err == nil && ns >= 0 {
			return time.Unix(sec, ns), nil
		}
	}
	if err != nil {
		return time.Time{}, errs.Invalidf("parameter %s=%s: give seconds since 1970, such as 1136073600.000000001", key, s)
	}
	return time.Unix(sec, 0), nil
}

// refuse answers for parameters that Docker has and Silo does not.
func (r *request) refuse(keys ...string) error {
	for _, k := range keys {
		if r.query.Get(k) != "" {
			return errs.New(errs.NotSupported, "parameter %s is not supported", k)
		}
	}
	return nil
}

// ociPlatform reads a platform that is sent as a JSON object, since the API
// version that brought it, and gives it as os/arch[/variant].
func (r *request) ociPlatform(since int) (string, error) {
	s := r.query.Get("platform")
	if s == "" || r.version.before(since) {
		return "", nil
	}
	var p ocispec.Platform
	if err := json.Unmarshal([]byte(s), &p); err != nil || p.OS == "" || p.Architecture == "" {
		return "", errs.Invalidf(`parameter platform=%s: give an object such as {"os":"linux","architecture":"amd64"}`, s)
	}
	out := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		out += "/" + p.Variant
	}
	return out, nil
}

// body reads a JSON body whole, so that nothing of it is left on a connection
// that gets hijacked. An empty body gives nil.
func (r *request) body(w http.ResponseWriter) ([]byte, error) {
	ct := r.Header.Get("Content-Type")
	if ct == "" && r.ContentLength == 0 {
		return nil, nil
	}
	mt, _, err := mime.ParseMediaType(ct)
	if err != nil {
		return nil, errs.Invalidf("malformed Content-Type header (%s): %v", ct, err)
	}
	if mt != "application/json" {
		return nil, errs.Invalidf("unsupported Content-Type header (%s): must be 'application/json'", ct)
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return nil, errs.Invalidf("the request body is larger than %d bytes", maxBody)
	}
	if err != nil {
		return nil, errs.Invalidf("read the request body: %v", err)
	}
	return data, nil
}

// optionalJSON decodes a JSON body into v, which stays as it is if there is
// none.
func (r *request) optionalJSON(w http.ResponseWriter, v any) error {
	data, err := r.body(w)
	if err != nil || len(data) == 0 && r.ContentLength <= 0 {
		return err
	}
	return decodeJSON(data, v)
}

func decodeJSON(data []byte, v any) error {
	if len(bytes.TrimSpace(data)) == 0 {
		return errs.Invalidf("invalid JSON: got EOF while reading request body")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(v); err != nil {
		text := strings.ReplaceAll(err.Error(), "\n", " ")
		if errors.Is(err, io.ErrUnexpectedEOF) {
			text = "it ends too early"
		}
		return errs.Invalidf("invalid JSON: %s", text)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errs.Invalidf("unexpected content after JSON")
	}
	return nil
}
