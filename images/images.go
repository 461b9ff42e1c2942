// Package images holds the built-in images, core and nano, as archives inside
// the program. `make images` builds them from source; a program built without
// that still works, and says what to do when it is asked for one.
//
// What the images contain is in core.txt and nano.txt, their configuration
// files in rootfs, licences in NOTICES. This package only hands the archives
// out: package image brings them into a store.
package images

import (
	"embed"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zstd"
)

//go:embed built
var built embed.FS

// Archive is one built-in image.
type Archive struct {
	Name string // "core"
	Tag  string // "latest"
}

// Reference is the name under which the image is known: "core:latest".
func (a Archive) Reference() string { return a.Name + ":" + a.Tag }

// Builtin lists the images that Silo brings along, whether or not this program
// was built with their archives.
func Builtin() []Archive {
	return []Archive{{Name: "core", Tag: "latest"}, {Name: "nano", Tag: "latest"}}
}

// Find gives the built-in image of that name, without a tag or with its own.
func Find(name string) (Archive, bool) {
	for _, a := range Builtin() {
		if name == a.Name || name == a.Reference() {
			return a, true
		}
	}
	return Archive{}, false
}

// ErrNotBuilt is what Open reports if this program was built without archives.
var ErrNotBuilt = errors.New("built without it: run make, which builds the images first")

// Open reads the image as an uncompressed docker-archive tar, as `docker save`
// writes it: manifest.json, a config, one uncompressed tar a layer.
func (a Archive) Open() (io.ReadCloser, error) {
	f, err := built.Open(a.file())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("built-in image %s: %w", a.Name, ErrNotBuilt)
	}
	if err != nil {
		return nil, fmt.Errorf("built-in image %s: %w", a.Name, err)
	}
	// One goroutine: the archive is small, and Close must leave none behind.
	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("built-in image %s: %w", a.Name, err), f.Close())
	}
	return archiveReader{z, f}, nil
}

// Size is the length of the compressed archive in bytes, 0 if it is not built in.
func (a Archive) Size() int64 {
	info, err := fs.Stat(built, a.file())
	if err != nil {
		return 0
	}
	return info.Size()
}

// Sum names the content of the compressed archive: the same archive has the
// same sum, and reading it is much cheaper than unpacking. It is no protection
// against anything: the archive is part of the program.
func (a Archive) Sum() (string, error) {
	f, err := built.Open(a.file())
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("built-in image %s: %w", a.Name, ErrNotBuilt)
	}
	if err != nil {
		return "", fmt.Errorf("built-in image %s: %w", a.Name, err)
	}
	defer f.Close()
	h := crc64.New(crc64.MakeTable(crc64.ECMA))
	n, err := io.Copy(h, f)
	if err != nil {
		return "", fmt.Errorf("built-in image %s: %w", a.Name, err)
	}
	return fmt.Sprintf("%016x-%d", h.Sum64(), n), nil
}

func (a Archive) file() string { return "built/" + a.Name + ".tar.zst" }

type archiveReader struct {
	*zstd.Decoder
	file fs.File
}

// Close frees the decoder; nothing was opened on the host.
func (r archiveReader) Close() error {
	r.Decoder.Close()
	return r.file.Close()
}
