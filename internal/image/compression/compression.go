// Package compression recognises how a stream is packed by its first bytes
// and unpacks it. It trusts content over names and media types, as these lie.
package compression

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"silo/internal/errs"
)

// Kind is a way to pack a stream.
type Kind string

const (
	None  Kind = ""
	Gzip  Kind = "gzip"
	Zstd  Kind = "zstd"
	Bzip2 Kind = "bzip2"
	XZ    Kind = "xz"
)

// maxWindow is the largest zstd window taken: 128 MiB, what `zstd --long`
// gives by default. A stream that asks for more is refused, not served memory.
const maxWindow = 128 << 20

var magics = []struct {
	kind  Kind
	magic []byte
}{
	{Gzip, []byte{0x1f, 0x8b}},
	{Zstd, []byte{0x28, 0xb5, 0x2f, 0xfd}},
	{Bzip2, []byte("BZh")},
	{XZ, []byte{0xfd, '7', 'z', 'X', 'Z', 0}},
}

// Detect names the packing that a stream with these first bytes has. Six
// bytes are enough.
func Detect(head []byte) Kind {
	for _, m := range magics {
		if bytes.HasPrefix(head, m.magic) {
			return m.kind
		}
	}
	// A zstd stream may begin with a skippable frame, numbers 0x184d2a50 to 5f.
	if len(head) >= 4 && head[0]&0xf0 == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18 {
		return Zstd
	}
	return None
}

// NewReader unpacks r, whatever it is packed with, and says with what. xz is
// errs.NotSupported. Close frees the unpacker, not r.
func NewReader(r io.Reader) (io.ReadCloser, Kind, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	head, err := br.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, None, err
	}
	kind := Detect(head)
	switch kind {
	case Gzip:
		z, err := gzip.NewReader(br)
		return z, kind, err
	case Zstd:
		z, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, kind, err
		}
		return z.IOReadCloser(), kind, nil
	case Bzip2:
		return io.NopCloser(bzip2.NewReader(br)), kind, nil
	case XZ:
		return nil, kind, errs.New(errs.NotSupported, "xz streams are not unpacked: pipe it through `xz -dc` first")
	}
	return io.NopCloser(br), kind, nil
}
