// Package listing writes what people read of containers: the table of "silo ps"
// and the two views of "silo properties". Both the daemon and the command line
// use it. The daemon answers with such text whoever asks for text/plain; that
// spares the commonest command lines the start of a Go program (see
// internal/cli/early). The command line writes the same from JSON where there is
// a flag that only it knows.
package listing

import (
	"io"
	"sort"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/docker/go-units"
)

// Tabulate lines up the columns that f writes with tabs between them, as
// Docker's tables.
func Tabulate(w io.Writer, f func(io.Writer)) error {
	t := tabwriter.NewWriter(w, 10, 1, 3, ' ', 0)
	f(t)
	return t.Flush()
}

// ShortID cuts an id to 12 digits, without the name of its hash.
func ShortID(id string) string {
	if _, rest, ok := strings.Cut(id, ":"); ok {
		id = rest
	}
	return id[:min(len(id), 12)]
}

// Ellipsis cuts a text to n characters, the last a … if some are missing.
func Ellipsis(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:n-1]) + "…"
}

// Ago tells how long ago a time was, in words.
func Ago(t time.Time) string {
	if t.IsZero() || t.Unix() <= 0 {
		return "N/A"
	}
	return units.HumanDuration(time.Since(t)) + " ago"
}

// Size shows a number of bytes with three digits, in powers of 1000.
func Size(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }

// Labels shows labels in order.
func Labels(m map[string]string) string {
	out := make([]string, 0, len(m))
	for k, v := range m {
		out = append(out, k+"="+v)
	}
	sort.Strings(out)
	return strings.Join(out, ",")
}
