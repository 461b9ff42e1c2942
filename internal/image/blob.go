package image

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
	"silo/internal/record"
)

// maxSmall is the most that is read into memory: manifests, indexes, configs.
// Registries refuse manifests of more than 4 MiB.
const maxSmall = 4 << 20

// partialAge is how long an interrupted download is kept to be continued.
const partialAge = 24 * time.Hour

// blobs is the folder of content. Names in it are digests, checked before.
type blobs struct{ dir string }

func (b blobs) path(d digest.Digest) string { return filepath.Join(b.dir, "sha256", d.Encoded()) }

func (b blobs) partial(d digest.Digest) string { return filepath.Join(b.dir, "partial", d.Encoded()) }

func (b blobs) init() error {
	for _, d := range []string{"sha256", "ingest", "partial"} {
		if err := os.MkdirAll(filepath.Join(b.dir, d), 0o700); err != nil {
			return err
		}
	}
	return nil
}

func (b blobs) has(d digest.Digest) bool {
	_, err := os.Stat(b.path(d))
	return err == nil
}

func (b blobs) readSmall(d digest.Digest) ([]byte, error) {
	f, err := os.Open(b.path(d))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := readSmall(f)
	if err == nil && digest.FromBytes(raw) != d {
		err = fmt.Errorf("read blob %s: %w: its content has another digest", d, record.ErrCorrupt)
	}
	return raw, err
}

// readSmall reads all of r, up to maxSmall.
func readSmall(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxSmall+1))
	if err == nil && len(raw) > maxSmall {
		err = errs.Invalidf("manifest or config is larger than %d bytes", maxSmall)
	}
	return raw, err
}

// sweep removes what nothing needs: everything being written, content without
// a claim, old interrupted downloads. It touches no file of another name.
func (b blobs) sweep(needed func(digest.Digest) bool, log *slog.Logger) {
	each := func(sub string, remove func(name string, fi fs.FileInfo) bool) {
		entries, err := os.ReadDir(filepath.Join(b.dir, sub))
		if err != nil {
			log.Error("sweep blobs", "err", err)
		}
		for _, e := range entries {
			fi, err := e.Info()
			if err != nil || !fi.Mode().IsRegular() || !remove(e.Name(), fi) {
				continue
			}
			log.Info("remove blob that no image needs", "folder", sub, "blob", e.Name())
			if err := os.Remove(filepath.Join(b.dir, sub, e.Name())); err != nil {
				log.Error("sweep blobs", "err", err)
			}
		}
	}
	each("ingest", func(string, fs.FileInfo) bool { return true })
	each("partial", func(_ string, fi fs.FileInfo) bool { return time.Since(fi.ModTime()) > partialAge })
	each("sha256", func(name string, _ fs.FileInfo) bool {
		d := digest.NewDigestFromEncoded(digest.SHA256, name)
		return d.Validate() == nil && !needed(d)
	})
}

// ingest is content being written. Its digest is known when it is complete.
type ingest struct {
	f    *os.File
	h    hash.Hash
	size int64
	b    blobs
}

func (b blobs) create() (*ingest, error) {
	f, err := os.CreateTemp(filepath.Join(b.dir, "ingest"), "")
	if err != nil {
		return nil, noSpace(err)
	}
	return &ingest{f: f, h: sha256.New(), b: b}, nil
}

// Write makes ingest an io.Writer.
func (g *ingest) Write(p []byte) (int, error) {
	n, err := g.f.Write(p)
	g.h.Write(p[:n])
	g.size += int64(n)
	return n, noSpace(err)
}

func (g *ingest) digest() digest.Digest { return digest.NewDigest(digest.SHA256, g.h) }

// abort drops the content. After a commit it does nothing.
func (g *ingest) abort() {
	if g.f != nil {
		g.f.Close()
		os.Remove(g.f.Name())
		g.f = nil
	}
}

// store names the content by its digest. l then holds it.
func (g *ingest) store(l *lease) (digest.Digest, error) {
	defer g.abort()
	d := g.digest()
	l.add(d)
	if g.b.has(d) {
		return d, nil
	}
	if err := os.Rename(g.f.Name(), g.b.path(d)); err != nil {
		return d, err
	}
	g.f.Close()
	g.f = nil
	return d, nil
}

// commit is store, durably.
func (g *ingest) commit(l *lease) (digest.Digest, error) {
	d, err := g.store(l)
	if err != nil {
		return d, err
	}
	return d, g.b.sync(d)
}

// sync makes content survive a power cut. It costs little if it does already.
func (b blobs) sync(d digest.Digest) error {
	f, err := os.Open(b.path(d))
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return noSpace(err)
	}
	return record.SyncDir(filepath.Dir(b.path(d)))
}

// putBytes stores small content.
func (b blobs) putBytes(l *lease, raw []byte) (digest.Digest, error) {
	g, err := b.create()
	if err != nil {
		return "", err
	}
	defer g.abort()
	if _, err := g.Write(raw); err != nil {
		return "", err
	}
	return g.commit(l)
}

// lease keeps content from being removed while an operation has no record for
// it yet.
type lease struct {
	s    *Store
	held map[digest.Digest]bool
}

func (s *Store) lease() *lease { return &lease{s, map[digest.Digest]bool{}} }

func (l *lease) add(d digest.Digest) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if !l.held[d] {
		l.held[d] = true
		l.s.claims[d]++
	}
}

// release lets go. Content that nothing else claims is removed; with keep it
// becomes an interrupted download that is complete, for the next try.
func (l *lease) release(keep bool) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	for d := range l.held {
		l.s.claim([]digest.Digest{d}, -1)
		l.s.dropBlob(d, keep)
	}
	clear(l.held)
}

// dropBlob removes content that nothing claims. The caller holds mu.
func (s *Store) dropBlob(d digest.Digest, keep bool) {
	if s.claims[d] > 0 {
		return
	}
	var err error
	if keep {
		err = os.Rename(s.blobs.path(d), s.blobs.partial(d))
	} else {
		err = os.Remove(s.blobs.path(d))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Error("remove blob", "blob", d, "err", err)
	}
}

// noSpace gives an error of a full disk its kind and a way out.
func noSpace(err error) error {
	if errs.KindOf(err) == errs.Unavailable { // it has been here
		return err
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return errs.New(errs.Unavailable, "%w: free some under the data root, for instance with `silo rmi`", err)
	}
	return err
}

// checkDigest takes what Silo can verify: sha256.
func checkDigest(d digest.Digest) error {
	if err := d.Validate(); err != nil {
		return errs.Invalidf("digest %q: %v", d, err)
	}
	if d.Algorithm() != digest.SHA256 {
		return errs.New(errs.NotSupported, "digest %q: only sha256 is supported", d)
	}
	return nil
}
