package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"

	"silo/internal/errs"
	"silo/internal/image/compression"
	"silo/internal/record"
)

// add makes the image of rec known, whose content l holds: it builds the base,
// verifies every layer against its diff id, and writes the record. An image
// that exists stays as it is. It gives the image's lock back as release, for
// the caller to name the image before anyone can remove it.
func (s *Store) add(ctx context.Context, rec imageRecord, cfg *imageConfig, p *reporter) (release func(), err error) {
	unlock, err := s.locks.lock(ctx, "image "+rec.ID.String())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	s.mu.Lock()
	known := s.images[rec.ID] != nil
	s.mu.Unlock()
	if known {
		return unlock, nil
	}
	// The folder comes first: without a record in it, Open removes the base.
	if err := os.MkdirAll(s.imageDir(rec.ID), 0o700); err != nil {
		return nil, noSpace(err)
	}
	if err := s.buildBase(ctx, &rec, p); err != nil {
		s.cleanUp(rec.ID)
		return nil, noSpace(err)
	}
	rec.Format, rec.Added = imageFormat, now()
	if err := s.writeRecord(&rec); err != nil {
		s.cleanUp(rec.ID)
		return nil, noSpace(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.images[rec.ID] = &entry{rec: rec, cfg: cfg}
	s.claim(rec.blobs(), 1)
	return unlock, nil
}

func (s *Store) writeRecord(rec *imageRecord) error {
	if err := record.Write(s.recordPath(rec.ID), rec, record.Durable); err != nil {
		return err
	}
	return record.SyncDir(s.dir)
}

// newRecord joins content and config into a record. Layers come without diff
// and chain ids: these are the config's.
func newRecord(manifest, config content, layers []content, cfg *imageConfig) (imageRecord, error) {
	ids := cfg.RootFS.DiffIDs
	if len(ids) != len(layers) {
		return imageRecord{}, errs.Invalidf("image %s: the config names %d layers, the manifest %d", shortID(config.Digest), len(ids), len(layers))
	}
	rec := imageRecord{ID: config.Digest, Manifest: manifest, Config: config, Layers: []layerRecord{}}
	chain := identity.ChainIDs(append([]digest.Digest(nil), ids...))
	for i, l := range layers {
		rec.Layers = append(rec.Layers, layerRecord{content: l, DiffID: ids[i], ChainID: chain[i]})
	}
	return rec, nil
}

// buildBase has the base made and fills in the unpacked sizes. Layers that the
// builder did not read (it had their chain already) are verified here, unless
// an image with the same blob was.
func (s *Store) buildBase(ctx context.Context, rec *imageRecord, p *reporter) error {
	readers := make([]*layerReader, len(rec.Layers))
	sources := make([]LayerSource, len(rec.Layers))
	known := s.knownSizes()
	for i := range rec.Layers {
		l := &rec.Layers[i]
		r := &layerReader{ctx: ctx, s: s, layer: *l, p: p}
		if n, ok := known[blobLayer{l.Digest, l.DiffID}]; ok {
			r.unpacked, r.verified = n, true
		}
		readers[i] = r
		sources[i] = LayerSource{DiffID: l.DiffID.String(), ChainID: l.ChainID.String(), Size: r.unpacked, Open: r.open}
	}
	progress := func(layer int, _ int64) {
		if layer >= 0 && layer < len(readers) {
			r := readers[layer]
			p.progress(shortID(r.layer.Digest), "Extracting", r.taken.Load(), r.layer.Size)
		}
	}
	err := s.opt.Bases.Build(ctx, rec.ID.String(), sources, progress)
	for i, r := range readers {
		// What is wrong with a layer says more than what the builder made of it.
		if rerr := r.failure(); rerr != nil {
			return rerr
		}
		if err != nil {
			continue
		}
		if err = r.verify(); err != nil {
			return err
		}
		rec.Layers[i].Unpacked = r.unpacked
		p.status(shortID(r.layer.Digest), "Pull complete")
	}
	return err
}

type blobLayer struct{ blob, diffID digest.Digest }

// knownSizes is the layers verified before: blob and diff id belong together.
func (s *Store) knownSizes() map[blobLayer]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[blobLayer]int64{}
	for _, e := range s.images {
		for _, l := range e.rec.Layers {
			known[blobLayer{l.Digest, l.DiffID}] = l.Unpacked
		}
	}
	return known
}

// layerReader opens a layer's tar stream and checks it on the way.
type layerReader struct {
	ctx   context.Context
	s     *Store
	layer layerRecord
	p     *reporter
	taken atomic.Int64 // bytes of the blob read, for progress

	mu       sync.Mutex
	verified bool
	unpacked int64
	err      error
}

func (r *layerReader) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// open starts the stream from the beginning.
func (r *layerReader) open() (io.ReadCloser, error) {
	f, err := os.Open(r.s.blobs.path(r.layer.Digest))
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open layer %s: its blob is gone: load or pull the image again", shortID(r.layer.Digest))
		}
		return nil, err
	}
	r.taken.Store(0)
	z, _, err := compression.NewReader(counter{f, &r.taken})
	if err != nil {
		f.Close()
		return nil, r.fail(errs.Invalidf("unpack layer %s: %v", shortID(r.layer.Digest), err))
	}
	p := shortID(r.layer.Digest)
	r.p.progress(p, "Extracting", 0, r.layer.Size)
	return &layerStream{r: r, f: f, z: z, h: sha256.New()}, nil
}

func (r *layerReader) fail(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
	return err
}

// verify reads the layer through if nobody did.
func (r *layerReader) verify() error {
	r.mu.Lock()
	done := r.verified
	r.mu.Unlock()
	if done {
		return nil
	}
	st, err := r.open()
	if err != nil {
		return err
	}
	return st.Close()
}

// layerStream is one pass over a layer.
type layerStream struct {
	r   *layerReader
	f   *os.File
	z   io.ReadCloser
	h   hash.Hash
	n   int64
	end error // what Read gives from now on
}

// Read gives an error in place of io.EOF if the stream was not the promised one.
func (t *layerStream) Read(p []byte) (int, error) {
	if t.end != nil {
		return 0, t.end
	}
	if err := t.r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := t.z.Read(p)
	t.h.Write(p[:n])
	t.n += int64(n)
	switch {
	case err == nil:
		return n, nil
	case err != io.EOF:
		t.end = t.r.fail(errs.Invalidf("unpack layer %s: %v", shortID(t.r.layer.Digest), err))
	default:
		t.end = t.finish()
	}
	return n, t.end
}

func (t *layerStream) finish() error {
	l := t.r.layer
	if got := digest.NewDigest(digest.SHA256, t.h); got != l.DiffID {
		return t.r.fail(errs.Invalidf("layer %s: its content has diff id %s, the image config says %s", shortID(l.Digest), got, l.DiffID))
	}
	t.r.mu.Lock()
	defer t.r.mu.Unlock()
	t.r.verified, t.r.unpacked = true, t.n
	return io.EOF
}

// Close reads on to the end, as what a tar reader leaves is verified too.
func (t *layerStream) Close() error {
	if t.f == nil {
		return nil
	}
	_, err := io.Copy(io.Discard, t)
	t.z.Close()
	t.f.Close()
	t.f = nil
	if t.end == nil || errors.Is(t.end, io.EOF) {
		t.end = fs.ErrClosed
	}
	return err
}

// counter counts the bytes read.
type counter struct {
	r io.Reader
	n *atomic.Int64
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
