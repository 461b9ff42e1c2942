package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/go-units"
	"github.com/spf13/cobra"

	"silo/client"
	"silo/client/container"
	"silo/internal/listing"
)

func cmdStats(a *app) *cobra.Command {
	var all, noStream, noTrunc bool
	var format string
	c := &cobra.Command{
		Use:   "stats [OPTIONS] [CONTAINER...]",
		Short: "Show what containers use: processor, memory, network, disk",
		Long:  "Without names, all that run. On a terminal the table is drawn again every second.",
		Example: `silo stats
silo stats --no-stream --format '{{.Name}} {{.MemUsage}}' web`,
		ValidArgsFunction: a.completeContainers(0, "running"),
	}
	f := c.Flags()
	f.BoolVarP(&all, "all", "a", false, "Show containers that do not run, too")
	f.BoolVar(&noStream, "no-stream", false, "Print once and end")
	f.BoolVar(&noTrunc, "no-trunc", false, "Do not cut long texts")
	f.StringVar(&format, "format", "", formatHelp)
	c.RunE = func(c *cobra.Command, args []string) error {
		cl, err := a.client()
		if err != nil {
			return err
		}
		w := &watcher{a: a, c: cl, all: all, named: args, trunc: !noTrunc, format: format, rows: map[string]*statsRow{}}
		if noStream {
			return w.once(c.Context())
		}
		return w.live(c.Context())
	}
	return c
}

// watcher collects and draws samples.
type watcher struct {
	a          *app
	c          *client.Client
	all, trunc bool
	named      []string
	format     string

	mu    sync.Mutex
	order []string
	rows  map[string]*statsRow
}

// names gives what to watch now.
func (w *watcher) names(ctx context.Context) ([]string, error) {
	if len(w.named) > 0 {
		return w.named, nil
	}
	list, err := w.c.Containers(ctx, client.ListOptions{All: w.all})
	if err != nil {
		return nil, err
	}
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].ID
	}
	return out, nil
}

// once takes one sample of each and prints them.
func (w *watcher) once(ctx context.Context) error {
	names, err := w.names(ctx)
	if err != nil {
		return err
	}
	errs := make([]error, len(names))
	var all sync.WaitGroup
	for i, n := range names {
		w.add(n)
		all.Go(func() { errs[i] = w.collect(ctx, n, false) })
	}
	all.Wait()
	if len(w.named) == 0 {
		errs = nil // one that has ended since it was listed is no error
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return w.print(w.a.out)
}

// live draws until the user ends it, or all named containers are gone.
func (w *watcher) live(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	for tick := 0; ; tick++ {
		names, err := w.names(ctx)
		if err != nil {
			return err
		}
		w.keep(names)
		for _, n := range names {
			if !w.add(n) {
				continue
			}
			go func() {
				err := w.collect(ctx, n, true)
				if len(w.named) > 0 && err != nil {
					select {
					case failed <- err:
					default:
					}
				}
				w.drop(n)
			}()
		}
		if tick > 0 {
			if err := w.draw(); err != nil {
				return err
			}
		}
		select {
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// add begins a row and tells whether it is new.
func (w *watcher) add(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rows[name] != nil {
		return false
	}
	w.rows[name] = &statsRow{ref: name, trunc: w.trunc}
	w.order = append(w.order, name)
	return true
}

func (w *watcher) drop(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.rows, name)
	for i, n := range w.order {
		if n == name {
			w.order = append(w.order[:i], w.order[i+1:]...)
			return
		}
	}
}

// keep drops the rows of what is no longer listed.
func (w *watcher) keep(names []string) {
	listed := map[string]bool{}
	for _, n := range names {
		listed[n] = true
	}
	w.mu.Lock()
	order := append([]string(nil), w.order...)
	w.mu.Unlock()
	for _, n := range order {
		if !listed[n] {
			w.drop(n)
		}
	}
}

// collect reads samples of a container until they end.
func (w *watcher) collect(ctx context.Context, name string, stream bool) error {
	body, err := w.c.ContainerStats(ctx, name, stream)
	if err != nil {
		return err
	}
	defer body.Close()
	return client.Decode(body, func(s container.StatsResponse) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if r := w.rows[name]; r != nil {
			w.rows[name] = &statsRow{ref: name, trunc: w.trunc, s: s, valid: !s.Read.IsZero()}
		}
		return nil
	})
}

func (w *watcher) print(out io.Writer) error {
	w.mu.Lock()
	rows := make([]*statsRow, len(w.order))
	for i, n := range w.order {
		rows[i] = w.rows[n]
	}
	w.mu.Unlock()
	return printRows(out, rowFormat{
		columns: []string{"ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"},
		headers: map[string]string{
			"Container": "CONTAINER", "Name": "NAME", "ID": "CONTAINER ID", "CPUPerc": "CPU %", "MemUsage": "MEM USAGE / LIMIT",
			"MemPerc": "MEM %", "NetIO": "NET I/O", "BlockIO": "BLOCK I/O", "PIDs": "PIDS",
		},
		format: w.format,
	}, rows)
}

// draw prints over what was drawn before, in one write so that it does not
// flicker; off a terminal it just prints.
func (w *watcher) draw() error {
	if w.a.term.out < 0 {
		return w.print(w.a.out)
	}
	var b, frame bytes.Buffer
	if err := w.print(&b); err != nil {
		return err
	}
	_, columns := w.a.term.size()
	frame.WriteString("\x1b[H")
	for line := range strings.SplitSeq(strings.TrimSuffix(b.String(), "\n"), "\n") {
		if r := []rune(line); columns > 0 && len(r) > columns {
			line = string(r[:columns]) // a wrapped line would shift those below
		}
		frame.WriteString(line + "\x1b[K\n")
	}
	frame.WriteString("\x1b[J")
	_, err := frame.WriteTo(w.a.out)
	return err
}

// statsRow is one line of stats.
type statsRow struct {
	ref          string
	trunc, valid bool
	s            container.StatsResponse
}

func (*statsRow) isRow() {}

// noValue stands for a value that is not known.
const noValue = "--"

// Container is the container as it was named.
func (r *statsRow) Container() string { return r.ref }

// Name is its name.
func (r *statsRow) Name() string {
	if r.s.Name == "" {
		return noValue
	}
	return strings.TrimPrefix(r.s.Name, "/")
}

// ID is its id.
func (r *statsRow) ID() string {
	id := r.s.ID
	if id == "" {
		id = r.ref
	}
	if r.trunc {
		return listing.ShortID(id)
	}
	return id
}

// CPUPerc is the processor time since the sample before, 100 % being one
// processor.
func (r *statsRow) CPUPerc() string {
	if !r.valid {
		return noValue
	}
	now, before := r.s.CPUStats, r.s.PreCPUStats
	cpu := float64(now.CPUUsage.TotalUsage) - float64(before.CPUUsage.TotalUsage)
	system := float64(now.SystemUsage) - float64(before.SystemUsage)
	n := float64(now.OnlineCPUs)
	if n == 0 {
		n = float64(len(now.CPUUsage.PercpuUsage))
	}
	if cpu <= 0 || system <= 0 {
		return "0.00%"
	}
	return percent(cpu / system * n * 100)
}

// used is the memory without the cache that can be given back.
func (r *statsRow) used() float64 {
	m := r.s.MemoryStats
	for _, key := range []string{"total_inactive_file", "inactive_file"} { // cgroup v1, v2
		if v, ok := m.Stats[key]; ok && v < m.Usage {
			return float64(m.Usage - v)
		}
	}
	return float64(m.Usage)
}

// MemUsage is the memory used and its limit.
func (r *statsRow) MemUsage() string {
	if !r.valid {
		return "-- / --"
	}
	return units.BytesSize(r.used()) + " / " + units.BytesSize(float64(r.s.MemoryStats.Limit))
}

// MemPerc is the part of the limit that is used.
func (r *statsRow) MemPerc() string {
	switch {
	case !r.valid:
		return noValue
	case r.s.MemoryStats.Limit == 0:
		return "0.00%"
	}
	return percent(r.used() / float64(r.s.MemoryStats.Limit) * 100)
}

// NetIO is what came in and went out.
func (r *statsRow) NetIO() string {
	if !r.valid {
		return noValue
	}
	var rx, tx float64
	for _, n := range r.s.Networks {
		rx += float64(n.RxBytes)
		tx += float64(n.TxBytes)
	}
	return units.HumanSizeWithPrecision(rx, 3) + " / " + units.HumanSizeWithPrecision(tx, 3)
}

// BlockIO is what was read from and written to disks.
func (r *statsRow) BlockIO() string {
	if !r.valid {
		return noValue
	}
	var read, written float64
	for _, e := range r.s.BlkioStats.IoServiceBytesRecursive {
		switch strings.ToLower(e.Op) {
		case "read":
			read += float64(e.Value)
		case "write":
			written += float64(e.Value)
		}
	}
	return units.HumanSizeWithPrecision(read, 3) + " / " + units.HumanSizeWithPrecision(written, 3)
}

// PIDs is the number of processes and threads.
func (r *statsRow) PIDs() string {
	if !r.valid {
		return noValue
	}
	return strconv.FormatUint(r.s.PidsStats.Current, 10)
}

func percent(v float64) string { return fmt.Sprintf("%.2f%%", v) }
