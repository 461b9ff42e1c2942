package keeper

import (
	"bytes"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What agents say is in the log, up to a limit that is theirs again later.
func TestWordsAreBounded(t *testing.T) {
	r, w := io.Pipe()
	var log bytes.Buffer
	done := make(chan struct{})
	var now atomic.Int64
	go func() { copyWords(r, &log, func() time.Time { return time.Unix(now.Load(), 0) }); close(done) }()
	write := func(s string) {
		if _, err := io.WriteString(w, s); err != nil {
			t.Error(err)
		}
	}
	write("panic: out of memory\n")
	write(strings.Repeat("x", 2*wordsMost))
	// The last chunk may be counted to what follows.
	now.Add(int64(wordsSpan / time.Second))
	write("later\n")
	w.Close()
	<-done
	text := log.String()
	if !strings.HasPrefix(text, "panic: out of memory\nxxx") || !strings.HasSuffix(text, "later\n") || len(text) > wordsMost+wordsChunk+len("later\n") {
		t.Errorf("%d bytes, %.30q to %q", len(text), text, text[max(0, len(text)-10):])
	}
}
