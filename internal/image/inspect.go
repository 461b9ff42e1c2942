package image

import (
	"context"
	"time"

	"github.com/moby/moby/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ImageInspect tells all about an image.
func (s *Store) ImageInspect(_ context.Context, ref string) (image.InspectResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(ref)
	if err != nil {
		return image.InspectResponse{}, err
	}
	cfg := e.cfg.Config
	r := image.InspectResponse{
		ID: e.rec.ID.String(), RepoTags: []string{}, RepoDigests: []string{},
		Comment: e.cfg.Comment, Author: e.cfg.Author, Config: &cfg,
		Architecture: e.cfg.Architecture, Variant: e.cfg.Variant, Os: e.cfg.OS, OsVersion: e.cfg.OSVersion,
		Size:       e.rec.size(),
		RootFS:     image.RootFS{Type: "layers"},
		Descriptor: &ocispec.Descriptor{MediaType: e.rec.Manifest.MediaType, Digest: e.rec.Manifest.Digest, Size: e.rec.Manifest.Size},
	}
	if h := e.cfg.History; r.Comment == "" && len(h) > 0 {
		r.Comment = h[len(h)-1].Comment
	}
	if e.cfg.Created != nil {
		r.Created = e.cfg.Created.Format(time.RFC3339Nano)
	}
	for _, l := range e.rec.Layers {
		r.RootFS.Layers = append(r.RootFS.Layers, l.DiffID.String())
	}
	tags, digests := s.names(e.rec.ID)
	r.RepoTags, r.RepoDigests = append(r.RepoTags, tags...), append(r.RepoDigests, digests...)
	for _, t := range s.refs.Tags {
		if t.ID == e.rec.ID && t.At.After(r.Metadata.LastTagTime) {
			r.Metadata.LastTagTime = t.At
		}
	}
	return r, nil
}

// ImageHistory lists the steps that made an image, newest first. Layers that
// its history does not account for are listed without a command.
func (s *Store) ImageHistory(_ context.Context, ref string) ([]image.HistoryResponseItem, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(ref)
	if err != nil {
		return nil, err
	}
	var items []image.HistoryResponseItem
	layers := e.rec.Layers
	next := func() (size int64) {
		if len(layers) > 0 {
			size, layers = layers[0].Unpacked, layers[1:]
		}
		return size
	}
	for _, h := range e.cfg.History {
		item := image.HistoryResponseItem{ID: "<missing>", CreatedBy: h.CreatedBy, Comment: h.Comment}
		if h.Created != nil {
			item.Created = h.Created.Unix()
		}
		if !h.EmptyLayer {
			item.Size = next()
		}
		items = append(items, item)
	}
	for len(layers) > 0 {
		items = append(items, image.HistoryResponseItem{ID: "<missing>", Size: next()})
	}
	for i, j := 0, len(items)-1; i < j; i, j = i+1, j-1 {
		items[i], items[j] = items[j], items[i]
	}
	if len(items) == 0 {
		items = []image.HistoryResponseItem{{}}
	}
	items[0].ID = e.rec.ID.String()
	items[0].Tags, _ = s.names(e.rec.ID)
	return items, nil
}
