package image

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/errs"
	"silo/internal/record"
)

const (
	imageFormat = 1
	refsFormat  = 1
)

// errNewer stops Open: guessing at a newer format could lose images.
var errNewer = errs.New(errs.NotSupported, "the record was written by a newer Silo: start that version")

// imageRecord is image.json.
type imageRecord struct {
	Format   int             `json:"format"`
	ID       digest.Digest   `json:"id"` // the digest of the config
	Manifest content         `json:"manifest"`
	Indexes  []digest.Digest `json:"indexes,omitempty"` // through which the manifest was found, outermost first
	Config   content         `json:"config"`
	Layers   []layerRecord   `json:"layers"`
	Added    time.Time       `json:"added"`
	Builtin  string          `json:"builtin,omitempty"` // the name it was embedded under
}

// content is a blob as a manifest describes it.
type content struct {
	MediaType string        `json:"mediaType"`
	Digest    digest.Digest `json:"digest"`
	Size      int64         `json:"size"` // bytes
}

// layerRecord is a layer: the blob as it came and the tar stream in it.
type layerRecord struct {
	content
	DiffID   digest.Digest `json:"diffID"`
	ChainID  digest.Digest `json:"chainID"`
	Unpacked int64         `json:"unpacked"` // bytes of the tar stream
}

func (r *imageRecord) check(id digest.Digest) error {
	if r.Format > imageFormat {
		return fmt.Errorf("image %s: %w", id, errNewer)
	}
	if r.ID != id || r.Config.Digest != id || r.Manifest.Digest.Validate() != nil {
		return fmt.Errorf("image %s: %w: it speaks of image %q", id, record.ErrCorrupt, r.ID)
	}
	for _, l := range r.Layers {
		if l.Digest.Validate() != nil || l.DiffID.Validate() != nil || l.ChainID.Validate() != nil {
			return fmt.Errorf("image %s: %w: layer %q", id, record.ErrCorrupt, l.Digest)
		}
	}
	return nil
}

// blobs lists the content that the image needs.
func (r *imageRecord) blobs() []digest.Digest {
	ds := append([]digest.Digest{r.Manifest.Digest, r.Config.Digest}, r.Indexes...)
	for _, l := range r.Layers {
		ds = append(ds, l.Digest)
	}
	return ds
}

// size is that of all tar streams, in bytes.
func (r *imageRecord) size() (n int64) {
	for _, l := range r.Layers {
		n += l.Unpacked
	}
	return n
}

// refsRecord is refs.json: one file, so that moving a name is one step.
type refsRecord struct {
	Format  int                      `json:"format"`
	Tags    map[string]tagRecord     `json:"tags"`    // docker.io/library/core:latest
	Digests map[string]digest.Digest `json:"digests"` // docker.io/library/core@sha256:… to an image id
}

type tagRecord struct {
	ID digest.Digest `json:"id"`
	At time.Time     `json:"at"`
}

func (r refsRecord) clone() refsRecord {
	c := refsRecord{refsFormat, maps.Clone(r.Tags), maps.Clone(r.Digests)}
	if c.Tags == nil {
		c.Tags = map[string]tagRecord{}
	}
	if c.Digests == nil {
		c.Digests = map[string]digest.Digest{}
	}
	return c
}

// changeRefs replaces refs.json by what change makes of a copy, on disk first.
// The caller holds mu.
func (s *Store) changeRefs(change func(*refsRecord)) error {
	c := s.refs.clone()
	change(&c)
	if err := record.Write(filepath.Join(s.dir, "refs.json"), &c, record.Durable); err != nil {
		return noSpace(err)
	}
	s.refs = c
	return nil
}

func (s *Store) imageDir(id digest.Digest) string { return filepath.Join(s.dir, id.Encoded()) }

func (s *Store) recordPath(id digest.Digest) string {
	return filepath.Join(s.imageDir(id), "image.json")
}

// imageConfig is an image config, as it came and as Silo reads it.
type imageConfig struct {
	dockerspec.DockerOCIImage
	raw []byte

	// Fields of Docker's that the OCI type does not have.
	Comment       string `json:"comment,omitempty"`
	DockerVersion string `json:"docker_version,omitempty"`
}

// parseConfig reads and checks an image config.
func parseConfig(raw []byte) (*imageConfig, error) {
	c := &imageConfig{raw: raw}
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, errs.Invalidf("read image config: %v", err)
	}
	if c.OS != "" && c.OS != "linux" {
		return nil, errs.New(errs.NotSupported, "the image is for %s: Silo runs linux images", c.OS)
	}
	if t := c.RootFS.Type; t != "" && t != "layers" {
		return nil, errs.Invalidf("read image config: unknown rootfs type %q", t)
	}
	for _, d := range c.RootFS.DiffIDs {
		if err := checkDigest(d); err != nil {
			return nil, fmt.Errorf("read image config: diff id: %w", err)
		}
	}
	return c, nil
}

func (c *imageConfig) created() time.Time {
	if c.Created == nil {
		return time.Time{}
	}
	return *c.Created
}

// platform is what the image says it runs on.
func (c *imageConfig) platform() ocispec.Platform { return c.Platform }
