package keeper

import (
	"io"
	"os"
	"time"

	"silo/internal/linux"
)

// Agents write to standard error only what a program says at its end. They get
// a pipe for it, not the keeper's own log: a container that is let at its
// agent's descriptors, as CAP_SYS_PTRACE does, could write to that file, which
// is the host's, as much as it likes.
const (
	wordsMost  = 256 << 10 // bytes of all agents within wordsSpan
	wordsSpan  = time.Hour
	wordsChunk = 4096
)

// copyWords moves what agents say to the log until the pipe is closed. What
// goes beyond the limit is dropped: nobody is to wait for it.
func copyWords(from io.Reader, to io.Writer, now func() time.Time) {
	buf := make([]byte, wordsChunk)
	begin, left := now(), wordsMost
	for {
		n, err := from.Read(buf)
		if t := now(); t.Sub(begin) >= wordsSpan {
			begin, left = t, wordsMost
		}
		n = min(n, left)
		left -= n
		_, _ = to.Write(buf[:n]) // a log that cannot be written is no reason to end
		if err != nil {
			return
		}
	}
}

// hearAgents makes the pipe and begins to read it. A pipe is left with its agents
// when the keeper executes another program; they have only a last word to lose.
func (k *Keeper) hearAgents() error {
	r, w, err := linux.Pipe()
	if err != nil {
		return err
	}
	k.words = w
	go copyWords(r.PollFile(), os.Stderr, time.Now)
	return nil
}
