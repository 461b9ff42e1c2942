package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/errs"
)

// containerdName is the annotation by which containerd and Docker put a full
// name on a manifest of an index.
const containerdName = "io.containerd.image.name"

// ImageLoad reads images from what ImageSave, `docker save`, `podman save`,
// skopeo and buildx write: a Docker archive or a tar of an OCI layout, plain or
// packed. An index gives the image for this host's platform. quiet leaves out
// all messages but what was loaded.
func (s *Store) ImageLoad(ctx context.Context, r io.Reader, quiet bool, p Progress) error {
	rep := newReporter(p)
	l := s.lease()
	defer l.release(false)
	reading := rep
	if quiet {
		reading = nil
	}
	a, err := s.readArchive(ctx, l, r, reading)
	if err != nil {
		return fmt.Errorf("load image: %w", err)
	}
	images, err := a.images(l)
	if err != nil {
		return fmt.Errorf("load image: %w", err)
	}
	for _, img := range images {
		if err := s.addLoaded(ctx, img, rep); err != nil {
			return fmt.Errorf("load image: %w", err)
		}
	}
	return nil
}

// loaded is an image found in an archive.
type loaded struct {
	rec   imageRecord
	cfg   *imageConfig
	names []reference.NamedTagged
}

// addLoaded adds one image of an archive and names it.
func (s *Store) addLoaded(ctx context.Context, img loaded, p *reporter) error {
	for _, d := range img.rec.blobs() {
		if err := s.blobs.sync(d); err != nil {
			return err
		}
	}
	release, err := s.add(ctx, img.rec, img.cfg, nil)
	if err != nil {
		return err
	}
	defer release()
	s.mu.Lock()
	var moved []string
	for _, n := range img.names {
		if old, ok := s.refs.Tags[n.String()]; ok && old.ID != img.rec.ID {
			moved = append(moved, fmt.Sprintf("The image %s already exists, renaming the old one with ID %s to empty string", reference.FamiliarString(n), old.ID))
		}
	}
	err = s.changeRefs(func(r *refsRecord) {
		for _, n := range img.names {
			r.Tags[n.String()] = tagRecord{img.rec.ID, now()}
		}
	})
	s.mu.Unlock()
	if err != nil {
		return err
	}
	for _, m := range moved {
		p.stream(m)
	}
	for _, n := range img.names {
		p.stream("Loaded image: " + reference.FamiliarString(n))
	}
	if len(img.names) == 0 {
		p.stream("Loaded image ID: " + img.rec.ID.String())
	}
	s.event(events.ActionLoad, img.rec.ID, img.rec.ID.String())
	return nil
}

// images finds the images of an archive. What an OCI layout says is preferred,
// as it keeps manifests and their digests; a Docker archive's names are added.
func (a *archive) images(l *lease) ([]loaded, error) {
	var docker []dockerEntry
	if a.has("manifest.json") {
		raw, _, err := a.read("manifest.json")
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(raw, &docker); err != nil {
			return nil, errs.Invalidf("read manifest.json: %v", err)
		}
	}
	switch {
	case a.has("index.json"):
		return a.ociImages(docker)
	case len(docker) > 0:
		return a.dockerImages(l, docker)
	}
	return nil, errs.Invalidf("not an image archive: it has neither manifest.json (Docker archive) nor index.json (OCI layout); a root file system comes in by `silo import`")
}

// dockerEntry is one image in manifest.json.
type dockerEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (a *archive) dockerImages(l *lease, entries []dockerEntry) ([]loaded, error) {
	var out []loaded
	for _, e := range entries {
		raw, config, err := a.read(e.Config)
		if err != nil {
			return nil, err
		}
		config.MediaType = ocispec.MediaTypeImageConfig
		named := strings.TrimSuffix(path.Base(e.Config), ".json")
		if _, isID := idPrefix(named); isID && len(named) == 64 && named != config.Digest.Encoded() {
			return nil, errs.Invalidf("config %q has digest %s", e.Config, config.Digest)
		}
		cfg, err := parseConfig(raw)
		if err != nil {
			return nil, err
		}
		if len(e.Layers) > maxLayers {
			return nil, errs.Invalidf("image %s has %d layers, the most is %d", shortID(config.Digest), len(e.Layers), maxLayers)
		}
		var layers []content
		for _, name := range e.Layers {
			c, err := a.layer(name)
			if err != nil {
				return nil, err
			}
			layers = append(layers, c)
		}
		rec, err := a.s.register(l, config, layers, cfg)
		if err != nil {
			return nil, err
		}
		names, err := parseTags(e.RepoTags)
		if err != nil {
			return nil, err
		}
		out = append(out, loaded{rec, cfg, names})
	}
	return out, nil
}

func parseTags(tags []string) ([]reference.NamedTagged, error) {
	var names []reference.NamedTagged
	for _, t := range tags {
		n, err := parseTag(t)
		if err != nil {
			return nil, err
		}
		names = append(names, n)
	}
	return names, nil
}

// ociImages reads index.json. Entries of one image are joined.
func (a *archive) ociImages(docker []dockerEntry) ([]loaded, error) {
	raw, _, err := a.read("index.json")
	if err != nil {
		return nil, err
	}
	index, err := parseDocument(raw, ocispec.MediaTypeImageIndex)
	if err != nil {
		return nil, fmt.Errorf("read index.json: %w", err)
	}
	byID := map[digest.Digest]int{}
	var out []loaded
	for _, d := range index.Manifests {
		if d.Platform != nil && d.Platform.OS == "unknown" {
			continue // attestations
		}
		img, err := a.ociImage(d, nil)
		if err != nil {
			return nil, err
		}
		i, known := byID[img.rec.ID]
		if !known {
			i = len(out)
			byID[img.rec.ID] = i
			out = append(out, img)
		}
		if n := layoutName(d.Annotations); n != nil {
			out[i].names = addName(out[i].names, n)
		}
	}
	if len(out) == 0 {
		return nil, errs.Invalidf("the archive's index.json names no image")
	}
	for _, e := range docker {
		c, err := a.get(e.Config)
		if err != nil {
			return nil, err
		}
		names, err := parseTags(e.RepoTags)
		if err != nil {
			return nil, err
		}
		if i, ok := byID[c.Digest]; ok {
			for _, n := range names {
				out[i].names = addName(out[i].names, n)
			}
		}
	}
	return out, nil
}

func addName(names []reference.NamedTagged, n reference.NamedTagged) []reference.NamedTagged {
	for _, have := range names {
		if have.String() == n.String() {
			return names
		}
	}
	return append(names, n)
}

// layoutName is the full name among annotations, nil if there is none. A bare
// tag names no repository and is none.
func layoutName(ann map[string]string) reference.NamedTagged {
	for _, key := range []string{containerdName, ocispec.AnnotationRefName} {
		v := ann[key]
		if v == "" || key == ocispec.AnnotationRefName && !strings.ContainsAny(v, "/:") {
			continue
		}
		if n, err := parseTag(v); err == nil {
			return n
		}
	}
	return nil
}

// maxDepth is how deep indexes may be nested.
const maxDepth = 4

// ociImage reads the image of a descriptor, through indexes if need be.
func (a *archive) ociImage(d ocispec.Descriptor, through []digest.Digest) (loaded, error) {
	fail := func(err error) (loaded, error) { return loaded{}, err }
	raw, err := a.blob(d.Digest)
	if err != nil {
		return fail(err)
	}
	doc, err := parseDocument(raw, d.MediaType)
	if err != nil {
		return fail(err)
	}
	if doc.isIndex() {
		if len(through) >= maxDepth {
			return fail(errs.Invalidf("index %s: more than %d indexes inside of each other", shortID(d.Digest), maxDepth))
		}
		next, err := a.chooseThere(doc.Manifests)
		if err != nil {
			return fail(err)
		}
		return a.ociImage(next, append(through, d.Digest))
	}
	config, err := a.blob(doc.Config.Digest)
	if err != nil {
		return fail(err)
	}
	cfg, err := parseConfig(config)
	if err != nil {
		return fail(err)
	}
	for i, c := range doc.layers() {
		f, err := a.get("blobs/sha256/" + c.Digest.Encoded())
		if err != nil {
			return fail(errs.Invalidf("the archive lacks layer %s", c.Digest))
		}
		doc.Layers[i].Size = f.Size // what is there counts, and its digest is right
	}
	rec, err := newRecord(content{doc.MediaType, d.Digest, int64(len(raw))},
		content{doc.Config.MediaType, doc.Config.Digest, int64(len(config))}, doc.layers(), cfg)
	rec.Indexes = through
	return loaded{rec: rec, cfg: cfg}, err
}

// chooseThere picks from what the archive holds of an index: this host's
// platform, or else the first.
func (a *archive) chooseThere(manifests []ocispec.Descriptor) (ocispec.Descriptor, error) {
	var there []ocispec.Descriptor
	for _, m := range manifests {
		if a.hasBlob(m.Digest) && (m.Platform == nil || m.Platform.OS != "unknown") {
			there = append(there, m)
		}
	}
	if len(there) == 0 {
		return ocispec.Descriptor{}, errs.Invalidf("the archive has an index, but none of its images")
	}
	if d, err := choose(there, a.s.platform); err == nil {
		return d, nil
	}
	return there[0], nil
}
