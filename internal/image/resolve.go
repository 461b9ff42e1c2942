package image

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
)

// Image is what a container needs to know of its image.
type Image struct {
	ID          string // sha256:…, the digest of the config
	Config      dockerspec.DockerOCIImage
	RawConfig   []byte // the config as it came; not to be changed
	Manifest    string // digest
	Layers      []Layer
	RepoTags    []string // familiar names, sorted
	RepoDigests []string
	Size        int64     // bytes of all layers, unpacked
	Created     time.Time // zero if the image does not say
	Builtin     string    // the name under which it came with Silo; "" is a user's own
}

// Layer is one layer of an image, lowest first.
type Layer struct {
	DiffID, ChainID string
	Size            int64 // bytes, unpacked
}

// Resolve finds an image by name ("core", "core:1", "host/name@sha256:…"), id
// or unambiguous beginning of an id. A name wins over an id.
func (s *Store) Resolve(ref string) (Image, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(ref)
	if err != nil {
		return Image{}, err
	}
	return s.export(e), nil
}

// Hold is Resolve and keeps the image from being removed until release is
// called: by then something that Options.InUse sees must need it. It waits
// for a removal under way, and builds the base again if it is missing.
func (s *Store) Hold(ctx context.Context, ref string) (img Image, release func(), err error) {
	for {
		if img, err = s.Resolve(ref); err != nil {
			return Image{}, nil, err
		}
		e, err := s.hold(ctx, digest.Digest(img.ID))
		if err != nil {
			return Image{}, nil, err
		}
		if e != nil {
			return img, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				e.holds--
			}, nil
		}
		// It was removed in between: look for another, or for the error.
	}
}

// hold marks the image as needed, nil if it is gone.
func (s *Store) hold(ctx context.Context, id digest.Digest) (*entry, error) {
	unlock, err := s.locks.lock(ctx, "image "+id.String())
	if err != nil {
		return nil, err
	}
	defer unlock()
	s.mu.Lock()
	e := s.images[id]
	if e != nil {
		e.holds++
	}
	s.mu.Unlock()
	if e == nil || s.opt.Bases.Has(id.String()) {
		return e, nil
	}
	if err := s.buildBase(ctx, &e.rec, nil); err != nil {
		s.mu.Lock()
		e.holds--
		s.mu.Unlock()
		return nil, fmt.Errorf("build base of image %s again: %w", shortID(id), err)
	}
	return e, nil
}

// find is Resolve for callers that hold mu.
func (s *Store) find(ref string) (*entry, error) {
	if hex, ok := idPrefix(ref); ok && len(hex) == 64 {
		if e := s.images[digest.NewDigestFromEncoded(digest.SHA256, hex)]; e != nil {
			return e, nil
		}
		return nil, notFound(ref)
	}
	named, nameErr := parseName(ref)
	if nameErr == nil {
		if e := s.findName(ref, named); e != nil {
			return e, nil
		}
	}
	if hex, ok := idPrefix(ref); ok {
		var hit *entry
		for id, e := range s.images {
			if !strings.HasPrefix(id.Encoded(), hex) {
				continue
			}
			if hit != nil {
				return nil, errs.Conflictf("image id %q is ambiguous: give more digits", ref)
			}
			hit = e
		}
		if hit != nil {
			return hit, nil
		}
	}
	if nameErr != nil {
		return nil, nameErr
	}
	return nil, notFound(ref)
}

// findName finds what ref, read as named, is the name of.
func (s *Store) findName(ref string, named reference.Named) *entry {
	c, ok := named.(reference.Canonical)
	if !ok {
		k, err := known.get(ref)
		if err != nil {
			return nil
		}
		return s.images[s.refs.Tags[k.tagged].ID]
	}
	repo := reference.TrimNamed(named).String()
	if id, ok := s.refs.Digests[repo+"@"+c.Digest().String()]; ok {
		return s.images[id]
	}
	// Pulled through an index, an image is known by its manifest's digest too.
	for name, id := range s.refs.Digests {
		if e := s.images[id]; strings.HasPrefix(name, repo+"@") && e != nil && e.rec.Manifest.Digest == c.Digest() {
			return e
		}
	}
	return nil
}

// notFound has Docker's wording: clients look for it.
func notFound(ref string) error {
	if n, err := reference.ParseNormalizedNamed(ref); err == nil {
		ref = reference.FamiliarString(reference.TagNameOnly(n))
	}
	return errs.NotFoundf("No such image: %s", ref)
}

// export copies an entry. The caller holds mu.
func (s *Store) export(e *entry) Image {
	img := Image{
		ID: e.rec.ID.String(), Config: e.cfg.DockerOCIImage, RawConfig: e.cfg.raw,
		Manifest: e.rec.Manifest.Digest.String(),
		Size:     e.rec.size(), Created: e.cfg.created(), Builtin: e.rec.Builtin,
	}
	for _, l := range e.rec.Layers {
		img.Layers = append(img.Layers, Layer{l.DiffID.String(), l.ChainID.String(), l.Unpacked})
	}
	img.RepoTags, img.RepoDigests = s.names(e.rec.ID)
	return img
}

// names lists the familiar names of an image, sorted. The caller holds mu.
func (s *Store) names(id digest.Digest) (tags, digests []string) {
	for name, t := range s.refs.Tags {
		if t.ID == id {
			tags = append(tags, familiar(name))
		}
	}
	for name, i := range s.refs.Digests {
		if i == id {
			digests = append(digests, familiar(name))
		}
	}
	sort.Strings(tags)
	sort.Strings(digests)
	return tags, digests
}
