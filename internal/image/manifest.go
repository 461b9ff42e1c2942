package image

import (
	"encoding/json"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/errs"
	"silo/internal/image/compression"
)

// Media types of Docker's own, beside those of the OCI.
const (
	dockerManifest   = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex      = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerSchema1    = "application/vnd.docker.distribution.manifest.v1+json"
	dockerSchema1Sig = "application/vnd.docker.distribution.manifest.v1+prettyjws"
	dockerConfig     = "application/vnd.docker.container.image.v1+json"
	dockerLayer      = "application/vnd.docker.image.rootfs.diff.tar"
	dockerLayerGzip  = "application/vnd.docker.image.rootfs.diff.tar.gzip"
	dockerLayerZstd  = "application/vnd.docker.image.rootfs.diff.tar.zstd"
)

// maxLayers is more than any builder makes (Docker's own limit is 127).
const maxLayers = 1000

var configTypes = map[string]bool{
	dockerConfig: true, ocispec.MediaTypeImageConfig: true,
	"application/octet-stream": true, // old registries' idea of a config
	"":                         true,
}

var layerTypes = map[string]bool{
	dockerLayer: true, dockerLayerGzip: true, dockerLayerZstd: true,
	ocispec.MediaTypeImageLayer: true, ocispec.MediaTypeImageLayerGzip: true, ocispec.MediaTypeImageLayerZstd: true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar":      true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": true,
	"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": true,
}

// document is a manifest or an index: one form, so that one that claims to be
// both is seen as such.
type document struct {
	SchemaVersion int                  `json:"schemaVersion"`
	MediaType     string               `json:"mediaType"`
	Config        *ocispec.Descriptor  `json:"config"`
	Layers        []ocispec.Descriptor `json:"layers"`
	Manifests     []ocispec.Descriptor `json:"manifests"`
	FSLayers      json.RawMessage      `json:"fsLayers"` // schema 1
}

// parseDocument reads a manifest or index; mediaType is what its carrier
// said, "" if it said nothing.
func parseDocument(raw []byte, mediaType string) (*document, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, errs.Invalidf("read manifest: %v", err)
	}
	if d.SchemaVersion == 1 || len(d.FSLayers) > 0 || mediaType == dockerSchema1 || mediaType == dockerSchema1Sig {
		return nil, errs.New(errs.NotSupported, "the manifest has schema version 1, which is not supported: push the image again with a tool made after 2017")
	}
	if d.SchemaVersion != 2 {
		return nil, errs.Invalidf("read manifest: unknown schema version %d", d.SchemaVersion)
	}
	if d.Manifests != nil && (d.Config != nil || d.Layers != nil) {
		// The two readings could give two images under one digest (CVE-2021-41190).
		return nil, errs.Invalidf("read manifest: it is both an image and an index")
	}
	if d.MediaType == "" {
		d.MediaType = mediaType
	}
	if d.MediaType == "" || d.MediaType == "application/json" || d.MediaType == "application/octet-stream" {
		if d.MediaType = ocispec.MediaTypeImageManifest; d.Manifests != nil {
			d.MediaType = ocispec.MediaTypeImageIndex
		}
	}
	return &d, d.check()
}

func (d *document) check() error {
	all := d.Manifests
	switch d.MediaType {
	case ocispec.MediaTypeImageIndex, dockerIndex:
		if d.Config != nil || d.Layers != nil {
			return errs.Invalidf("read manifest: an index with config or layers")
		}
	case ocispec.MediaTypeImageManifest, dockerManifest:
		if d.Config == nil {
			return errs.Invalidf("read manifest: it names no config")
		}
		if !configTypes[d.Config.MediaType] {
			return errs.New(errs.NotSupported, "not a container image: its config is of type %q", d.Config.MediaType)
		}
		if len(d.Layers) > maxLayers {
			return errs.Invalidf("read manifest: %d layers, the most is %d", len(d.Layers), maxLayers)
		}
		for _, l := range d.Layers {
			if !layerTypes[l.MediaType] {
				return errs.New(errs.NotSupported, "layer %s: layers of type %q are not supported", l.Digest, l.MediaType)
			}
		}
		if d.Config.Size > maxSmall {
			return errs.Invalidf("read manifest: the config has %d bytes, the most is %d", d.Config.Size, maxSmall)
		}
		all = append(append(all, *d.Config), d.Layers...)
	default:
		return errs.New(errs.NotSupported, "not a container image: its manifest is of type %q", d.MediaType)
	}
	for _, c := range all {
		if err := checkDigest(c.Digest); err != nil {
			return err
		}
		if c.Size < 0 {
			return errs.Invalidf("read manifest: %s has a size of %d bytes", c.Digest, c.Size)
		}
	}
	return nil
}

func (d *document) isIndex() bool {
	return d.MediaType == ocispec.MediaTypeImageIndex || d.MediaType == dockerIndex
}

func (d *document) layers() []content {
	var ls []content
	for _, l := range d.Layers {
		ls = append(ls, toContent(l))
	}
	return ls
}

func toContent(d ocispec.Descriptor) content {
	return content{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
}

func toDescriptor(c content) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: c.MediaType, Digest: c.Digest, Size: c.Size}
}

// makeManifest writes the manifest of an image that came without one. The
// same content gives the same bytes.
func makeManifest(config content, layers []content) []byte {
	m := ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageManifest,
		Config:    toDescriptor(config),
		Layers:    []ocispec.Descriptor{},
	}
	for _, l := range layers {
		m.Layers = append(m.Layers, toDescriptor(l))
	}
	raw, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return raw
}

// layerType is the media type of a layer that came packed so.
func layerType(k compression.Kind) (string, error) {
	switch k {
	case compression.None:
		return ocispec.MediaTypeImageLayer, nil
	case compression.Gzip:
		return ocispec.MediaTypeImageLayerGzip, nil
	case compression.Zstd:
		return ocispec.MediaTypeImageLayerZstd, nil
	}
	return "", errs.New(errs.NotSupported, "layers packed with %s are not supported", k)
}

// register stores a generated manifest and gives the record of an image whose
// config and layers l holds already.
func (s *Store) register(l *lease, config content, layers []content, cfg *imageConfig) (imageRecord, error) {
	raw := makeManifest(config, layers)
	d, err := s.blobs.putBytes(l, raw)
	if err != nil {
		return imageRecord{}, err
	}
	return newRecord(content{ocispec.MediaTypeImageManifest, d, int64(len(raw))}, config, layers, cfg)
}

// putConfig stores a config.
func (s *Store) putConfig(l *lease, raw []byte) (content, error) {
	d, err := s.blobs.putBytes(l, raw)
	return content{ocispec.MediaTypeImageConfig, d, int64(len(raw))}, err
}
