package daemon

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"sync"

	"github.com/moby/moby/api/types/registry"
)

type authPointer = *registry.AuthConfig

var nilAuth authPointer

// lockedBuffer lets what slog writes be read while it writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func marshalLine(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.String(), err
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
