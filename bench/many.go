package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"silo/client"
)

// output catches what a command says in a file that nobody else sees.
type output struct{}

func (output) file() (*os.File, error) {
	f, err := os.CreateTemp("", "silo-bench-said-")
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

func (output) text(f *os.File) string {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return ""
	}
	data, _ := io.ReadAll(io.LimitReader(f, 4096))
	return string(trim(data))
}

// list gives the ids of all containers.
func (d *daemon) list(ctx context.Context) (ids []string, err error) {
	list, err := d.c.Containers(ctx, client.ListOptions{All: true})
	for _, c := range list {
		ids = append(ids, c.ID)
	}
	return ids, err
}

// removeAll removes every container and waits until it is gone.
func (d *daemon) removeAll(ctx context.Context) error {
	ids, err := d.list(ctx)
	if err != nil {
		return err
	}
	err = parallel(4, len(ids), func(i int) error { return d.c.ContainerRemove(ctx, ids[i], true, true) })
	if err != nil {
		return err
	}
	return d.settled(ctx, 0, 0)
}

// burst makes many runs one after the other and many at once, counts what
// fails and compares the host before and after.
func (b *bench) burst() error {
	if err := b.d.settled(b.ctx, 0, 0); err != nil {
		return err
	}
	before := takeSnapshot(b.d)
	for _, x := range []struct {
		name       string
		n, workers int
	}{
		{"runs one after the other", b.containers, 1},
		{"runs at once", max(b.containers/4, 5), max(b.containers/4, 5)},
	} {
		var failed atomic.Int64
		begin := time.Now()
		err := parallel(x.workers, x.n, func(int) error {
			_, err := timed(b.d.silo("run", "--rm", "core", "true"))
			if err != nil {
				failed.Add(1)
			}
			return err
		})
		took := time.Since(begin)
		b.report.value(x.name+", in s", x.n, fmt.Sprintf("%.2f", took.Seconds()), "", true)
		b.report.value(x.name+", failed", x.n, fmt.Sprint(failed.Load()), "0", failed.Load() == 0)
		if err != nil {
			b.report.note("%v", firstOf(err))
		}
	}
	if err := b.d.settled(b.ctx, 0, 0); err != nil {
		return err
	}
	left := before.awaitSame(b.d)
	b.report.value("host as before, differences", len(before), fmt.Sprint(len(left)), "0", len(left) == 0)
	for _, l := range left {
		b.report.note("%s", l)
	}
	return nil
}

func firstOf(err error) error {
	if many, ok := err.(interface{ Unwrap() []error }); ok && len(many.Unwrap()) > 0 {
		return many.Unwrap()[0]
	}
	return err
}

// clients is how many command lines run at a time where a rate is measured.
const clients = 4

// rate measures how many runs a second are sustained.
func (b *bench) rate() error {
	_, err := b.siloRate()
	return err
}

func (b *bench) siloRate() (float64, error) {
	if err := b.d.settled(b.ctx, 0, 0); err != nil {
		return 0, err
	}
	r, n, err := sustained(b.ctx, b.rateTime(), func() error {
		_, err := timed(b.d.silo("run", "--rm", "core", "true"))
		return err
	})
	if err != nil {
		return 0, err
	}
	b.report.value("silo run --rm by 4 clients, per s", n, fmt.Sprintf("%.1f", r), "", true)
	return r, b.d.settled(b.ctx, 0, 0)
}

func (b *bench) rateTime() time.Duration {
	if b.short {
		return time.Second
	}
	return 10 * time.Second
}

// sustained calls f from several clients for a time and gives calls a second.
func sustained(ctx context.Context, length time.Duration, f func() error) (rate float64, n int, err error) {
	var count atomic.Int64
	begin := time.Now()
	err = parallel(clients, clients, func(int) error {
		for time.Since(begin) < length && ctx.Err() == nil {
			if err := f(); err != nil {
				return err
			}
			count.Add(1)
		}
		return nil
	})
	took := time.Since(begin)
	return float64(count.Load()) / took.Seconds(), int(count.Load()), errors.Join(err, ctx.Err())
}
