package image

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
	"silo/internal/image/compression"
)

// maxEntries bounds the memory that an archive's table takes. An archive has
// a handful of entries an image.
const maxEntries = 100_000

// archive is an image archive that has been read: every file is in the blob
// store under its digest. Names in it are only ever looked up here; none
// becomes a path on the host.
type archive struct {
	s     *Store
	files map[string]content // by cleaned name; MediaType is empty
	links map[string]string  // symbolic and hard links: old `docker save` has them
}

// readArchive reads a tar, plain or packed, into the blob store. l holds the
// content.
func (s *Store) readArchive(ctx context.Context, l *lease, r io.Reader, p *reporter) (*archive, error) {
	plain, _, err := compression.NewReader(reading{ctx, r})
	if err != nil {
		return nil, unpackError(err)
	}
	defer plain.Close()
	a := &archive{s, map[string]content{}, map[string]string{}}
	tr := tar.NewReader(plain)
	for n := 0; ; n++ {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, unpackError(err)
		}
		if n >= maxEntries {
			return nil, errs.Invalidf("the archive has more than %d entries", maxEntries)
		}
		if err := a.take(l, h, tr, p); err != nil {
			return nil, unpackError(err)
		}
	}
	// To the end, so that a truncated stream is noticed and a pipe not broken.
	if _, err := io.Copy(io.Discard, plain); err != nil {
		return nil, unpackError(err)
	}
	return a, nil
}

// take stores one entry.
func (a *archive) take(l *lease, h *tar.Header, r io.Reader, p *reporter) error {
	name, ok := cleanName(h.Name)
	if !ok {
		return errs.Invalidf("archive entry %q leads out of the archive", h.Name)
	}
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeSymlink:
		a.links[name] = path.Join(path.Dir(name), h.Linkname)
		return nil
	case tar.TypeLink:
		a.links[name] = h.Linkname
		return nil
	case tar.TypeDir:
		return nil
	default:
		if sparse(h) {
			return errs.Invalidf("archive entry %q is a sparse file", h.Name)
		}
		return errs.Invalidf("archive entry %q is a device or another special file", h.Name)
	}
	if sparse(h) {
		return errs.Invalidf("archive entry %q is a sparse file", h.Name)
	}
	g, err := a.s.blobs.create()
	if err != nil {
		return err
	}
	defer g.abort()
	if _, err := io.Copy(progressWriter{g, p, entryID(name), h.Size}, r); err != nil {
		return err
	}
	if hex, ok := strings.CutPrefix(name, "blobs/sha256/"); ok && hex != g.digest().Encoded() {
		return errs.Invalidf("archive entry %q has digest %s", h.Name, g.digest())
	}
	d, err := g.store(l)
	a.files[name] = content{Digest: d, Size: g.size}
	delete(a.links, name)
	return err
}

// cleanName makes a name relative to the archive's root, false if it leads out.
func cleanName(name string) (string, bool) {
	name = strings.TrimLeft(path.Clean(strings.TrimLeft(name, "/")), "/")
	return name, name != ".." && !strings.HasPrefix(name, "../") && !strings.Contains(name, "\x00")
}

func (a *archive) has(name string) bool { _, err := a.get(name); return err == nil }

// get finds a file, following links within the archive.
func (a *archive) get(name string) (content, error) {
	at := name
	for range 10 {
		clean, ok := cleanName(at)
		if !ok {
			break
		}
		if c, ok := a.files[clean]; ok {
			return c, nil
		}
		if at, ok = a.links[clean]; !ok {
			break
		}
	}
	return content{}, errs.Invalidf("the archive has no file %q", name)
}

// read gives the content of a small file.
func (a *archive) read(name string) ([]byte, content, error) {
	c, err := a.get(name)
	if err != nil {
		return nil, c, err
	}
	raw, err := a.s.blobs.readSmall(c.Digest)
	return raw, c, err
}

// blob gives the content of a file of the OCI layout.
func (a *archive) blob(d digest.Digest) ([]byte, error) {
	if !a.hasBlob(d) {
		return nil, errs.Invalidf("the archive lacks blob %s", d)
	}
	return a.s.blobs.readSmall(d)
}

func (a *archive) hasBlob(d digest.Digest) bool {
	return checkDigest(d) == nil && a.has("blobs/sha256/"+d.Encoded())
}

// layer describes a layer file by how it is packed.
func (a *archive) layer(name string) (content, error) {
	c, err := a.get(name)
	if err != nil {
		return c, err
	}
	kind, err := a.s.blobs.kind(c.Digest)
	if err != nil {
		return c, err
	}
	c.MediaType, err = layerType(kind)
	return c, err
}

func (b blobs) kind(d digest.Digest) (compression.Kind, error) {
	f, err := os.Open(b.path(d))
	if err != nil {
		return compression.None, err
	}
	defer f.Close()
	head := make([]byte, 6)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return compression.None, &fs.PathError{Op: "read", Path: f.Name(), Err: err}
	}
	return compression.Detect(head[:n]), nil
}

// entryID is what stands for an entry in progress messages.
func entryID(name string) string {
	id := strings.TrimPrefix(name, "blobs/sha256/")
	return id[:min(12, len(id))]
}

// progressWriter reports what is written through it.
type progressWriter struct {
	g     *ingest
	p     *reporter
	id    string
	total int64
}

func (w progressWriter) Write(b []byte) (int, error) {
	n, err := w.g.Write(b)
	if w.total >= 1<<20 { // manifests and configs are not worth a line
		w.p.progress(w.id, "Loading layer", w.g.size, w.total)
	}
	return n, err
}
