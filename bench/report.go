package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report prints a line for each figure and keeps the series behind it.
type report struct{ rows []string }

func newReport() *report { return &report{} }

func trim(b []byte) []byte { return bytes.TrimSpace(b) }

func (r *report) heading() {
	fmt.Println("#", machine())
	fmt.Println("# times in ms; ratio: to the p50 of the floor's runs that took turns with these")
	fmt.Printf("%-34s %5s %9s %9s %8s %10s\n", "name", "n", "p50", "p99", "ratio", "limit")
}

// series is a list of times.
type series []time.Duration

// at gives the value below which a share of the series lies.
func (s series) at(share float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(int(share*float64(len(s))), len(s)-1)]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/1e6) }

// verdict says whether a value keeps its limit.
func verdict(ok bool) string {
	if ok {
		return "ok"
	}
	return "OVER"
}

// keep notes a series for the file of -o.
func (r *report) keep(name string, s series) {
	for _, v := range s {
		r.rows = append(r.rows, fmt.Sprintf("%s\t%d", strings.ReplaceAll(name, "\t", " "), v.Nanoseconds()))
	}
}

// times prints a series with no limit of its own.
func (r *report) times(name string, s series) {
	r.keep(name, s)
	fmt.Printf("%-34s %5d %9s %9s\n", name, len(s), ms(s.at(.5)), ms(s.at(.99)))
}

// against prints a series beside the floor's: most50 and most99 are limits of
// its p50 and p99 in medians of the floor, 0 is none.
func (r *report) against(name string, c compared, most50, most99 float64) {
	r.times(name+": floor", c.floor)
	r.keep(name, c.own)
	base := float64(c.floor.at(.5))
	line := func(name, n string, value time.Duration, other string, most float64) {
		ratio := float64(value) / base
		fmt.Printf("%-34s %5s %9s %9s %7.2fx %9.2fx %s\n", name, n, ms(value), other, ratio, most, verdict(ratio <= most))
	}
	line(name, strconv.Itoa(len(c.own)), c.own.at(.5), ms(c.own.at(.99)), most50)
	if most99 == 0 {
		return
	}
	line("  its p99", strconv.Itoa(len(c.own)), c.own.at(.99), "", most99)
	line("  its p99, no processor stolen", strconv.Itoa(len(c.calm)), c.calm.at(.99), "", most99)
}

// below prints a series whose p50 has a limit in time.
func (r *report) below(name string, s series, most time.Duration) {
	r.keep(name, s)
	fmt.Printf("%-34s %5d %9s %9s %8s %10s %s\n", name, len(s), ms(s.at(.5)), ms(s.at(.99)), "", ms(most), verdict(s.at(.5) <= most))
}

// value prints one figure; limit is a text, "" is none.
func (r *report) value(name string, n int, value, limit string, ok bool) {
	r.rows = append(r.rows, name+"\t"+value)
	v := ""
	if limit != "" {
		v = verdict(ok)
	}
	fmt.Printf("%-34s %5d %19s %8s %10s %s\n", name, n, value, "", limit, v)
}

func (r *report) note(format string, args ...any) { fmt.Printf("# "+format+"\n", args...) }

// write puts the series into a file.
func (r *report) write(path string) error {
	if path == "" {
		return nil
	}
	return os.WriteFile(path, []byte(strings.Join(r.rows, "\n")+"\n"), 0o644)
}
