package image

import (
	"archive/tar"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
)

// AddBuiltin makes an image that comes with Silo known under name. archive is
// a Docker archive of one image, not packed as a whole (its layers may be), so
// that to see that nothing changed costs a few reads. An image of the user's
// under that name stays. Further names of the archive in the same repository
// come along: an image carries its version as a tag. A newer built-in image
// takes the names of the older one, which goes if no container uses it.
func (s *Store) AddBuiltin(ctx context.Context, name string, archive io.ReadSeeker) error {
	if err := s.addBuiltin(ctx, name, archive); err != nil {
		return fmt.Errorf("add built-in image %s: %w", name, err)
	}
	return nil
}

func (s *Store) addBuiltin(ctx context.Context, name string, file io.ReadSeeker) error {
	tag, err := parseTag(name)
	if err != nil {
		return err
	}
	id, err := archivedID(file)
	if err != nil {
		return err
	}
	s.mu.Lock()
	old := s.images[s.refs.Tags[tag.String()].ID]
	s.mu.Unlock()
	if old != nil && old.rec.ID == id {
		return nil
	}
	if old != nil && old.rec.Builtin != name {
		s.log.Info("built-in image left out: another image has its name", "name", name, "image", old.rec.ID)
		return nil
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	l := s.lease()
	defer l.release(false)
	a, err := s.readArchive(ctx, l, file, nil)
	if err != nil {
		return err
	}
	images, err := a.images(l)
	if err != nil {
		return err
	}
	if len(images) != 1 {
		return errs.Invalidf("the archive has %d images, not one", len(images))
	}
	images[0].rec.Builtin = name
	images[0].names = s.builtinNames(tag, images[0].names, name)
	if err := s.addLoaded(ctx, images[0], nil); err != nil {
		return err
	}
	if old == nil {
		return nil
	}
	s.mu.Lock()
	if err := s.dropVersion(old, tag); err != nil {
		s.mu.Unlock()
		return err
	}
	named := len(s.fullNames(old.rec.ID)) > 0 // a name that the user gave it
	s.mu.Unlock()
	if named {
		return nil
	}
	if _, err := s.ImageRemove(ctx, old.rec.ID.String(), false, false); err != nil && !errs.Is(err, errs.Conflict) {
		return err
	}
	return nil
}

// builtinNames are the names that a built-in image gets: its own, and those of
// the archive in the same repository (its version) that are free or were an
// older build's.
func (s *Store) builtinNames(own reference.NamedTagged, archived []reference.NamedTagged, builtin string) []reference.NamedTagged {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := []reference.NamedTagged{own}
	for _, n := range archived {
		if n.Name() != own.Name() {
			continue
		}
		if t, taken := s.refs.Tags[n.String()]; taken && (s.images[t.ID] == nil || s.images[t.ID].rec.Builtin != builtin) {
			continue
		}
		names = addName(names, n)
	}
	return names
}

// versionLabel is where a built-in image says which version of Silo it is.
const versionLabel = "org.opencontainers.image.version"

// dropVersion takes the name of its version from a replaced built-in image, so
// that it can go. The caller holds mu.
func (s *Store) dropVersion(old *entry, own reference.NamedTagged) error {
	version := old.cfg.Config.Labels[versionLabel]
	name := own.Name() + ":" + version
	if version == "" || s.refs.Tags[name].ID != old.rec.ID {
		return nil
	}
	return s.changeRefs(func(r *refsRecord) { delete(r.Tags, name) })
}

// archivedID is the id of the image in a Docker archive, found without
// reading its layers.
func archivedID(file io.ReadSeeker) (digest.Digest, error) {
	raw, err := archivedFile(file, "manifest.json")
	if err != nil {
		return "", err
	}
	var entries []dockerEntry
	if err := json.Unmarshal(raw, &entries); err != nil || len(entries) != 1 {
		return "", errs.Invalidf("manifest.json does not name one image")
	}
	raw, err = archivedFile(file, entries[0].Config)
	if err != nil {
		return "", err
	}
	return digest.FromBytes(raw), nil
}

// archivedFile reads one file of a tar, skipping the others by seeking.
func archivedFile(file io.ReadSeeker, name string) ([]byte, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	tr := tar.NewReader(file)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return nil, errs.Invalidf("the archive has no file %q", name)
		}
		if err != nil {
			return nil, err
		}
		if clean, _ := cleanName(h.Name); clean == name {
			return readSmall(tr)
		}
	}
}
