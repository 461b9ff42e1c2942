package image

import (
	"errors"
	"io/fs"
	"os"
	"sort"
	"strconv"
	"strings"
	"syscall"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/errs"
)

// archNames are the names by which `uname -m` and people know an architecture.
var archNames = map[string]string{"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "armhf": "arm", "armel": "arm", "i386": "386", "i686": "386"}

// parsePlatform reads "os", "arch", "os/arch" or "os/arch/variant"; "" is the host's.
func (s *Store) parsePlatform(v string) (ocispec.Platform, error) {
	if v == "" {
		return s.platform, nil
	}
	parts := strings.Split(strings.ToLower(v), "/")
	if len(parts) == 1 {
		if parts[0] == "linux" || parts[0] == "windows" {
			parts = []string{parts[0], s.platform.Architecture}
		} else {
			parts = []string{"linux", parts[0]}
		}
	}
	for _, p := range parts {
		if p == "" || len(parts) > 3 {
			return ocispec.Platform{}, errs.Invalidf("platform %q: give os/arch or os/arch/variant, for instance linux/arm64", v)
		}
	}
	p := ocispec.Platform{OS: parts[0], Architecture: parts[1]}
	if a, ok := archNames[p.Architecture]; ok {
		p.Architecture = a
	}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	return p, nil
}

// fit says how well an image for have runs where want is asked for: 0 not at
// all, more is better. Of arm, an older variant runs on a newer one.
func fit(want, have ocispec.Platform) int {
	if have.OS != want.OS || have.Architecture != want.Architecture {
		return 0
	}
	w, h := variant(want), variant(have)
	switch {
	case w == h:
		return 100
	case want.Architecture == "arm" && h > 0 && h < w:
		return h
	case want.Variant == "" && want.Architecture != "arm":
		return 1
	}
	return 0
}

// variant is the number in "v7"; the unnamed one is arm's v7, arm64's v8, and
// amd64's v1.
func variant(p ocispec.Platform) int {
	if p.Variant == "" {
		return map[string]int{"arm": 7, "arm64": 8, "amd64": 1}[p.Architecture]
	}
	n, err := strconv.Atoi(strings.TrimPrefix(p.Variant, "v"))
	if err != nil {
		return -1
	}
	return n
}

func platformString(p ocispec.Platform) string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// choose picks the manifest of an index that fits best, the first of equals.
// The error names what there is.
func choose(index []ocispec.Descriptor, want ocispec.Platform) (ocispec.Descriptor, error) {
	best, bestFit := ocispec.Descriptor{}, 0
	have := map[string]bool{}
	for _, d := range index {
		if d.Platform == nil {
			// An index inside, or a manifest that does not say: better than nothing.
			if bestFit == 0 {
				best, bestFit = d, 1
			}
			continue
		}
		if d.Platform.OS == "unknown" {
			continue // attestations
		}
		have[platformString(*d.Platform)] = true
		if f := fit(want, *d.Platform); f > bestFit || f == bestFit && best.Platform == nil && f > 0 {
			best, bestFit = d, f
		}
	}
	if bestFit > 0 {
		return best, nil
	}
	names := make([]string, 0, len(have))
	for n := range have {
		names = append(names, n)
	}
	sort.Strings(names)
	return best, errs.NotFoundf("no matching manifest for %s in the manifest list entries: there is %s", platformString(want), strings.Join(names, ", "))
}

// isHost tells errors of this host's disk from those of what is read.
func isHost(err error) bool {
	var p *fs.PathError
	var l *os.LinkError
	return errors.As(err, &p) || errors.As(err, &l) || errors.Is(err, syscall.ENOSPC)
}
