package layer

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"silo/internal/errs"
	"silo/internal/record"
)

// Source is one layer of an image.
type Source struct {
	DiffID  string // digest of the uncompressed tar, "sha256:…"
	ChainID string // digest of the chain of layers up to this one
	Size    int64  // of the tar in bytes, as far as known; only a hint
	Open    func() (io.ReadCloser, error)
}

// Base is the file system of one image.
type Base struct {
	Path     string   // of the EROFS image
	Size     int64    // of it, bytes
	Layers   []string // absolute folders of the layers, nearest first
	Warnings []string // what is not as in the layers, for people
}

// Store keeps layers and bases under a data root. Its methods may be called
// from several goroutines; one process at a time uses a data root.
type Store struct {
	Limits Limits // of builds that begin after it was set; set it before use

	layers, bases string

	mu       sync.Mutex               // folders appear and go under it
	building map[string]chan struct{} // images being built, by hexadecimal id; each holds one token
	active   map[string]bool          // temporary folders in use
}

// Open prepares the folders of a store under the data root.
func Open(data string) (*Store, error) {
	data, err := filepath.Abs(data)
	if err != nil {
		return nil, fmt.Errorf("open layers: %w", err)
	}
	s := &Store{
		Limits: DefaultLimits(), layers: filepath.Join(data, "layers"), bases: filepath.Join(data, "bases"),
		building: map[string]chan struct{}{}, active: map[string]bool{},
	}
	for _, dir := range []string{s.layers, s.bases} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("open layers: %w", err)
		}
	}
	return s, nil
}

const (
	format   = 1
	baseFile = "base.erofs"
	// tempPrefix begins the names of folders that are being made or removed.
	tempPrefix = ".tmp-"
)

// layerRecord is layer.json.
type layerRecord struct {
	Format  int    `json:"format"`
	ChainID string `json:"chainID"`
	DiffID  string `json:"diffID"`
	Size    int64  `json:"size"` // of the uncompressed tar, bytes
}

// baseRecord is base.json.
type baseRecord struct {
	Format   int      `json:"format"`
	ImageID  string   `json:"imageID"`
	Layers   []string `json:"layers"` // chain ids, nearest first
	Size     int64    `json:"size"`
	Warnings []string `json:"warnings,omitempty"`
}

// hexOf gives the digits of a digest; only these ever become a path.
func hexOf(digest string) (string, error) {
	digits, ok := strings.CutPrefix(digest, "sha256:")
	if b, err := hex.DecodeString(digits); !ok || err != nil || len(b) != 32 || strings.ToLower(digits) != digits {
		return "", errs.Invalidf("%q is not a digest of the form sha256:<64 hexadecimal digits>", digest)
	}
	return digits, nil
}

// WriteChain writes layerchain.json into a layer's or container's folder: the
// absolute folders of its parents, nearest first, as one line; null if there
// are none. It survives a crash of silod; a power cut only if the caller syncs
// the folder.
func WriteChain(dir string, parents []string) error {
	if len(parents) == 0 {
		parents = nil
	}
	line, err := json.Marshal(parents)
	if err == nil {
		err = record.WriteFile(filepath.Join(dir, "layerchain.json"), line, 0o600, record.Volatile)
	}
	if err != nil {
		return fmt.Errorf("write layer chain: %w", err)
	}
	return nil
}

// Base finds the base of an image. The error is of kind NotFound if it has
// not been built, and Internal if it is damaged: build it again then.
func (s *Store) Base(imageID string) (Base, error) {
	id, err := hexOf(imageID)
	if err != nil {
		return Base{}, fmt.Errorf("base of image: %w", err)
	}
	b, _, err := s.base(id)
	if errors.Is(err, fs.ErrNotExist) {
		return Base{}, errs.NotFoundf("base of image %s: not built yet", imageID)
	}
	if err != nil {
		return Base{}, fmt.Errorf("base of image %s: %w", imageID, err)
	}
	return b, nil
}

func (s *Store) base(id string) (Base, baseRecord, error) {
	var r baseRecord
	dir := filepath.Join(s.bases, id)
	if err := record.Read(filepath.Join(dir, "base.json"), &r); err != nil {
		return Base{}, r, err
	}
	b := Base{Path: filepath.Join(dir, baseFile), Size: r.Size, Layers: []string{}, Warnings: r.Warnings}
	if r.Format != format {
		return b, r, errs.New(errs.NotSupported, "base.json has format %d, this silod knows %d", r.Format, format)
	}
	for _, chain := range r.Layers {
		digits, err := hexOf(chain)
		if err != nil {
			return b, r, fmt.Errorf("%w: %v", record.ErrCorrupt, err)
		}
		b.Layers = append(b.Layers, filepath.Join(s.layers, digits))
	}
	switch st, err := os.Stat(b.Path); {
	case errors.Is(err, fs.ErrNotExist):
		return b, r, fmt.Errorf("%w: %s is missing", record.ErrCorrupt, b.Path)
	case err != nil:
		return b, r, err
	case st.Size() != r.Size:
		return b, r, fmt.Errorf("%w: %s has %d bytes, not %d", record.ErrCorrupt, b.Path, st.Size(), r.Size)
	}
	return b, r, nil
}

// lock waits until no other goroutine builds or removes the base of id.
func (s *Store) lock(ctx context.Context, id string) (unlock func(), err error) {
	s.mu.Lock()
	token := s.building[id]
	if token == nil {
		token = make(chan struct{}, 1)
		s.building[id] = token
	}
	s.mu.Unlock()
	select {
	case token <- struct{}{}:
		return func() { <-token }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Remove deletes the base of an image, and those of its layers that no other
// base has and keepChains does not ask for. Mounts of the base go on; a base
// that is not there is no error.
func (s *Store) Remove(imageID string, keepChains func(chainID string) bool) error {
	id, err := hexOf(imageID)
	if err != nil {
		return fmt.Errorf("remove base: %w", err)
	}
	unlock, err := s.lock(context.Background(), id)
	if err != nil {
		return err
	}
	defer unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, readErr := s.base(id)
	if err := s.discard(filepath.Join(s.bases, id)); err != nil {
		return fmt.Errorf("remove base of image %s: %w", imageID, err)
	}
	if readErr != nil { // which layers it had is not known: Sweep finds them
		return nil
	}
	used, sure := s.used()
	if !sure {
		return nil
	}
	for _, chain := range r.Layers {
		digits, err := hexOf(chain)
		if err != nil || used[digits] || keepChains != nil && keepChains(chain) {
			continue
		}
		if err := s.discard(filepath.Join(s.layers, digits)); err != nil {
			return fmt.Errorf("remove layer %s: %w", chain, err)
		}
	}
	return nil
}

// used names the layers that bases refer to; it is not sure of that if a base
// cannot be read.
func (s *Store) used() (layers map[string]bool, sure bool) {
	layers = map[string]bool{}
	entries, err := os.ReadDir(s.bases)
	if err != nil {
		return nil, false
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			continue
		}
		_, r, err := s.base(e.Name())
		if err != nil {
			return nil, false
		}
		for _, chain := range r.Layers {
			layers[strings.TrimPrefix(chain, "sha256:")] = true
		}
	}
	return layers, true
}

// discard removes a folder under its parent such that it never shows half.
func (s *Store) discard(dir string) error {
	away := filepath.Join(filepath.Dir(dir), tempPrefix+"removing-"+filepath.Base(dir))
	if err := os.RemoveAll(away); err != nil {
		return err
	}
	if err := os.Rename(dir, away); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return os.RemoveAll(away)
}

// Sweep removes what no known image (by id, "sha256:…") claims: bases of other
// images, layers of no base, and what a killed silod left half made. It gives
// the folders that it removed. A damaged base of a known image stays, and then
// all layers do. Builds that are under way are left alone.
func (s *Store) Sweep(images map[string]bool) (removed []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entries, err := os.ReadDir(s.bases)
	if err != nil {
		return nil, fmt.Errorf("sweep bases: %w", err)
	}
	layers, err := os.ReadDir(s.layers)
	if err != nil {
		return nil, fmt.Errorf("sweep layers: %w", err)
	}
	drop := func(dir string) {
		if e := s.discard(dir); e != nil {
			err = errors.Join(err, fmt.Errorf("sweep: %w", e))
		} else {
			removed = append(removed, dir)
		}
	}
	for _, e := range entries {
		if dir := filepath.Join(s.bases, e.Name()); !s.active[dir] && !images["sha256:"+e.Name()] {
			drop(dir)
		}
	}
	used, sure := s.used()
	for _, e := range layers {
		dir, temp := filepath.Join(s.layers, e.Name()), strings.HasPrefix(e.Name(), tempPrefix)
		if !s.active[dir] && (temp || sure && !used[e.Name()]) {
			drop(dir)
		}
	}
	slices.Sort(removed)
	return removed, err
}
