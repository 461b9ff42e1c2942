package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strconv"

	"silo/client/container"
)

// Filters is what listings take: key to alternatives.
type Filters map[string][]string

// add puts the filters into a query as Docker's JSON.
func (f Filters) add(q url.Values) url.Values {
	if len(f) > 0 {
		sets := make(map[string]map[string]bool, len(f))
		for k, values := range f {
			sets[k] = map[string]bool{}
			for _, v := range values {
				sets[k][v] = true
			}
		}
		data, _ := json.Marshal(sets)
		q.Set("filters", string(data))
	}
	return q
}

// query makes a query of key, value pairs, leaving out empty values.
func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// flag is "1" for true, to be left out of a query otherwise.
func flag(b bool) string {
	if b {
		return "1"
	}
	return ""
}

func ctr(ref, rest string) string { return "/containers/" + url.PathEscape(ref) + rest }

// ContainerCreate makes a container; name and platform may be empty.
func (c *Client) ContainerCreate(ctx context.Context, name, platform string, r *container.CreateRequest) (out container.CreateResponse, err error) {
	m, err := c.answerOf(ctx, "POST", "/containers/create", query("name", name, "platform", platform), r)
	out.ID, _ = m["Id"].(string)
	warnings, _ := m["Warnings"].([]any)
	for _, w := range warnings {
		out.Warnings = append(out.Warnings, fmt.Sprint(w))
	}
	return out, err
}

// ListOptions select containers; see the API.
type ListOptions struct {
	All, Size bool
	Limit     int
	Filters   Filters
}

// query is how the API takes the options.
func (o ListOptions) query() url.Values {
	q := query("all", flag(o.All), "size", flag(o.Size))
	if o.Limit > 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	return o.Filters.add(q)
}

// Containers lists containers, newest first.
func (c *Client) Containers(ctx context.Context, o ListOptions) (out []container.Summary, err error) {
	return out, c.get(ctx, "/containers/json", o.query(), &out)
}

// ContainerTable is Containers with what a table shows and nothing else: of many
// containers, labels, mounts and networks take most of the time to be read. each
// gets them one by one; the summary is its to keep.
func (c *Client) ContainerTable(ctx context.Context, o ListOptions, each func(*container.Summary)) error {
	resp, err := c.do(ctx, &request{method: "GET", path: "/containers/json", query: o.query()})
	if err != nil {
		return err
	}
	defer resp.end()
	if err := eachOf(resp, func(row *tableRow) {
		each(&container.Summary{
			ID: row.ID, Names: row.Names, Image: row.Image, ImageID: row.ImageID, Command: row.Command, Status: row.Status,
			Created: row.Created, SizeRw: row.SizeRw, SizeRootFs: row.SizeRootFs, Ports: row.Ports,
		})
	}); err != nil {
		return &LostError{Err: fmt.Errorf("GET /containers/json: %w", err)}
	}
	return nil
}

// tableRow is what a table shows of a container.
type tableRow struct {
	ID                              string `json:"Id"`
	Names                           []string
	Image, ImageID, Command, Status string
	Created, SizeRw, SizeRootFs     int64
	Ports                           []container.PortSummary
}

// eachOf reads a JSON list without ever holding all of it.
func eachOf[T any](r io.Reader, each func(*T)) error {
	d := json.NewDecoder(r)
	if first, err := d.Token(); err != nil || first == nil { // null is an empty list
		return unexpected(err)
	}
	for d.More() {
		v := new(T)
		if err := d.Decode(v); err != nil {
			return unexpected(err)
		}
		each(v)
	}
	_, err := d.Token() // its end
	return unexpected(err)
}

// ContainerInspect describes a container, with sizes if asked for.
func (c *Client) ContainerInspect(ctx context.Context, ref string, size bool) (Raw[container.InspectResponse], error) {
	return raw[container.InspectResponse](ctx, c, ctr(ref, "/json"), query("size", flag(size)))
}

// ContainerStart starts a container; one that runs is no error.
func (c *Client) ContainerStart(ctx context.Context, ref string) error {
	return unmodified(c.post(ctx, ctr(ref, "/start"), nil, nil, nil))
}

// unmodified takes away the error that says that nothing was to be done.
func unmodified(err error) error {
	if Status(err) == 304 {
		return nil
	}
	return err
}

// StopOptions say how to stop; Signal "" and Timeout nil are the container's.
// Timeout is in seconds, -1 waits for ever.
type StopOptions struct {
	Signal  string
	Timeout *int
}

func (o StopOptions) query() url.Values {
	q := query("signal", o.Signal)
	if o.Timeout != nil {
		q.Set("t", strconv.Itoa(*o.Timeout))
	}
	return q
}

// ContainerStop stops a container; one that does not run is no error.
func (c *Client) ContainerStop(ctx context.Context, ref string, o StopOptions) error {
	return unmodified(c.post(ctx, ctr(ref, "/stop"), o.query(), nil, nil))
}

// ContainerRestart stops and starts a container.
func (c *Client) ContainerRestart(ctx context.Context, ref string, o StopOptions) error {
	return c.post(ctx, ctr(ref, "/restart"), o.query(), nil, nil)
}

// ContainerKill sends a signal, by name or number; "" is KILL.
func (c *Client) ContainerKill(ctx context.Context, ref, signal string) error {
	return c.post(ctx, ctr(ref, "/kill"), query("signal", signal), nil, nil)
}

// ContainerRemove removes a container; force kills it first, volumes takes
// its anonymous volumes with it.
func (c *Client) ContainerRemove(ctx context.Context, ref string, force, volumes bool) error {
	return c.call(ctx, "DELETE", ctr(ref, ""), query("force", flag(force), "v", flag(volumes)), nil, nil)
}

// ContainerPause freezes a container.
func (c *Client) ContainerPause(ctx context.Context, ref string) error {
	return c.post(ctx, ctr(ref, "/pause"), nil, nil, nil)
}

// ContainerUnpause thaws it.
func (c *Client) ContainerUnpause(ctx context.Context, ref string) error {
	return c.post(ctx, ctr(ref, "/unpause"), nil, nil, nil)
}

// ContainerRename gives a container another name.
func (c *Client) ContainerRename(ctx context.Context, ref, name string) error {
	return c.post(ctx, ctr(ref, "/rename"), query("name", name), nil, nil)
}

// ContainerResize sets the size of a container's terminal.
func (c *Client) ContainerResize(ctx context.Context, ref string, height, width int) error {
	return c.post(ctx, ctr(ref, "/resize"), size(height, width), nil, nil)
}

func size(height, width int) url.Values {
	return query("h", strconv.Itoa(height), "w", strconv.Itoa(width))
}

// ContainerTop lists the processes of a container; args are of ps(1).
func (c *Client) ContainerTop(ctx context.Context, ref, args string) (out container.TopResponse, err error) {
	return out, c.get(ctx, ctr(ref, "/top"), query("ps_args", args), &out)
}

// ContainerUpdate changes limits and the restart policy.
func (c *Client) ContainerUpdate(ctx context.Context, ref string, u container.UpdateConfig) (out container.UpdateResponse, err error) {
	return out, c.post(ctx, ctr(ref, "/update"), nil, u, &out)
}

// ContainersPrune removes stopped containers.
func (c *Client) ContainersPrune(ctx context.Context, f Filters) (out container.PruneReport, err error) {
	return out, c.post(ctx, "/containers/prune", f.add(url.Values{}), nil, &out)
}

// ContainerStats streams samples as JSON values of container.StatsResponse;
// without stream there is one.
func (c *Client) ContainerStats(ctx context.Context, ref string, stream bool) (io.ReadCloser, error) {
	q := query("stream", strconv.FormatBool(stream))
	return c.stream(ctx, &request{method: "GET", path: ctr(ref, "/stats"), query: q})
}

// AttachOptions say which streams to join, live (Stream) or as logged.
type AttachOptions struct {
	Stream, Stdin, Stdout, Stderr, Logs bool
	DetachKeys                          string
}

// ContainerAttach joins the streams of a container.
func (c *Client) ContainerAttach(ctx context.Context, ref string, o AttachOptions) (*Stream, error) {
	q := query("stream", flag(o.Stream), "stdin", flag(o.Stdin), "stdout", flag(o.Stdout), "stderr", flag(o.Stderr),
		"logs", flag(o.Logs), "detachKeys", o.DetachKeys)
	return c.hijack(ctx, &request{method: "POST", path: ctr(ref, "/attach"), query: q})
}

// LogsOptions select what was written; times as Docker takes them.
type LogsOptions struct {
	Stdout, Stderr, Follow, Timestamps, Details bool
	Since, Until, Tail                          string
	Service                                     string // what one service of the container wrote; "" is all
}

// ContainerLogs streams what was written, framed unless the container has a
// terminal.
func (c *Client) ContainerLogs(ctx context.Context, ref string, o LogsOptions) (io.ReadCloser, error) {
	q := query("stdout", flag(o.Stdout), "stderr", flag(o.Stderr), "follow", flag(o.Follow), "timestamps", flag(o.Timestamps),
		"details", flag(o.Details), "since", o.Since, "until", o.Until, "tail", o.Tail, "silo-service", o.Service)
	return c.stream(ctx, &request{method: "GET", path: ctr(ref, "/logs"), query: q})
}

// Wait is a wait for the end of a container.
type Wait struct {
	c    *Client
	k    *conn
	r    *request
	ctx  context.Context
	body io.ReadCloser
}

// ContainerWait begins to wait for a condition. What happens after it has
// returned is not missed.
func (c *Client) ContainerWait(ctx context.Context, ref string, condition container.WaitCondition) (*Wait, error) {
	w, err := c.ContainerWaitAsk(ctx, ref, condition)
	if err != nil {
		return nil, err
	}
	return w, w.Begun()
}

// ContainerWaitAsk sends the request of ContainerWait and does not stay for
// the daemon's answer, which Begun does.
func (c *Client) ContainerWaitAsk(ctx context.Context, ref string, condition container.WaitCondition) (*Wait, error) {
	w := &Wait{c: c, ctx: ctx, r: &request{method: "POST", path: ctr(ref, "/wait"), query: query("condition", string(condition))}}
	var err error
	if w.k, err = c.take(ctx); err != nil {
		return nil, err
	}
	if err := w.k.send(w.r); err != nil {
		w.k.end()
		return nil, &LostError{Err: err}
	}
	return w, nil
}

// Begun returns when the daemon has begun to wait.
func (w *Wait) Begun() error {
	resp, err := w.c.answer(w.ctx, w.k, w.r, nil)
	if err != nil {
		return err
	}
	w.body = resp
	return nil
}

// Result waits for the end and gives the exit code.
func (w *Wait) Result() (int, error) {
	defer w.body.Close()
	var v any
	if err := json.NewDecoder(w.body).Decode(&v); err != nil {
		return 0, &LostError{Err: unexpected(err)}
	}
	m, _ := v.(map[string]any)
	failed, _ := m["Error"].(map[string]any)
	if msg, _ := failed["Message"].(string); msg != "" {
		return 0, fmt.Errorf("wait for the container: %s", msg)
	}
	code, ok := m["StatusCode"].(float64)
	if !ok {
		return 0, fmt.Errorf("wait for the container: the answer has no exit code: %v", v)
	}
	return int(code), nil
}

// ExecCreate prepares a command in a running container and gives its id.
func (c *Client) ExecCreate(ctx context.Context, ref string, r container.ExecCreateRequest) (string, error) {
	m, err := c.answerOf(ctx, "POST", ctr(ref, "/exec"), nil, r)
	id, _ := m["Id"].(string)
	return id, err
}

// ExecAttach starts a prepared command and joins its streams.
func (c *Client) ExecAttach(ctx context.Context, id string, r container.ExecStartRequest) (*Stream, error) {
	req := &request{method: "POST", path: "/exec/" + url.PathEscape(id) + "/start"}
	if err := req.json(r); err != nil {
		return nil, err
	}
	return c.hijack(ctx, req)
}

// ExecStart starts a prepared command in the background.
func (c *Client) ExecStart(ctx context.Context, id string, r container.ExecStartRequest) error {
	r.Detach = true
	return c.post(ctx, "/exec/"+url.PathEscape(id)+"/start", nil, r, nil)
}

// ExecResize sets the size of its terminal.
func (c *Client) ExecResize(ctx context.Context, id string, height, width int) error {
	return c.post(ctx, "/exec/"+url.PathEscape(id)+"/resize", size(height, width), nil, nil)
}

// ExecState is how a command is doing: ExitCode is nil until it has ended.
type ExecState struct {
	Running  bool
	ExitCode *int
}

// ExecInspect tells how a command is doing.
func (c *Client) ExecInspect(ctx context.Context, id string) (ExecState, error) {
	m, err := c.answerOf(ctx, "GET", "/exec/"+url.PathEscape(id)+"/json", nil, nil)
	var s ExecState
	s.Running, _ = m["Running"].(bool)
	if n, ok := m["ExitCode"].(float64); ok {
		code := int(n)
		s.ExitCode = &code
	}
	return s, err
}
