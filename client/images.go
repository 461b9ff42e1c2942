package client

import (
	"context"
	"io"
	"net/url"
	"strings"

	"silo/client/image"
)

func img(ref, rest string) string {
	// A slash in a name is part of the path in Docker's API.
	return "/images/" + strings.ReplaceAll(url.PathEscape(ref), "%2F", "/") + rest
}

// AuthConfig is credentials for a registry; the X-Registry-Auth header is its
// JSON in URL-safe base64.
type AuthConfig struct {
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	Auth          string `json:"auth,omitempty"` // base64 of name:password, in Docker's file only
	ServerAddress string `json:"serveraddress,omitempty"`
	IdentityToken string `json:"identitytoken,omitempty"`
	RegistryToken string `json:"registrytoken,omitempty"`
}

// Images lists images.
func (c *Client) Images(ctx context.Context, all bool, f Filters) (out []image.Summary, err error) {
	return out, c.get(ctx, "/images/json", f.add(query("all", flag(all))), &out)
}

// ImageInspect describes an image.
func (c *Client) ImageInspect(ctx context.Context, ref string) (Raw[image.InspectResponse], error) {
	return raw[image.InspectResponse](ctx, c, img(ref, "/json"), nil)
}

// ImageHistory lists the steps that made an image.
func (c *Client) ImageHistory(ctx context.Context, ref string) (out []image.HistoryResponseItem, err error) {
	return out, c.get(ctx, img(ref, "/history"), nil, &out)
}

// ImagePull fetches an image; the stream is of jsonstream.Message. auth is a
// value for the X-Registry-Auth header, "" for none.
func (c *Client) ImagePull(ctx context.Context, name, tag, platform, auth string) (io.ReadCloser, error) {
	r := &request{method: "POST", path: "/images/create", query: query("fromImage", name, "tag", tag, "platform", platform)}
	r.auth(auth)
	return c.stream(ctx, r)
}

func (r *request) auth(auth string) {
	if auth != "" {
		r.set("X-Registry-Auth", auth)
	}
}

// ImagePush sends an image to its registry; the stream is of
// jsonstream.Message. platform is JSON of an OCI platform, or "".
func (c *Client) ImagePush(ctx context.Context, name, tag, platform, auth string) (io.ReadCloser, error) {
	r := &request{method: "POST", path: img(name, "/push"), query: query("tag", tag, "platform", platform)}
	r.auth(auth)
	return c.stream(ctx, r)
}

// ImageImport makes an image of a root file system tar. source is a URL that
// the daemon fetches, or "-" for tar.
func (c *Client) ImageImport(ctx context.Context, source, repo, tag, message, platform string, changes []string, tar io.Reader) (io.ReadCloser, error) {
	q := query("fromSrc", source, "repo", repo, "tag", tag, "message", message, "platform", platform)
	for _, change := range changes {
		q.Add("changes", change)
	}
	r := &request{method: "POST", path: "/images/create", query: q, stream: tar}
	return c.stream(ctx, r)
}

// ImageLoad brings in images of an archive; the stream is of
// jsonstream.Message.
func (c *Client) ImageLoad(ctx context.Context, quiet bool, tar io.Reader) (io.ReadCloser, error) {
	r := &request{method: "POST", path: "/images/load", query: query("quiet", flag(quiet)), stream: tar}
	r.set("Content-Type", "application/x-tar")
	return c.stream(ctx, r)
}

// ImageSave streams an archive of images.
func (c *Client) ImageSave(ctx context.Context, refs []string) (io.ReadCloser, error) {
	return c.stream(ctx, &request{method: "GET", path: "/images/get", query: url.Values{"names": refs}})
}

// ImageTag gives an image one more name.
func (c *Client) ImageTag(ctx context.Context, source, repo, tag string) error {
	return c.post(ctx, img(source, "/tag"), query("repo", repo, "tag", tag), nil, nil)
}

// ImagesPrune removes images without a name, or all that no container uses.
func (c *Client) ImagesPrune(ctx context.Context, f Filters) (out image.PruneReport, err error) {
	return out, c.post(ctx, "/images/prune", f.add(url.Values{}), nil, &out)
}

// ImageRemove takes a name away, and the image with its last one.
func (c *Client) ImageRemove(ctx context.Context, ref string, force, noPrune bool) (out []image.DeleteResponse, err error) {
	return out, c.call(ctx, "DELETE", img(ref, ""), query("force", flag(force), "noprune", flag(noPrune)), nil, &out)
}
