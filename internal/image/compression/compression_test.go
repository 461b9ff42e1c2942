package compression

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"silo/internal/errs"
)

func TestNewReader(t *testing.T) {
	text := strings.Repeat("some text ", 1000)
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	io.WriteString(g, text)
	g.Close()
	z, _ := zstd.NewWriter(&zs)
	io.WriteString(z, text)
	z.Close()
	skippable := append([]byte{0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3}, zs.Bytes()...)
	for name, tt := range map[string]struct {
		in   []byte
		kind Kind
		want string
	}{
		"plain": {[]byte(text), None, text}, "gzip": {gz.Bytes(), Gzip, text}, "zstd": {zs.Bytes(), Zstd, text},
		"zstd after a skippable frame": {skippable, Zstd, text}, "two gzip members": {append(gz.Bytes(), gz.Bytes()...), Gzip, text + text},
		"empty": {nil, None, ""}, "short": {[]byte("a"), None, "a"},
	} {
		r, kind, err := NewReader(bytes.NewReader(tt.in))
		if err != nil || kind != tt.kind {
			t.Errorf("%s: kind %q, %v", name, kind, err)
			continue
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != tt.want {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		r.Close()
	}
	if _, kind, err := NewReader(strings.NewReader("\xfd7zXZ\x00")); kind != XZ || !errs.Is(err, errs.NotSupported) {
		t.Errorf("xz: %v", err)
	}
}

// A frame that asks for a window of 2 GiB is refused before memory is taken.
func TestWindowIsBounded(t *testing.T) {
	r, _, err := NewReader(bytes.NewReader([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0x00, 0x00}))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); err == nil {
		t.Error("taken")
	}
}
