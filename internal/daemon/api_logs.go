package daemon

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types"

	"silo/internal/errs"
	"silo/internal/logfile"
)

// logBatch is how many bytes of log are sent without a look at the client.
const logBatch = 64 << 10

// timestampFormat is RFC 3339 with all nine digits, so that columns line up.
const timestampFormat = "2006-01-02T15:04:05.000000000Z07:00"

func (s *Server) containerLogs(w *response, r *request) error {
	f := logFormat{stdout: r.flag("stdout"), stderr: r.flag("stderr"), timestamps: r.flag("timestamps"), details: r.flag("details")}
	if !f.stdout && !f.stderr {
		return errs.Invalidf("Bad parameters: you must choose at least one stream")
	}
	o := logfile.ReadOptions{Tail: -1, Follow: r.flag("follow"), Service: r.str("silo-service")}
	if n, err := strconv.Atoi(r.str("tail")); err == nil {
		o.Tail = n
	}
	var err error
	if o.Since, err = r.time("since"); err != nil {
		return err
	}
	if o.Until, err = r.time("until"); err != nil {
		return err
	}
	src, err := s.b.ContainerLogs(r.Context(), r.name)
	if err != nil {
		return err
	}
	o.Done = src.Done
	ctx, cancel := s.streaming(r)
	defer cancel()
	reader, err := logfile.NewReader(src.Path, o)
	if err != nil {
		return err
	}
	defer reader.Close()
	f.frames = !src.TTY
	contentType := types.MediaTypeRawStream
	if f.frames && !r.version.before(42) {
		contentType = types.MediaTypeMultiplexedStream
	}
	w.begin(contentType)
	return f.copy(ctx, w, reader)
}

// logFormat says what of a log is shown, and how.
type logFormat struct {
	stdout, stderr, timestamps, details, frames bool
}

// copy sends records in batches, each as soon as there is nothing to add.
func (f logFormat) copy(ctx context.Context, w *response, reader *logfile.Reader) error {
	var batch []byte
	within := map[string]bool{} // writers whose last record was partial
	for {
		rec, err := reader.Next(ctx)
		if err == nil {
			writer := rec.Stream + rec.Attrs[logfile.ServiceAttr]
			if rec.Stream == "stdout" && f.stdout || rec.Stream == "stderr" && f.stderr {
				batch = f.append(batch, rec, within[writer])
			}
			within[writer] = rec.Partial
		}
		if len(batch) > 0 && (err != nil || !reader.Buffered() || len(batch) >= logBatch) {
			if _, err := w.Write(batch); err != nil {
				return nil // the client has gone
			}
			w.flush()
			batch = batch[:0]
		}
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// appendAttrs adds attributes as Docker does: sorted, as a query string with
// commas.
func appendAttrs(b []byte, attrs map[string]string) []byte {
	for i, key := range slices.Sorted(maps.Keys(attrs)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, url.QueryEscape(key)+"="+url.QueryEscape(attrs[key])...)
	}
	return b
}

// append adds a record. The second part of a line gets no time of its own.
func (f logFormat) append(b []byte, rec logfile.Record, within bool) []byte {
	start := len(b)
	if f.frames {
		stream := stdcopy.Stdout
		if rec.Stream == "stderr" {
			stream = stdcopy.Stderr
		}
		b = append(b, byte(stream), 0, 0, 0, 0, 0, 0, 0)
	}
	if !within {
		if f.timestamps {
			b = append(rec.Time.AppendFormat(b, timestampFormat), ' ')
		}
		if f.details {
			b = append(appendAttrs(b, rec.Attrs), ' ')
		}
	}
	b = append(b, rec.Line...)
	if f.frames {
		binary.BigEndian.PutUint32(b[start+4:], uint32(len(b)-start-8))
	}
	return b
}
