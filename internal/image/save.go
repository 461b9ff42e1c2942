package image

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/errs"
)

// ImageSave writes images as one tar that is a Docker archive and an OCI
// layout at the same time, as `docker save` does. A name with a tag saves
// that name, a name alone all its tags, an id no name. The same images and
// names in the same order give the same bytes.
func (s *Store) ImageSave(ctx context.Context, refs []string, w io.Writer) error {
	if len(refs) == 0 {
		return errs.Invalidf("save images: name at least one")
	}
	images, release, err := s.collect(refs)
	if err != nil {
		return fmt.Errorf("save images: %w", err)
	}
	defer release()
	if err := s.writeArchive(ctx, images, w); err != nil {
		return fmt.Errorf("save images: %w", err)
	}
	for _, img := range images {
		s.event(events.ActionSave, img.rec.ID, img.rec.ID.String())
	}
	return nil
}

// collect finds the images and their names, and keeps them from being removed.
func (s *Store) collect(refs []string) (images []*loaded, release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	byID := map[digest.Digest]*loaded{}
	for _, ref := range refs {
		found, err := s.savedAs(ref)
		if err != nil {
			return nil, nil, err
		}
		for _, f := range found {
			img := byID[f.rec.ID]
			if img == nil {
				img = &loaded{rec: f.rec, cfg: f.cfg}
				byID[f.rec.ID] = img
				images = append(images, img)
			}
			for _, n := range f.names {
				img.names = addName(img.names, n)
			}
		}
	}
	var held []*entry
	for id := range byID {
		e := s.images[id]
		e.holds++
		held = append(held, e)
	}
	return images, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, e := range held {
			e.holds--
		}
	}, nil
}

// savedAs is what one argument of save means. The caller holds mu.
func (s *Store) savedAs(ref string) ([]loaded, error) {
	named, err := parseName(ref)
	hex, isID := idPrefix(ref)
	if err == nil && !(isID && len(hex) == 64) {
		repo := named.String() + ":"
		var tags []string
		for t := range s.refs.Tags {
			if t == named.String() || reference.IsNameOnly(named) && strings.HasPrefix(t, repo) {
				tags = append(tags, t)
			}
		}
		sort.Strings(tags)
		var out []loaded
		for _, t := range tags {
			n, err := parseTag(t)
			if err != nil {
				return nil, err
			}
			if e := s.images[s.refs.Tags[t].ID]; e != nil {
				out = append(out, loaded{e.rec, e.cfg, []reference.NamedTagged{n}})
			}
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	e, err := s.find(ref)
	if err != nil {
		return nil, err
	}
	return []loaded{{rec: e.rec, cfg: e.cfg}}, nil
}

// writeArchive writes the entries in the order of their names.
func (s *Store) writeArchive(ctx context.Context, images []*loaded, w io.Writer) error {
	tw := tar.NewWriter(w)
	for _, dir := range []string{"blobs/", "blobs/sha256/"} {
		if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
	}
	sizes := map[digest.Digest]int64{}
	for _, img := range images {
		r := img.rec
		sizes[r.Manifest.Digest], sizes[r.Config.Digest] = r.Manifest.Size, r.Config.Size
		for _, l := range r.Layers {
			sizes[l.Digest] = l.Size
		}
	}
	var order []digest.Digest
	for d := range sizes {
		order = append(order, d)
	}
	sort.Slice(order, func(i, j int) bool { return order[i] < order[j] })
	for _, d := range order {
		if err := s.writeBlob(ctx, tw, d, sizes[d]); err != nil {
			return fmt.Errorf("blob %s: %w", shortID(d), err)
		}
	}
	files, err := archiveIndex(images)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := writeEntry(tw, f.name, int64(len(f.raw)), bytes.NewReader(f.raw)); err != nil {
			return err
		}
	}
	return tw.Close()
}

// writeBlob copies content and checks on the way that it still is what it was.
func (s *Store) writeBlob(ctx context.Context, tw *tar.Writer, d digest.Digest, size int64) error {
	f, err := os.Open(s.blobs.path(d))
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if err := writeEntry(tw, "blobs/sha256/"+d.Encoded(), size, io.TeeReader(reading{ctx, f}, h)); err != nil {
		return err
	}
	if digest.NewDigest(digest.SHA256, h) != d {
		return errs.New(errs.Internal, "the content on disk is damaged: load or pull the image again")
	}
	return nil
}

func writeEntry(tw *tar.Writer, name string, size int64, r io.Reader) error {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0)}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(tw, r)
	return err
}

type archiveFile struct {
	name string
	raw  []byte
}

// archiveIndex makes the files that say what the blobs are.
func archiveIndex(images []*loaded) ([]archiveFile, error) {
	index := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{}}
	entries := []dockerEntry{}
	repositories := map[string]map[string]string{} // repository, tag, last layer
	for _, img := range images {
		e := dockerEntry{Config: "blobs/sha256/" + img.rec.Config.Digest.Encoded(), RepoTags: []string{}, Layers: []string{}}
		last := ""
		for _, l := range img.rec.Layers {
			last = l.Digest.Encoded()
			e.Layers = append(e.Layers, "blobs/sha256/"+last)
		}
		d := toDescriptor(img.rec.Manifest)
		platform := img.cfg.platform()
		d.Platform = &platform
		for _, n := range img.names {
			e.RepoTags = append(e.RepoTags, reference.FamiliarString(n))
			d.Annotations = map[string]string{containerdName: n.String(), ocispec.AnnotationRefName: n.Tag()}
			index.Manifests = append(index.Manifests, d)
			repo := reference.FamiliarName(n)
			if repositories[repo] == nil {
				repositories[repo] = map[string]string{}
			}
			repositories[repo][n.Tag()] = last
		}
		if len(img.names) == 0 {
			index.Manifests = append(index.Manifests, d)
		}
		entries = append(entries, e)
	}
	var files []archiveFile
	for _, f := range []struct {
		name string
		v    any
	}{
		{"index.json", index},
		{"manifest.json", entries},
		{ocispec.ImageLayoutFile, ocispec.ImageLayout{Version: ocispec.ImageLayoutVersion}},
		{"repositories", repositories},
	} {
		if f.name == "repositories" && len(repositories) == 0 {
			continue
		}
		raw, err := json.Marshal(f.v)
		if err != nil {
			return nil, err
		}
		files = append(files, archiveFile{f.name, raw})
	}
	return files, nil
}
