package image

import (
	"regexp"
	"strings"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
)

// parseName reads a reference as Docker does: "core" is
// docker.io/library/core. A tag is not added.
func parseName(s string) (reference.Named, error) {
	n, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return nil, errs.Invalidf("invalid reference format: %q: %v", s, err)
	}
	if d, ok := n.(reference.Digested); ok {
		if err := checkDigest(d.Digest()); err != nil {
			return nil, err
		}
	}
	return n, nil
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
	r, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	return reference.FamiliarString(r)
}

// shortID is the first twelve digits of a digest.
func shortID(d digest.Digest) string {
	e := d.Encoded()
	return e[:min(12, len(e))]
}
