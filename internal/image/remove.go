package image

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
	"silo/internal/record"
)

// ImageTag gives an image one more name, taking it from another if need be.
func (s *Store) ImageTag(_ context.Context, source, target string) error {
	name, err := parseTag(target)
	if err != nil {
		return err
	}
	s.mu.Lock()
	e, err := s.find(source)
	if err == nil {
		err = s.tag(e.rec.ID, name)
	}
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("tag image: %w", err)
	}
	s.event(events.ActionTag, e.rec.ID, reference.FamiliarString(name))
	return nil
}

// tag names an image. The caller holds mu.
func (s *Store) tag(id digest.Digest, name reference.NamedTagged) error {
	return s.changeRefs(func(r *refsRecord) { r.Tags[name.String()] = tagRecord{id, now()} })
}

// ImageRemove follows Docker: a name is taken from the image, and with the
// last name the image goes; an id removes the image if it has one name at
// most. force drops several names at once, and the names of an image that a
// stopped container needs; the image itself stays as long as a container is
// made of it. Silo keeps no parent images, so that noPrune makes no difference.
func (s *Store) ImageRemove(ctx context.Context, ref string, force, _ bool) ([]image.DeleteResponse, error) {
	for {
		s.mu.Lock()
		e, err := s.find(ref)
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		unlock, err := s.locks.lock(ctx, "image "+e.rec.ID.String())
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		now, err := s.find(ref)
		s.mu.Unlock()
		if err == nil && now != e {
			unlock() // the name moved while we waited
			continue
		}
		r := removal{s: s, e: e, ref: ref, force: force}
		if err == nil {
			err = r.run()
		}
		if r.gone {
			s.cleanUp(e.rec.ID)
		}
		unlock()
		if err != nil {
			return nil, err
		}
		for _, d := range r.done {
			if d.Untagged != "" {
				s.event(events.ActionUnTag, e.rec.ID, e.rec.ID.String())
			} else {
				s.event(events.ActionDelete, e.rec.ID, e.rec.ID.String())
			}
		}
		return r.done, nil
	}
}

// removal is one ImageRemove; it holds the image's lock.
type removal struct {
	s     *Store
	e     *entry
	ref   string
	force bool
	done  []image.DeleteResponse
	gone  bool // the record is removed
}

func (r *removal) run() error {
	container, running := r.inUse()
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	names := r.s.fullNames(r.e.rec.ID)
	name, byName := r.byName(names)
	if r.e.holds > 0 && (!byName || len(withDigests(name, names)) == len(names)) { // one name of several may go
		return r.conflict("cannot be forced", "image is being used: a container is being made of it, or it is being saved or pushed")
	}
	if byName {
		if !r.force && container != "" && single(names) {
			return errs.Conflictf("conflict: unable to remove repository reference %q (must force) - container %s is using its referenced image %s",
				r.ref, container, shortID(r.e.rec.ID))
		}
		if err := r.untag(withDigests(name, names)); err != nil {
			return err
		}
		if names = r.s.fullNames(r.e.rec.ID); len(names) > 0 || container != "" {
			return nil // still named, or still used: it stays, without a name
		}
		return r.delete()
	}
	switch {
	case container != "" && running:
		return r.conflict("cannot be forced", "image is being used by running container "+container)
	case container != "" && !r.force:
		return r.conflict("must be forced", "image is being used by stopped container "+container)
	case !single(names) && !r.force:
		return r.conflict("must be forced", "image is referenced in multiple repositories")
	}
	if err := r.untag(names); err != nil {
		return err
	}
	if container != "" {
		return nil // its containers need it; it goes with another rmi
	}
	return r.delete()
}

func (r *removal) inUse() (string, bool) {
	if r.s.opt.InUse == nil {
		return "", false
	}
	return r.s.opt.InUse(r.e.rec.ID.String())
}

func (r *removal) conflict(how, why string) error {
	return errs.Conflictf("conflict: unable to delete %s (%s) - %s", shortID(r.e.rec.ID), how, why)
}

// byName tells which of the image's names was given, none for an id.
func (r *removal) byName(names []string) (string, bool) {
	named, err := parseName(r.ref)
	if err != nil {
		return "", false
	}
	full := reference.TagNameOnly(named).String()
	if c, ok := named.(reference.Canonical); ok { // a tag beside a digest is only a remark
		full = reference.TrimNamed(named).String() + "@" + c.Digest().String()
	}
	for _, n := range names {
		if n == full {
			return n, true
		}
	}
	return "", false
}

// untag takes names away, all or none.
func (r *removal) untag(names []string) error {
	err := r.s.changeRefs(func(c *refsRecord) {
		for _, n := range names {
			delete(c.Tags, n)
			delete(c.Digests, n)
		}
	})
	if err != nil {
		return fmt.Errorf("untag image: %w", err)
	}
	for _, n := range names {
		r.done = append(r.done, image.DeleteResponse{Untagged: familiar(n)})
	}
	return nil
}

// delete removes the record of an image without names, and its content.
func (r *removal) delete() error {
	s, rec := r.s, &r.e.rec
	if err := os.Remove(s.recordPath(rec.ID)); err != nil {
		return fmt.Errorf("remove image %s: %w", shortID(rec.ID), err)
	}
	delete(s.images, rec.ID)
	s.claim(rec.blobs(), -1)
	r.gone = true
	r.done = append(r.done, image.DeleteResponse{Deleted: rec.ID.String()})
	for _, d := range rec.blobs() {
		s.dropBlob(d, false)
	}
	return nil
}

// cleanUp removes what an image without a record leaves. What goes wrong here
// the next Open repeats. The caller holds the image's lock, not mu.
func (s *Store) cleanUp(id digest.Digest) {
	if err := record.SyncDir(s.imageDir(id)); err != nil {
		s.log.Error("remove image", "image", id, "err", err)
	}
	if err := s.opt.Bases.Remove(id.String()); err != nil {
		s.log.Error("remove base of image", "image", id, "err", err)
		return
	}
	if err := os.RemoveAll(s.imageDir(id)); err != nil {
		s.log.Error("remove image", "image", id, "err", err)
	}
}

// fullNames lists tags and digest references of an image, sorted, tags first.
// The caller holds mu.
func (s *Store) fullNames(id digest.Digest) []string {
	var tags, digests []string
	for n, t := range s.refs.Tags {
		if t.ID == id {
			tags = append(tags, n)
		}
	}
	for n, i := range s.refs.Digests {
		if i == id {
			digests = append(digests, n)
		}
	}
	sort.Strings(tags)
	sort.Strings(digests)
	return append(tags, digests...)
}

// single tells whether all names amount to one: one tag at most, and digest
// references of the same repository.
func single(names []string) bool {
	tags, repos := 0, map[string]bool{}
	for _, n := range names {
		repo, isDigest := repoOf(n)
		repos[repo] = true
		if !isDigest {
			tags++
		}
	}
	return tags <= 1 && len(repos) <= 1
}

func repoOf(name string) (repo string, isDigest bool) {
	if repo, _, ok := strings.Cut(name, "@"); ok {
		return repo, true
	}
	return name[:strings.LastIndexByte(name, ':')], false
}

// withDigests is the name and, if it is the last tag of its repository, the
// digest references of that repository: they would keep the image for nothing.
func withDigests(name string, names []string) []string {
	repo, isDigest := repoOf(name)
	out := []string{name}
	if isDigest {
		return out
	}
	for _, n := range names {
		if r, d := repoOf(n); r == repo && !d && n != name {
			return []string{name}
		} else if r == repo && d {
			out = append(out, n)
		}
	}
	return out
}
