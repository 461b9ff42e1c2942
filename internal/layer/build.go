package layer

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"silo/internal/erofs"
	"silo/internal/errs"
	"silo/internal/record"
)

// Build makes the base of an image from its layers, lowest first, and writes
// the layers' folders. If the base is there already it does nothing; of two
// calls for one image the second waits. The base appears whole or not at all:
// after an error or a crash nothing of it is left but what Sweep removes.
//
// progress, if not nil, is told how many bytes of a layer's tar (by its index
// in layers) were read so far. A tar that breaks the rules, or is not the one
// its digest names, gives an error of kind Invalid; a full disk Unavailable.
func (s *Store) Build(ctx context.Context, imageID string, layers []Source, progress func(layer int, bytes int64)) (Base, error) {
	b, err := s.build(ctx, imageID, layers, progress)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return Base{}, errs.New(errs.Unavailable, "build base of image %s: no space left on %s: free some, or use another data root", imageID, s.bases)
	case err != nil:
		return Base{}, fmt.Errorf("build base of image %s: %w", imageID, err)
	}
	return b, nil
}

func (s *Store) build(ctx context.Context, imageID string, layers []Source, progress func(int, int64)) (Base, error) {
	id, err := hexOf(imageID)
	if err != nil {
		return Base{}, err
	}
	rec := baseRecord{Format: format, ImageID: imageID}
	for i, l := range layers {
		for _, d := range []string{l.DiffID, l.ChainID} {
			if _, err := hexOf(d); err != nil {
				return Base{}, fmt.Errorf("layer %d: %w", i+1, err)
			}
		}
		rec.Layers = append(rec.Layers, l.ChainID)
	}
	slices.Reverse(rec.Layers)
	unlock, err := s.lock(ctx, id)
	if err != nil {
		return Base{}, err
	}
	defer unlock()
	if b, old, err := s.base(id); err == nil && slices.Equal(old.Layers, rec.Layers) && allThere(b.Layers) {
		return b, nil
	}
	tmp, done, err := s.temp(s.bases)
	if err != nil {
		return Base{}, err
	}
	defer done()
	sizes, err := s.write(ctx, tmp, &rec, layers, progress)
	if err != nil {
		return Base{}, err
	}
	if err := record.Write(filepath.Join(tmp, "base.json"), rec, record.Durable); err != nil {
		return Base{}, err
	}
	return s.publish(id, tmp, layers, sizes)
}

func allThere(dirs []string) bool {
	return !slices.ContainsFunc(dirs, func(dir string) bool {
		_, err := os.Stat(filepath.Join(dir, "layer.json"))
		return err != nil
	})
}

// temp makes a folder in dir that Sweep leaves alone until done, which removes
// what then is left of it.
func (s *Store) temp(dir string) (path string, done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, err = os.MkdirTemp(dir, tempPrefix)
	if err != nil {
		return "", nil, err
	}
	s.active[path] = true
	return path, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.active, path)
		_ = os.RemoveAll(path) // Sweep would find it
	}, nil
}

// write writes the file system into the folder tmp, completes rec, and gives
// the sizes of the layers' tars.
func (s *Store) write(ctx context.Context, tmp string, rec *baseRecord, layers []Source, progress func(int, int64)) (sizes []int64, err error) {
	f, err := os.OpenFile(filepath.Join(tmp, baseFile), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var uuid [16]byte
	if _, err := hex.Decode(uuid[:], []byte(rec.ImageID[len("sha256:"):][:32])); err != nil {
		return nil, err
	}
	b := &builder{ctx: ctx, limits: s.Limits, out: erofs.NewWriter(f, uuid), spool: &spool{dir: tmp}}
	defer func() { err = errors.Join(err, b.spool.Close()) }()
	sizes = make([]int64, len(layers))
	for i := len(layers) - 1; i >= 0; i-- {
		told := func(n int64) {
			if progress != nil {
				progress(i, n)
			}
		}
		if sizes[i], err = b.read(source{layers[i], told}); err != nil {
			return nil, fmt.Errorf("layer %d of %d (%s): %w", i+1, len(layers), layers[i].DiffID, err)
		}
	}
	if rec.Size, err = b.close(); err != nil {
		return nil, err
	}
	rec.Warnings = b.warnings()
	return sizes, f.Sync()
}

// publish puts the layers' folders and the base in their places.
func (s *Store) publish(id, tmp string, layers []Source, sizes []int64) (Base, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parents []string // nearest first
	for i, l := range layers {
		digits, err := hexOf(l.ChainID)
		if err != nil {
			return Base{}, err
		}
		dir := filepath.Join(s.layers, digits)
		if !allThere([]string{dir}) {
			if err := s.publishLayer(dir, parents, layerRecord{format, l.ChainID, l.DiffID, sizes[i]}); err != nil {
				return Base{}, fmt.Errorf("layer %d: %w", i+1, err)
			}
		}
		parents = append([]string{dir}, parents...)
	}
	if err := record.SyncDir(s.layers); err != nil {
		return Base{}, err
	}
	dir := filepath.Join(s.bases, id)
	if err := s.discard(dir); err != nil { // a damaged one
		return Base{}, err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return Base{}, err
	}
	if err := record.SyncDir(s.bases); err != nil {
		return Base{}, err
	}
	b, _, err := s.base(id)
	return b, err
}

// publishLayer writes the folder of one layer.
func (s *Store) publishLayer(dir string, parents []string, rec layerRecord) error {
	tmp, err := os.MkdirTemp(s.layers, tempPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := WriteChain(tmp, parents); err != nil {
		return err
	}
	if err := record.Write(filepath.Join(tmp, "layer.json"), rec, record.Durable); err != nil {
		return err
	}
	if err := syncFile(filepath.Join(tmp, "layerchain.json")); err != nil {
		return err
	}
	if err := s.discard(dir); err != nil { // one without its record
		return err
	}
	return os.Rename(tmp, dir)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
