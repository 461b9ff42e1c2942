package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/jsonstream"

	"silo/client"
)

// progress shows the messages of a long operation: on a terminal one line for
// each layer, redrawn; else a line for each change.
type progress struct {
	w     io.Writer
	width int // of the terminal, 0 if it is none
	lines map[string]int
	shown map[string]string // id to the last line, off a terminal
	count int
}

// show reads messages until they end, and gives the error that one of them
// carries. With quiet it prints nothing.
func (a *app) show(body io.ReadCloser, w io.Writer, quiet bool, aux func(json.RawMessage)) error {
	defer body.Close()
	p := &progress{w: w, width: width(w), lines: map[string]int{}, shown: map[string]string{}}
	return client.Decode(body, func(m jsonstream.Message) error {
		if m.Error != nil {
			return errors.New(m.Error.Message)
		}
		if m.Aux != nil && aux != nil {
			aux(*m.Aux)
		}
		if !quiet {
			p.message(m)
		}
		return nil
	})
}

func (p *progress) message(m jsonstream.Message) {
	if m.Stream != "" {
		fmt.Fprint(p.w, m.Stream)
		return
	}
	if m.Status == "" {
		return
	}
	if m.ID == "" {
		fmt.Fprintln(p.w, m.Status)
		// Lines above can no longer be counted from.
		p.lines, p.count = map[string]int{}, 0
		return
	}
	if p.width == 0 {
		line := m.ID + ": " + m.Status
		if p.shown[m.ID] != line {
			fmt.Fprintln(p.w, line)
			p.shown[m.ID] = line
		}
		return
	}
	p.redraw(m)
}

// redraw writes the line of a layer, new at the bottom or in its place.
func (p *progress) redraw(m jsonstream.Message) {
	line := m.ID + ": " + m.Status
	if bar := progressBar(m.Progress, p.width-len(line)-1); bar != "" {
		line += " " + bar
	}
	if len(line) >= p.width {
		line = line[:max(p.width-1, 0)]
	}
	at, ok := p.lines[m.ID]
	if !ok {
		p.lines[m.ID] = p.count
		p.count++
		fmt.Fprintf(p.w, "%s\n", line)
		return
	}
	up := p.count - at
	fmt.Fprintf(p.w, "\x1b[%dA\r\x1b[2K%s\r\x1b[%dB", up, line, up)
}

// progressBar draws how far a layer is, in at most room columns.
func progressBar(p *jsonstream.Progress, room int) string {
	if p == nil || p.Current <= 0 && p.Total <= 0 {
		return ""
	}
	numbers := units.HumanSize(float64(p.Current))
	if p.Total > 0 && p.Current <= p.Total {
		numbers += "/" + units.HumanSize(float64(p.Total))
	}
	cells := min(room-len(numbers)-3, 50)
	if p.Total <= 0 || p.Current > p.Total || cells < 10 {
		return numbers
	}
	done := int(int64(cells) * p.Current / p.Total)
	bar := strings.Repeat("=", done)
	if done < cells {
		bar += ">"
	}
	return fmt.Sprintf("[%-*s] %s", cells, bar, numbers)
}
