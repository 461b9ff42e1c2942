package daemon

import (
	"encoding/json"
	"net/http"
	"sync"

	"github.com/moby/moby/api/types/jsonstream"
)

// begin answers 200 at once, so that the client knows it is being served.
func (w *response) begin(contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(http.StatusOK)
	w.flush()
}

// progress is the answer to a long image operation: a JSON object a line.
// It begins with the first message, so that an error before that is an
// ordinary one.
type progress struct {
	mu  sync.Mutex
	w   *response
	enc *json.Encoder
}

func newProgress(w *response) *progress {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &progress{w: w, enc: enc}
}

// send may be called from several goroutines. That the client has gone shows
// in the request's context.
func (p *progress) send(m jsonstream.Message) { p.line(m) }

func (p *progress) line(v any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w.status == 0 {
		p.w.Header().Set("Content-Type", "application/json")
	}
	_ = p.enc.Encode(v)
	p.w.flush()
}

// end finishes the answer with the operation's outcome.
func (p *progress) end(err error) error {
	p.mu.Lock()
	begun := p.w.status != 0
	p.mu.Unlock()
	switch {
	case err == nil && !begun:
		p.w.begin("application/json")
	case err != nil && begun:
		// error is the older form of errorDetail, which many clients read.
		text := message(err)
		p.line(struct {
			Detail jsonstream.Error `json:"errorDetail"`
			Error  string           `json:"error"`
		}{jsonstream.Error{Message: text}, text})
	default:
		return err
	}
	return nil
}
