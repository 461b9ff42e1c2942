package image

import (
	"regexp"
	"strings"
	"sync"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
)

// known keeps names that were read: a create reads those of its image several
// times, by regular expressions, which takes as long as all else it does with
// the image.
var known names

// names is bounded: names come from clients.
type names struct {
	mu sync.Mutex
	m  map[string]*knownName
}

// knownName is a name with what is made of it.
type knownName struct {
	reference.Named
	tagged   string // in full, with "latest" if it has neither tag nor digest
	familiar string // as people write it
}

const (
	mostNames = 1000
	mostBytes = 300 // of one
)

func (n *names) get(s string) (*knownName, error) {
	n.mu.Lock()
	k := n.m[s]
	n.mu.Unlock()
	if k != nil {
		return k, nil
	}
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return nil, err
	}
	k = &knownName{named, reference.TagNameOnly(named).String(), reference.FamiliarString(named)}
	if len(s) > mostBytes {
		return k, nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.m == nil || len(n.m) >= mostNames {
		n.m = map[string]*knownName{}
	}
	n.m[s] = k
	return k, nil
}

// parseName reads a reference as Docker does: "core" is
// docker.io/library/core. A tag is not added.
func parseName(s string) (reference.Named, error) {
	n, err := known.get(s)
	if err != nil {
		return nil, errs.Invalidf("invalid reference format: %q: %v", s, err)
	}
	if d, ok := n.Named.(reference.Digested); ok {
		if err := checkDigest(d.Digest()); err != nil {
			return nil, err
		}
	}
	return n.Named, nil
}

// parseTag reads a name to give to an image: no digest, "latest" if no tag.
func parseTag(s string) (reference.NamedTagged, error) {
	n, err := parseName(s)
	if err != nil {
		return nil, err
	}
	if _, ok := n.(reference.Digested); ok {
		return nil, errs.Invalidf("refusing to create a tag with a digest reference: %q", s)
	}
	if reference.FamiliarName(n) == "sha256" { // would be read as an id
		return nil, errs.Invalidf("refusing to create an ambiguous tag using digest algorithm as name: %q", s)
	}
	return reference.TagNameOnly(n).(reference.NamedTagged), nil
}

// idPattern is an image id or the beginning of one.
var idPattern = regexp.MustCompile(`^[0-9a-f]{1,64}$`)

// idPrefix gives the hexadecimal part if s can be an id.
func idPrefix(s string) (string, bool) {
	s = strings.TrimPrefix(s, "sha256:")
	return s, idPattern.MatchString(s)
}

// familiar is the short form that people read.
func familiar(name string) string {
	r, err := known.get(name)
	if err != nil {
		return name
	}
	return r.familiar
}

// shortID is the first twelve digits of a digest.
func shortID(d digest.Digest) string {
	e := d.Encoded()
	return e[:min(12, len(e))]
}
