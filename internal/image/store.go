// Package image keeps images: their content as it came, records that name it,
// and the operations of the Docker Engine API on them. It brings images in
// (pull, load, import, built-in), sends them out (push, save) and tells a
// container what it needs to know. File systems are made elsewhere: package
// image hands the layers, verified, to its Bases.
//
// On disk, under the data root:
//
//	blobs/sha256/<hex>        content: manifests, indexes, configs, layers
//	blobs/ingest/             what is being written; emptied at Open
//	blobs/partial/<hex>       interrupted downloads, kept for a day
//	images/<hex>/image.json   one record an image
//	images/refs.json          names and digests by which images are known
//
// Order of writing: content, base, record, name. Order of removing: the
// reverse. So whatever a crash leaves is content that no record claims, and
// Open removes it.
package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/record"
)

// Progress receives the messages of a long operation, one at a time. It may
// be nil.
type Progress func(jsonstream.Message)

// LayerSource is one layer of an image on its way to becoming a file system.
type LayerSource struct {
	DiffID, ChainID string // digests as the OCI image specification defines them
	Size            int64  // bytes of the stream, 0 if not known yet
	// Open starts the layer's tar stream, unpacked. The stream ends in an
	// error in place of io.EOF if it is not what DiffID promises.
	Open func() (io.ReadCloser, error)
}

// Bases makes and removes the read-only file systems of images.
type Bases interface {
	// Build makes the base of an image from its layers, lowest first. It
	// calls progress, from one goroutine, with the layer's number and the
	// bytes taken from it. Building what exists is no error.
	Build(ctx context.Context, imageID string, layers []LayerSource, progress func(layer int, done int64)) error
	Remove(imageID string) error // removing what does not exist is no error
	Has(imageID string) bool
}

// Options say where a store lives and whom it works with.
type Options struct {
	Data  string // data root; the store owns blobs and images in it
	Bases Bases
	Log   *slog.Logger // nil discards
	// InsecureRegistries are reached without TLS or without checking its
	// certificate: "host", "host:port" or an address range. Loopback always is.
	InsecureRegistries []string
	// InUse names a container of an image, a running one if there is one, ""
	// for none. Nil means that no image is in use. It is called with the image
	// locked against Hold: it must not wait for anyone who calls Hold.
	InUse func(imageID string) (container string, running bool)
	// Event is told what happened to an image; name is a reference or the id.
	Event func(action events.Action, imageID, name string)
}

// Store is the image store of one data root. Its methods may be called at the
// same time; one process may open a data root.
type Store struct {
	opt      Options
	log      *slog.Logger
	dir      string // DATA/images
	blobs    blobs
	platform ocispec.Platform
	locks    keyLocks // "image <id>" and "blob <digest>", taken in this order

	mu     sync.Mutex
	images map[digest.Digest]*entry
	refs   refsRecord
	claims map[digest.Digest]int // records and leases that need a blob
	broken []digest.Digest       // images whose record could not be read
}

// entry is an image in memory. rec and cfg do not change once it is listed.
type entry struct {
	rec   imageRecord
	cfg   *imageConfig
	holds int // Hold calls not yet released
}

// Open reads the records of a data root, makes its folders if it is new, and
// removes what an interrupted operation left. A record that cannot be read is
// logged and left alone, and then no content is removed either.
func Open(o Options) (*Store, error) {
	s := &Store{
		opt: o, log: o.Log,
		dir:      filepath.Join(o.Data, "images"),
		blobs:    blobs{filepath.Join(o.Data, "blobs")},
		platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH},
		images:   map[digest.Digest]*entry{},
		claims:   map[digest.Digest]int{},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if runtime.GOARCH == "arm" {
		s.platform.Variant = "v7" // of Silo's own builds
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	if err := s.blobs.init(); err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	damaged, err := s.readRecords()
	if err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	if err := s.readRefs(damaged); err != nil {
		return nil, fmt.Errorf("open image store: %w", err)
	}
	if !damaged {
		s.blobs.sweep(func(d digest.Digest) bool { return s.claims[d] > 0 }, s.log)
	}
	return s, nil
}

// readRecords loads images/*/image.json. A folder without a record is an
// image that was being added or removed: it goes, with its base.
func (s *Store) readRecords() (damaged bool, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		id := digest.NewDigestFromEncoded(digest.SHA256, e.Name())
		if !e.IsDir() || id.Validate() != nil {
			continue
		}
		img, err := s.readImage(id)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			s.log.Info("remove unfinished image", "image", id)
			if err := s.opt.Bases.Remove(id.String()); err != nil {
				s.log.Error("remove unfinished image", "image", id, "err", err)
				continue
			}
			if err := os.RemoveAll(filepath.Join(s.dir, e.Name())); err != nil {
				s.log.Error("remove unfinished image", "image", id, "err", err)
			}
		case errors.Is(err, errNewer):
			return false, err
		case err != nil:
			damaged = true
			s.broken = append(s.broken, id)
			s.log.Error("image left out", "image", id, "err", err)
		default:
			s.images[id] = img
			s.claim(img.rec.blobs(), 1)
		}
	}
	return damaged, nil
}

func (s *Store) readImage(id digest.Digest) (*entry, error) {
	var rec imageRecord
	if err := record.Read(s.recordPath(id), &rec); err != nil {
		return nil, err
	}
	if err := rec.check(id); err != nil {
		return nil, err
	}
	raw, err := s.blobs.readSmall(rec.Config.Digest)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			// Not fs.ErrNotExist: the record exists.
			return nil, fmt.Errorf("read image config: %v", err)
		}
		return nil, err
	}
	cfg, err := parseConfig(raw)
	if err != nil {
		return nil, err
	}
	return &entry{rec: rec, cfg: cfg}, nil
}

func (s *Store) readRefs(damaged bool) error {
	err := record.Read(filepath.Join(s.dir, "refs.json"), &s.refs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.refs.Format > refsFormat {
		return fmt.Errorf("%s: %w", filepath.Join(s.dir, "refs.json"), errNewer)
	}
	s.refs = s.refs.clone()
	if damaged {
		return nil
	}
	for name, t := range s.refs.Tags {
		if s.images[t.ID] == nil {
			s.log.Warn("drop name of an image that is gone", "name", name, "image", t.ID)
			delete(s.refs.Tags, name)
		}
	}
	for name, id := range s.refs.Digests {
		if s.images[id] == nil {
			delete(s.refs.Digests, name)
		}
	}
	return nil
}

// IDs is the set of all image ids, those with a damaged record included: what
// a sweep of bases must leave alone.
func (s *Store) IDs() map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := map[string]bool{}
	for id := range s.images {
		ids[id.String()] = true
	}
	for _, id := range s.broken {
		ids[id.String()] = true
	}
	return ids
}

// claim adds n to the users of blobs. The caller holds mu, or is Open.
func (s *Store) claim(ds []digest.Digest, n int) {
	for _, d := range ds {
		if s.claims[d] += n; s.claims[d] <= 0 {
			delete(s.claims, d)
		}
	}
}

// event tells the outside; callers do not hold mu.
func (s *Store) event(action events.Action, id digest.Digest, name string) {
	if s.opt.Event != nil {
		s.opt.Event(action, id.String(), name)
	}
}

// now is the time to record: whole nanoseconds, no monotonic part.
func now() time.Time { return time.Now().UTC().Round(0) }
