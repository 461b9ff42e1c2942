package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/distribution/reference"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
)

// ImagePush sends an image to the registry of its name, content and manifest
// as they came. A name without a tag sends all tags of the repository. With a
// platform the image must be for it.
func (s *Store) ImagePush(ctx context.Context, ref, platform string, auth *registry.AuthConfig, p Progress) error {
	named, err := parseName(ref)
	if err != nil {
		return fmt.Errorf("push image: %w", err)
	}
	short := reference.FamiliarString(named)
	if err := s.push(ctx, named, platform, auth, newReporter(p)); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("push %s: %w", short, remoteError(err, reference.Domain(named), short))
	}
	return nil
}

func (s *Store) push(ctx context.Context, named reference.Named, platform string, auth *registry.AuthConfig, p *reporter) error {
	if _, ok := named.(reference.Digested); ok {
		return errs.Invalidf("cannot push a digest reference: give a tag")
	}
	images, release, err := s.toPush(named)
	if err != nil {
		return err
	}
	defer release()
	if platform != "" {
		want, err := s.parsePlatform(platform)
		if err != nil {
			return err
		}
		for _, img := range images {
			if have := img.cfg.platform(); fit(want, have) == 0 {
				return errs.NotFoundf("image does not provide the specified platform (%s): it is for %s", platformString(want), platformString(have))
			}
		}
	}
	repo, err := s.remote(named, auth)
	if err != nil {
		return err
	}
	defer repo.close()
	pusher, err := remote.NewPusher(remote.WithAuth(repo.auth), remote.WithTransport(repo.rt), remote.WithJobs(parallel))
	if err != nil {
		return err
	}
	p.message(jsonstream.Message{Status: "The push refers to repository [" + reference.TrimNamed(named).String() + "]"})
	for _, img := range images {
		ps := &push{s: s, repo: repo, pusher: pusher, p: p, rec: &img.rec}
		for _, tag := range img.names {
			if err := ps.run(ctx, tag); err != nil {
				return err
			}
			s.event(events.ActionPush, img.rec.ID, reference.FamiliarString(tag))
		}
	}
	return nil
}

// toPush finds what a name stands for, and keeps it from being removed.
func (s *Store) toPush(named reference.Named) ([]*loaded, func(), error) {
	images, release, err := s.collect([]string{named.String()})
	if err == nil && len(images[0].names) > 0 {
		return images, release, nil
	}
	if err == nil {
		release()
	} else if !errs.Is(err, errs.NotFound) {
		return nil, nil, err
	}
	if reference.IsNameOnly(named) {
		return nil, nil, errs.NotFoundf("An image does not exist locally with the tag: %s", reference.FamiliarName(named))
	}
	return nil, nil, errs.NotFoundf("tag does not exist: %s", reference.FamiliarString(named))
}

// push is one image on its way to one repository.
type push struct {
	s      *Store
	repo   *remoteRepo
	pusher *remote.Pusher
	p      *reporter
	rec    *imageRecord
}

func (ps *push) run(ctx context.Context, tag reference.NamedTagged) error {
	img, err := partial.CompressedToImage(pushImage{ps.s, ps.rec})
	if err != nil {
		return err
	}
	if err := ps.layers(ctx); err != nil {
		return err
	}
	if err := ps.pusher.Push(ctx, ps.repo.Tag(tag.Tag()), img); err != nil {
		return err
	}
	m := ps.rec.Manifest
	ps.s.mu.Lock()
	err = ps.s.changeRefs(func(r *refsRecord) {
		r.Digests[reference.TrimNamed(tag).String()+"@"+m.Digest.String()] = ps.rec.ID
	})
	ps.s.mu.Unlock()
	if err != nil {
		return err
	}
	ps.p.message(jsonstream.Message{Status: fmt.Sprintf("%s: digest: %s size: %d", tag.Tag(), m.Digest, m.Size)})
	ps.p.aux(struct {
		Tag, Digest string
		Size        int64
	}{tag.Tag(), m.Digest.String(), m.Size})
	return nil
}

// layers uploads the layers, a few at a time. The pusher remembers them, so
// that pushing the manifest asks for no layer again.
func (ps *push) layers(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, parallel)
	seen := map[digest.Digest]bool{}
	var wg sync.WaitGroup
	for _, l := range ps.rec.Layers {
		if seen[l.Digest] {
			continue
		}
		seen[l.Digest] = true
		ps.p.status(shortID(l.Digest), "Preparing")
		wg.Add(1)
		go func() {
			defer wg.Done()
			select {
			case slots <- struct{}{}:
				defer func() { <-slots }()
			case <-ctx.Done():
				return
			}
			if err := ps.layer(ctx, l.content); err != nil && !errors.Is(err, context.Canceled) {
				cancel(err)
			}
		}()
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return nil
}

func (ps *push) layer(ctx context.Context, c content) error {
	up := &pushLayer{s: ps.s, c: c, p: ps.p}
	l, err := partial.CompressedToLayer(up)
	if err != nil {
		return err
	}
	if err := ps.pusher.Upload(ctx, ps.repo.Repository, l); err != nil {
		return err
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	status := "Layer already exists"
	if up.sent {
		status = "Pushed"
	}
	ps.p.status(shortID(c.Digest), status)
	return nil
}

// pushLayer is a layer as the registry library wants it.
type pushLayer struct {
	s *Store
	c content
	p *reporter

	mu   sync.Mutex
	sent bool
}

func (l *pushLayer) Digest() (v1.Hash, error)            { return v1.NewHash(l.c.Digest.String()) }
func (l *pushLayer) Size() (int64, error)                { return l.c.Size, nil }
func (l *pushLayer) MediaType() (types.MediaType, error) { return types.MediaType(l.c.MediaType), nil }

func (l *pushLayer) Compressed() (io.ReadCloser, error) {
	l.mu.Lock()
	l.sent = true
	l.mu.Unlock()
	f, err := os.Open(l.s.blobs.path(l.c.Digest))
	if err != nil {
		return nil, err
	}
	return &pushReader{File: f, l: l}, nil
}

type pushReader struct {
	*os.File
	l *pushLayer
	n int64
}

func (r *pushReader) Read(p []byte) (int, error) {
	n, err := r.File.Read(p)
	if r.n += int64(n); n > 0 {
		r.l.p.progress(shortID(r.l.c.Digest), "Pushing", r.n, r.l.c.Size)
	}
	return n, err
}

// WriteTo would go past Read and its progress.
func (r *pushReader) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{r})
}

// pushImage is an image as the registry library wants it.
type pushImage struct {
	s   *Store
	rec *imageRecord
}

func (i pushImage) RawManifest() ([]byte, error) { return i.s.blobs.readSmall(i.rec.Manifest.Digest) }

func (i pushImage) RawConfigFile() ([]byte, error) { return i.s.blobs.readSmall(i.rec.Config.Digest) }

func (i pushImage) MediaType() (types.MediaType, error) {
	return types.MediaType(i.rec.Manifest.MediaType), nil
}

func (i pushImage) LayerByDigest(h v1.Hash) (partial.CompressedLayer, error) {
	for _, l := range i.rec.Layers {
		if l.Digest.String() == h.String() {
			return &pushLayer{s: i.s, c: l.content}, nil
		}
	}
	if strings.HasSuffix(i.rec.Config.Digest.String(), h.Hex) {
		return &pushLayer{s: i.s, c: i.rec.Config}, nil
	}
	return nil, fmt.Errorf("image %s has no layer %s", shortID(i.rec.ID), h)
}
