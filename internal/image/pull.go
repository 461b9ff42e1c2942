package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/errs"
)

// parallel is how many layers travel at once, as in Docker.
const parallel = 3

// ImagePull brings an image from a registry: of a name without tag or digest
// "latest", of an index the image for platform, "" being the host's. Layers
// that are here already are not fetched. If the connection fails, what was
// fetched is kept for a day; if ctx ends, nothing is.
func (s *Store) ImagePull(ctx context.Context, ref, platform string, auth *registry.AuthConfig, p Progress) error {
	named, err := parseName(ref)
	if err != nil {
		return fmt.Errorf("pull image: %w", err)
	}
	named = reference.TagNameOnly(named)
	short := reference.FamiliarString(named)
	repo, err := s.remote(named, auth)
	if err != nil {
		return fmt.Errorf("pull %s: %w", short, err)
	}
	defer repo.close()
	pl := &pull{s: s, named: named, repo: repo, l: s.lease(), p: newReporter(p)}
	err = pl.run(ctx, platform)
	pl.l.release(err != nil && ctx.Err() == nil && !isHost(err))
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("pull %s: %w", short, remoteError(err, reference.Domain(named), short))
	}
	s.event(events.ActionPull, pl.id, short)
	return nil
}

// ImageTags lists the tags that a repository of a registry has.
func (s *Store) ImageTags(ctx context.Context, ref string, auth *registry.AuthConfig) (tags []string, err error) {
	named, err := parseName(ref)
	if err != nil {
		return nil, fmt.Errorf("list tags: %w", err)
	}
	short := reference.FamiliarName(named)
	repo, err := s.remote(named, auth)
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", short, err)
	}
	defer repo.close()
	c, err := repo.client(ctx)
	if err == nil {
		tags, err = repo.tags(ctx, c)
	}
	if err != nil {
		return nil, fmt.Errorf("list tags of %s: %w", short, remoteError(err, reference.Domain(named), short))
	}
	return tags, nil
}

// pull is one ImagePull.
type pull struct {
	s      *Store
	named  reference.Named
	repo   *remoteRepo
	client *http.Client
	l      *lease
	p      *reporter
	id     digest.Digest
}

func (pl *pull) run(ctx context.Context, platform string) error {
	want, err := pl.s.parsePlatform(platform)
	if err != nil {
		return err
	}
	if pl.client, err = pl.repo.client(ctx); err != nil {
		return err
	}
	what := ""
	switch n := pl.named.(type) {
	case reference.Canonical:
		what = n.Digest().String()
	case reference.Tagged:
		what = n.Tag()
	}
	m, err := pl.manifest(ctx, what, want, nil)
	if err != nil {
		return err // before anything is said, so that it is the answer
	}
	pl.p.status(what, "Pulling from "+reference.FamiliarName(pl.named))
	top := m.digest
	if len(m.through) > 0 {
		top = m.through[0]
	}
	pl.id = m.doc.Config.Digest
	release, fresh, err := pl.image(ctx, m, want, platform != "")
	if err != nil {
		return err
	}
	defer release()
	if err := pl.name(top, &fresh); err != nil {
		return err
	}
	pl.p.message(jsonstream.Message{Status: "Digest: " + top.String()})
	status := "Image is up to date for "
	if fresh {
		status = "Downloaded newer image for "
	}
	pl.p.message(jsonstream.Message{Status: "Status: " + status + reference.FamiliarString(pl.named)})
	return nil
}

// name records the names of the pulled image. fresh becomes true if the tag
// meant another image before.
func (pl *pull) name(top digest.Digest, fresh *bool) error {
	pl.s.mu.Lock()
	defer pl.s.mu.Unlock()
	return pl.s.changeRefs(func(r *refsRecord) {
		r.Digests[reference.TrimNamed(pl.named).String()+"@"+top.String()] = pl.id
		if n, ok := pl.named.(reference.NamedTagged); ok {
			if _, byDigest := pl.named.(reference.Digested); byDigest {
				return // name:tag@digest pulls the digest; the tag is only a remark
			}
			if old, ok := r.Tags[n.String()]; !ok || old.ID != pl.id {
				*fresh = true
				r.Tags[n.String()] = tagRecord{pl.id, now()}
			}
		}
	})
}

// found is the manifest of the image to pull and the indexes that led to it.
type found struct {
	raw     []byte
	doc     *document
	digest  digest.Digest
	through []digest.Digest
}

// manifest fetches a manifest, through indexes if need be.
func (pl *pull) manifest(ctx context.Context, what string, want ocispec.Platform, through []digest.Digest) (*found, error) {
	raw, mediaType, err := pl.repo.fetchManifest(ctx, pl.client, what)
	if err != nil {
		return nil, err
	}
	doc, err := parseDocument(raw, mediaType)
	if err != nil {
		return nil, err
	}
	d, err := pl.s.blobs.putBytes(pl.l, raw)
	if err != nil {
		return nil, err
	}
	if !doc.isIndex() {
		return &found{raw, doc, d, through}, nil
	}
	if len(through) >= maxDepth {
		return nil, errs.Invalidf("index %s: more than %d indexes inside of each other", shortID(d), maxDepth)
	}
	next, err := choose(doc.Manifests, want)
	if err != nil {
		return nil, err
	}
	return pl.manifest(ctx, next.Digest.String(), want, append(through, d))
}

// image fetches what is missing of an image and adds it. fresh tells that it
// was not here.
func (pl *pull) image(ctx context.Context, m *found, want ocispec.Platform, strict bool) (release func(), fresh bool, err error) {
	config := toContent(*m.doc.Config)
	if err := pl.s.fetch(ctx, pl.repo, pl.client, pl.l, config, func(int64) {}); err != nil {
		return nil, false, err
	}
	raw, err := pl.s.blobs.readSmall(config.Digest)
	if err != nil {
		return nil, false, err
	}
	cfg, err := parseConfig(raw)
	if err != nil {
		return nil, false, err
	}
	if have := cfg.platform(); strict && fit(want, have) == 0 {
		return nil, false, errs.NotFoundf("image with reference %s was found but does not provide the specified platform (%s): it is for %s",
			reference.FamiliarString(pl.named), platformString(want), platformString(have))
	}
	rec, err := newRecord(content{m.doc.MediaType, m.digest, int64(len(m.raw))}, config, m.doc.layers(), cfg)
	if err != nil {
		return nil, false, err
	}
	rec.Indexes = m.through
	pl.s.mu.Lock()
	known := pl.s.images[rec.ID] != nil
	pl.s.mu.Unlock()
	// From here on nobody removes what is there, the image itself included or not.
	missing := false
	for _, l := range rec.Layers {
		pl.l.add(l.Digest)
		missing = missing || !pl.s.blobs.has(l.Digest)
	}
	if !known || missing {
		if err := pl.layers(ctx, rec.Layers); err != nil {
			return nil, false, err
		}
	}
	release, err = pl.s.add(ctx, rec, cfg, pl.p)
	return release, !known, err
}

// layers fetches the layers, a few at a time.
func (pl *pull) layers(ctx context.Context, layers []layerRecord) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, parallel)
	seen := map[digest.Digest]bool{}
	var wg sync.WaitGroup
	for _, l := range layers {
		if seen[l.Digest] {
			continue
		}
		seen[l.Digest] = true
		pl.l.add(l.Digest)
		id := shortID(l.Digest)
		if pl.s.blobs.has(l.Digest) {
			pl.p.status(id, "Already exists")
			continue
		}
		pl.p.status(id, "Pulling fs layer")
		wg.Add(1)
		go func() {
			defer wg.Done()
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			default:
				pl.p.status(id, "Waiting")
				select {
				case slots <- struct{}{}:
					defer func() { <-slots }()
				case <-ctx.Done():
					return
				}
			}
			if err := pl.layer(ctx, id, l.content); err != nil {
				cancel(err) // the first error is the one to tell
			}
		}()
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return nil
}

func (pl *pull) layer(ctx context.Context, id string, l content) error {
	err := pl.s.fetch(ctx, pl.repo, pl.client, pl.l, l, func(n int64) {
		if n == l.Size {
			pl.p.progress(id, "Downloading", n, l.Size)
			pl.p.status(id, "Verifying Checksum")
			return
		}
		pl.p.progress(id, "Downloading", n, l.Size)
	})
	if err != nil {
		if errors.Is(err, context.Canceled) && context.Cause(ctx) != nil {
			return context.Cause(ctx)
		}
		return err
	}
	pl.p.status(id, "Download complete")
	return nil
}
