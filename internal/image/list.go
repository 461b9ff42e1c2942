package image

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/image"
	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
	"silo/internal/filter"
)

// Images lists images, newest first. Filters are dangling, label, before,
// since, reference and until; others are errs.Invalid. Silo keeps no
// intermediate images, so that all makes no difference.
func (s *Store) Images(_ context.Context, _ bool, f filter.Args) ([]image.Summary, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keep, err := s.selector(f)
	if err != nil {
		return nil, err
	}
	order := slices.SortedFunc(maps.Values(s.images), func(a, b *entry) int {
		return cmp.Or(b.cfg.created().Compare(a.cfg.created()), cmp.Compare(a.rec.ID, b.rec.ID))
	})
	list := []image.Summary{}
	for _, e := range order {
		if sum := s.summary(e); keep(e, &sum) {
			list = append(list, sum)
		}
	}
	return list, nil
}

// SharedSizes gives for each image, by its id, the bytes of its layers that
// other images have too.
func (s *Store) SharedSizes() map[string]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	users := map[digest.Digest]int{}
	for _, e := range s.images {
		for _, l := range e.rec.Layers {
			users[l.ChainID]++
		}
	}
	sizes := map[string]int64{}
	for _, e := range s.images {
		sizes[e.rec.ID.String()] = 0
		for _, l := range e.rec.Layers {
			if users[l.ChainID] > 1 {
				sizes[e.rec.ID.String()] += l.Unpacked
			}
		}
	}
	return sizes
}

// LayersSize is the bytes of the layers of the images that are asked for, each
// layer once.
func (s *Store) LayersSize(asked func(id string) bool) (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[digest.Digest]bool{}
	for _, e := range s.images {
		if !asked(e.rec.ID.String()) {
			continue
		}
		for _, l := range e.rec.Layers {
			if !seen[l.ChainID] {
				seen[l.ChainID] = true
				n += l.Unpacked
			}
		}
	}
	return n
}

func (s *Store) summary(e *entry) image.Summary {
	sum := image.Summary{
		ID: e.rec.ID.String(), Created: e.cfg.created().Unix(), Labels: e.cfg.Config.Labels,
		Size: e.rec.size(), SharedSize: -1, Containers: -1,
	}
	if e.cfg.Created == nil {
		sum.Created = 0
	}
	sum.RepoTags, sum.RepoDigests = s.names(e.rec.ID)
	if sum.RepoTags == nil {
		sum.RepoTags = []string{}
	}
	if sum.RepoDigests == nil {
		sum.RepoDigests = []string{}
	}
	return sum
}

// selector makes one test of all filters. It may shorten the tags of a summary.
func (s *Store) selector(f filter.Args) (func(*entry, *image.Summary) bool, error) {
	var tests []func(*entry, *image.Summary) bool
	for key, values := range f {
		test, err := s.filterTest(key, values)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	return func(e *entry, sum *image.Summary) bool {
		for _, t := range tests {
			if !t(e, sum) {
				return false
			}
		}
		return true
	}, nil
}

func (s *Store) filterTest(key string, values []string) (func(*entry, *image.Summary) bool, error) {
	switch key {
	case "dangling":
		want, err := boolFilter(key, values)
		return func(_ *entry, sum *image.Summary) bool { return want == (len(sum.RepoTags) == 0) }, err
	case "label":
		return func(e *entry, _ *image.Summary) bool { return hasLabels(e.cfg.Config.Labels, values) }, nil
	case "before", "since":
		var limits []time.Time
		for _, v := range values {
			e, err := s.find(v)
			if err != nil {
				return nil, err
			}
			limits = append(limits, e.cfg.created())
		}
		return func(e *entry, _ *image.Summary) bool {
			return !slices.ContainsFunc(limits, func(t time.Time) bool {
				if key == "before" {
					return !e.cfg.created().Before(t)
				}
				return !e.cfg.created().After(t)
			})
		}, nil
	case "until":
		if len(values) != 1 {
			return nil, errs.Invalidf("invalid filter 'until=%s': give one value", strings.Join(values, ","))
		}
		t, err := parseTime(values[0], time.Now())
		return func(e *entry, _ *image.Summary) bool { return e.cfg.created().Before(t) }, err
	case "reference":
		for _, v := range values {
			if _, err := reference.FamiliarMatch(v, reference.TrimNamed(anyName)); err != nil {
				return nil, errs.Invalidf("invalid filter 'reference=%s': %v", v, err)
			}
		}
		return func(_ *entry, sum *image.Summary) bool {
			no := func(name string) bool { return !matchesReference(name, values) }
			sum.RepoTags = slices.DeleteFunc(sum.RepoTags, no)
			sum.RepoDigests = slices.DeleteFunc(sum.RepoDigests, no)
			return len(sum.RepoTags)+len(sum.RepoDigests) > 0
		}, nil
	}
	return nil, errs.Invalidf("invalid filter '%s'", key)
}

// anyName is only there to try patterns on.
var anyName, _ = reference.WithName("x")

func matchesReference(name string, patterns []string) bool {
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := reference.FamiliarMatch(p, ref)
		return ok && err == nil
	})
}

func boolFilter(key string, values []string) (want bool, err error) {
	for i, v := range values {
		b, ok := map[string]bool{"1": true, "true": true, "True": true, "0": false, "false": false, "False": false}[v]
		if !ok || i > 0 && b != want {
			return false, errs.Invalidf("invalid filter '%s=%s'", key, strings.Join(values, ","))
		}
		want = b
	}
	return want, nil
}

func hasLabels(labels map[string]string, want []string) bool {
	for _, w := range want {
		k, v, exact := strings.Cut(w, "=")
		if got, ok := labels[k]; !ok || exact && got != v {
			return false
		}
	}
	return true
}

// parseTime reads what Docker takes as a time: a duration back from now, Unix
// seconds with an optional fraction, or a date in a form of RFC 3339.
func parseTime(v string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(v); err == nil {
		return now.Add(-d), nil
	}
	if sec, frac, _ := strings.Cut(v, "."); !strings.Contains(v, "-") {
		n, err1 := strconv.ParseInt(sec, 10, 64)
		ns, err2 := strconv.ParseInt((frac + "000000000")[:9], 10, 64)
		if err1 == nil && err2 == nil && len(frac) <= 9 {
			return time.Unix(n, ns), nil
		}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02T15", "2006-01-02Z07:00", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, v, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, errs.Invalidf("invalid time %q: give a duration (24h), Unix seconds or a date (2006-01-02T15:04:05)", v)
}
