package image

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/errs"
	"silo/internal/image/change"
	"silo/internal/image/compression"
)

// ImageImport makes an image of one layer out of the tar of a root file
// system, plain or packed with gzip, zstd or bzip2. repoTag "" gives it no
// name, platform "" is the host's; changes are as package change takes them.
// The last message's Status is the image's id.
func (s *Store) ImageImport(ctx context.Context, repoTag, message, platform string, changes []string, r io.Reader, p Progress) error {
	id, err := s.importTar(ctx, repoTag, message, platform, changes, r)
	if err != nil {
		return fmt.Errorf("import image: %w", err)
	}
	newReporter(p).message(jsonstream.Message{Status: id.String()})
	s.event(events.ActionImport, id, id.String())
	return nil
}

func (s *Store) importTar(ctx context.Context, repoTag, message, platform string, changes []string, r io.Reader) (digest.Digest, error) {
	var name reference.NamedTagged
	var err error
	if repoTag != "" {
		if name, err = parseTag(repoTag); err != nil {
			return "", err
		}
	}
	plat, err := s.parsePlatform(platform)
	if err != nil {
		return "", err
	}
	cfg := dockerspec.DockerOCIImage{Image: ocispec.Image{Platform: plat}}
	if err := change.Apply(&cfg.Config, changes); err != nil {
		return "", err
	}
	l := s.lease()
	defer l.release(false)
	layer, diffID, err := s.ingestLayer(ctx, l, r)
	if err != nil {
		return "", err
	}
	if message == "" {
		message = "Imported from -"
	}
	created := now()
	cfg.Created = &created
	cfg.RootFS = ocispec.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}}
	cfg.History = []ocispec.History{{Created: &created, Comment: message}}
	return s.addNew(ctx, l, &cfg, []content{layer}, name)
}

// addNew stores a config of our own making and the image that it describes.
func (s *Store) addNew(ctx context.Context, l *lease, cfg *dockerspec.DockerOCIImage, layers []content, name reference.NamedTagged) (digest.Digest, error) {
	raw, err := json.Marshal(cfg)
	if err != nil {
		return "", err
	}
	parsed, err := parseConfig(raw)
	if err != nil {
		return "", err
	}
	config, err := s.putConfig(l, raw)
	if err != nil {
		return "", err
	}
	rec, err := s.register(l, config, layers, parsed)
	if err != nil {
		return "", err
	}
	release, err := s.add(ctx, rec, parsed, nil)
	if err != nil {
		return "", err
	}
	defer release()
	if name == nil {
		return rec.ID, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return rec.ID, s.tag(rec.ID, name)
}

// ingestLayer stores a tar stream as a layer: as it came if registries know
// its packing, plain otherwise. It makes sure that it is a tar.
func (s *Store) ingestLayer(ctx context.Context, l *lease, r io.Reader) (content, digest.Digest, error) {
	fail := func(err error) (content, digest.Digest, error) { return content{}, "", noSpace(err) }
	in := bufio.NewReaderSize(reading{ctx, r}, 64<<10)
	head, err := in.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return fail(err)
	}
	if len(head) == 0 {
		return fail(errs.Invalidf("the archive is empty"))
	}
	kind := compression.Detect(head)
	g, err := s.blobs.create()
	if err != nil {
		return fail(err)
	}
	defer g.abort()
	asCame := kind != compression.Bzip2
	packed := io.Reader(in)
	if asCame {
		packed = io.TeeReader(in, g)
	}
	plain, _, err := compression.NewReader(packed)
	if err != nil {
		return fail(unpackError(err))
	}
	defer plain.Close()
	h := sha256.New()
	into := io.Writer(h)
	if !asCame {
		into, kind = io.MultiWriter(h, g), compression.None
	}
	if err := checkTar(io.TeeReader(plain, into)); err != nil {
		return fail(err)
	}
	// What follows the packed stream belongs to the blob.
	if _, err := io.Copy(io.Discard, packed); err != nil {
		return fail(err)
	}
	mediaType, err := layerType(kind)
	if err != nil {
		return fail(err)
	}
	d, err := g.commit(l)
	if err != nil {
		return fail(err)
	}
	return content{mediaType, d, g.size}, digest.NewDigest(digest.SHA256, h), nil
}

// checkTar reads a tar to the end of the stream.
func checkTar(r io.Reader) error {
	tr := tar.NewReader(r)
	for {
		_, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil && (isHost(err) || errs.KindOf(err) != errs.Internal) {
			return err
		}
		if err != nil {
			return unpackError(fmt.Errorf("not a tar archive: %w", err))
		}
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		return unpackError(err)
	}
	return nil
}

// sparse files promise holes that cost the archive nothing and its reader all.
func sparse(h *tar.Header) bool {
	if h.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// unpackError gives the kind Invalid to faults of the archive, and leaves
// those of the host and of the connection as they are.
func unpackError(err error) error {
	switch {
	case errs.KindOf(err) != errs.Internal, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), isHost(err):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errs.Invalidf("the archive is truncated: %v", err)
	}
	return errs.Invalidf("%v", err)
}

// reading ends with its context.
type reading struct {
	ctx context.Context
	r   io.Reader
}

func (r reading) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
