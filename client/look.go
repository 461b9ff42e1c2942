package client

import (
	"context"
	"net/url"
	"strconv"

	"silo/api"
	"silo/client/container"
)

// Properties compares a container from inside and from the host.
func (c *Client) Properties(ctx context.Context, ref string) (out api.Properties, err error) {
	return out, c.get(ctx, "/silo/properties/"+url.PathEscape(ref), nil, &out)
}

// Session shows one session with its processes.
func (c *Client) Session(ctx context.Context, number uint32) (out api.SessionDetail, err error) {
	return out, c.get(ctx, "/silo/sessions/"+strconv.FormatUint(uint64(number), 10), nil, &out)
}

// SessionLog gives what the host's logs hold of a session, oldest first.
func (c *Client) SessionLog(ctx context.Context, number uint32) (out []api.SessionRecord, err error) {
	return out, c.get(ctx, "/silo/sessions/"+strconv.FormatUint(uint64(number), 10)+"/log", nil, &out)
}

// ToolCreate prepares a tool of the image core in a running container and
// gives its id, which is an exec's.
func (c *Client) ToolCreate(ctx context.Context, ref string, r container.ExecCreateRequest) (string, error) {
	m, err := c.answerOf(ctx, "POST", "/silo/tools/"+url.PathEscape(ref), nil, r)
	id, _ := m["Id"].(string)
	return id, err
}
