package image

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/moby/moby/api/types/registry"

	"silo/internal/errs"
)

// userAgent is how Silo introduces itself to registries.
const userAgent = "silo"

// remoteRepo is a repository of a registry and the way to it.
type remoteRepo struct {
	name.Repository
	auth authn.Authenticator
	base *http.Transport
	rt   http.RoundTripper // base, refusing plain HTTP where it is not allowed
}

// remote prepares to talk to the registry of a name. close frees connections.
func (s *Store) remote(named reference.Named, auth *registry.AuthConfig) (*remoteRepo, error) {
	host := reference.Domain(named)
	plain := isLoopback(host) || listed(host, s.opt.InsecureRegistries)
	opts := []name.Option{name.StrictValidation}
	if plain {
		opts = append(opts, name.Insecure)
	}
	repo, err := name.NewRepository(reference.TrimNamed(named).String(), opts...)
	if err != nil {
		return nil, errs.Invalidf("%s: %v", familiar(named.String()), err)
	}
	a, err := authenticator(auth)
	if err != nil {
		return nil, err
	}
	base := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	if plain {
		base.TLSClientConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12} // the user asked for it, by name
	}
	return &remoteRepo{repo, a, base, transport.NewUserAgent(schemeGuard{base, plain}, userAgent)}, nil
}

func (r *remoteRepo) close() { r.base.CloseIdleConnections() }

// client logs in for pulling and gives a client whose requests to the
// registry are authorised, and go to http where https is not spoken.
func (r *remoteRepo) client(ctx context.Context) (*http.Client, error) {
	rt, err := transport.NewWithContext(ctx, r.Registry, r.auth, r.rt, []string{r.Scope(transport.PullScope)})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: rt}, nil
}

func (r *remoteRepo) url(kind, what string) string {
	return (&url.URL{Scheme: "https", Host: r.RegistryStr(), Path: "/v2/" + r.RepositoryStr() + "/" + kind + "/" + what}).String()
}

// schemeGuard refuses to send anything in the clear, whoever redirects there;
// the registry library would for every private address.
type schemeGuard struct {
	inner http.RoundTripper
	plain bool
}

func (g schemeGuard) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && !g.plain && !isLoopback(r.URL.Host) {
		return nil, errs.New(errs.Forbidden, "plain HTTP to %s is refused: list it as an insecure registry to allow it", r.URL.Host)
	}
	return g.inner.RoundTrip(r)
}

func hostOf(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return strings.Trim(hostport, "[]")
}

func isLoopback(hostport string) bool {
	h := hostOf(hostport)
	if h == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(h)
	return err == nil && a.IsLoopback()
}

// listed tells whether a registry is one of those named: "host" with any
// port, "host:port", or an address range.
func listed(hostport string, list []string) bool {
	a, err := netip.ParseAddr(hostOf(hostport))
	for _, l := range list {
		if l == hostport || l == hostOf(hostport) {
			return true
		}
		if p, perr := netip.ParsePrefix(l); perr == nil && err == nil && p.Contains(a) {
			return true
		}
	}
	return false
}

func authenticator(a *registry.AuthConfig) (authn.Authenticator, error) {
	if a == nil {
		return authn.Anonymous, nil
	}
	c := authn.AuthConfig{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken}
	if a.Auth != "" && c.Username == "" && c.Password == "" {
		raw, err := base64.StdEncoding.DecodeString(a.Auth)
		user, password, ok := strings.Cut(string(raw), ":")
		if err != nil || !ok {
			return nil, errs.Invalidf("the auth field of the credentials is not base64 of user:password")
		}
		c.Username, c.Password = user, password
	}
	if c == (authn.AuthConfig{}) {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(c), nil
}

// remoteError gives an error of a registry its kind and says in Docker's words
// what it means for ref, a familiar name.
func remoteError(err error, host, ref string) error {
	var te *transport.Error
	switch {
	case err == nil:
		return nil
	case errs.KindOf(err) != errs.Internal, isHost(err), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return noSpace(err)
	case errors.As(err, &te):
		return statusError(te, host, ref)
	}
	var ne net.Error
	var ue *url.Error
	if errors.As(err, &ne) || errors.As(err, &ue) {
		return errs.New(errs.Unavailable, "registry %s cannot be reached: %w", host, err)
	}
	return fmt.Errorf("registry %s: %w", host, err)
}

func statusError(te *transport.Error, host, ref string) error {
	text := te.Error()
	var codes []string
	for _, d := range te.Errors {
		codes = append(codes, string(d.Code))
		text = strings.ToLower(strings.ReplaceAll(string(d.Code), "_", " ")) + ": " + d.Message
	}
	has := func(c transport.ErrorCode) bool {
		for _, x := range codes {
			if x == string(c) {
				return true
			}
		}
		return false
	}
	repo, _, _ := strings.Cut(ref, "@")
	if i := strings.LastIndexByte(repo, ':'); i > strings.LastIndexByte(repo, '/') {
		repo = repo[:i]
	}
	denied := fmt.Sprintf("access to the resource is denied for %s, repository does not exist or may require credentials: %s", repo, text)
	switch {
	case has(transport.DeniedErrorCode), te.StatusCode == http.StatusForbidden:
		return errs.New(errs.Forbidden, "%s", denied)
	case has(transport.UnauthorizedErrorCode), te.StatusCode == http.StatusUnauthorized:
		return errs.New(errs.Unauthorized, "%s", denied)
	case te.StatusCode == http.StatusNotFound:
		return errs.NotFoundf("manifest for %s not found: %s", ref, text)
	case te.StatusCode == http.StatusTooManyRequests, te.StatusCode >= 500:
		return errs.New(errs.Unavailable, "registry %s: %s", host, text)
	}
	return fmt.Errorf("registry %s: %s", host, text)
}
