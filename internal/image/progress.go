package image

import (
	"encoding/json"
	"sync"
	"time"

	"github.com/moby/moby/api/types/jsonstream"
)

// progressEvery bounds the messages of one layer in one state.
const progressEvery = 100 * time.Millisecond

// reporter sends messages one at a time. A nil reporter, or one without a
// receiver, sends nothing.
type reporter struct {
	mu   sync.Mutex
	send Progress
	last map[string]shown // by layer
}

type shown struct {
	status string
	at     time.Time
}

func newReporter(p Progress) *reporter { return &reporter{send: p, last: map[string]shown{}} }

func (r *reporter) message(m jsonstream.Message) {
	if r == nil || r.send == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.send(m)
}

func (r *reporter) status(id, status string) {
	r.message(jsonstream.Message{ID: id, Status: status})
}

func (r *reporter) stream(text string) { r.message(jsonstream.Message{Stream: text + "\n"}) }

func (r *reporter) aux(v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		return // plain structs of strings and numbers only
	}
	m := json.RawMessage(raw)
	r.message(jsonstream.Message{Aux: &m})
}

// progress reports how far a layer is, the first and last step always.
func (r *reporter) progress(id, status string, current, total int64) {
	if r == nil || r.send == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.last[id]
	if was.status == status && time.Since(was.at) < progressEvery && current != total {
		return
	}
	r.last[id] = shown{status, time.Now()}
	r.send(jsonstream.Message{ID: id, Status: status, Progress: &jsonstream.Progress{Current: current, Total: total}})
}
