package image

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"silo/internal/errs"
)

func TestImport(t *testing.T) {
	root := tarOf(t, "etc/hostname", "box", "bin/sh", "#!")
	for _, kind := range []string{"", "gzip", "zstd"} {
		t.Run(kind, func(t *testing.T) {
			f := newStore(t)
			var m messages
			changes := []string{`CMD ["/bin/sh"]`, "ENV A=1", "LABEL x=y"}
			if err := f.ImageImport(t.Context(), "debian:12", "from debootstrap", "linux/arm64", changes, bytes.NewReader(pack(t, kind, root)), m.add); err != nil {
				t.Fatal(err)
			}
			img, err := f.Resolve("debian:12")
			if err != nil {
				t.Fatal(err)
			}
			if m.text() != " "+img.ID+"\n" {
				t.Errorf("said %q", m.text())
			}
			if img.Size != int64(len(root)) || img.Config.Architecture != "arm64" || img.Config.OS != "linux" {
				t.Errorf("%+v", img)
			}
			in, err := f.ImageInspect(t.Context(), "debian:12")
			if err != nil {
				t.Fatal(err)
			}
			if in.Comment != "from debootstrap" || cmp.Diff([]string{"/bin/sh"}, in.Config.Cmd) != "" || in.Config.Labels["x"] != "y" || in.Config.Env[0] != "A=1" || in.Created == "" || len(in.RootFS.Layers) != 1 {
				t.Errorf("%+v", in)
			}
			h, err := f.ImageHistory(t.Context(), "debian:12")
			if err != nil || len(h) != 1 || h[0].Comment != "from debootstrap" || h[0].Size != img.Size || h[0].ID != img.ID || h[0].Tags[0] != "debian:12" {
				t.Errorf("%+v %v", h, err)
			}
		})
	}
}

// bzipped is a tar of one file by bzip2, as the library can only unpack.
const bzipped = "QlpoOTFBWSZTWdbON5MAAGz7gMmAAAFAAHUAAADwIF4QCAggAFRCNAAAPUEUUDQaAB9rQlEOLURM+a0IypegkBBpIzAm0pZLqfZEad+Ad2B4SMzIvi7kinChIa2cbyY="

func TestImportBzip2(t *testing.T) {
	raw, err := base64.StdEncoding.DecodeString(bzipped)
	if err != nil {
		t.Fatal(err)
	}
	f := newStore(t)
	if err := f.ImageImport(t.Context(), "b", "", "", nil, bytes.NewReader(raw), nil); err != nil {
		t.Fatal(err)
	}
	if img, err := f.Resolve("b"); err != nil || img.Size != 10240 {
		t.Errorf("%+v %v", img, err)
	}
}

func TestImportRefuses(t *testing.T) {
	root := tarOf(t, "a", strings.Repeat("x", 3000))
	for name, tt := range map[string]struct {
		tag, platform, change string
		data                  []byte
		kind                  errs.Kind
		want                  string
	}{
		"empty":          {"", "", "", nil, errs.Invalid, "empty"},
		"no tar":         {"", "", "", bytes.Repeat([]byte("text "), 500), errs.Invalid, "not a tar archive"},
		"truncated":      {"", "", "", root[:2000], errs.Invalid, "truncated"},
		"truncated gzip": {"", "", "", pack(t, "gzip", root)[:40], errs.Invalid, "truncated"},
		"xz":             {"", "", "", []byte("\xfd7zXZ\x00rest"), errs.NotSupported, "xz -dc"},
		"tag":            {"UP", "", "", root, errs.Invalid, "invalid reference"},
		"platform":       {"", "a/b/c/d", "", root, errs.Invalid, "platform"},
		"windows":        {"", "windows/amd64", "", root, errs.NotSupported, "windows"},
		"change":         {"", "", "RUN x", root, errs.Invalid, "not a valid change command"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newStore(t)
			err := f.ImageImport(t.Context(), tt.tag, "", tt.platform, []string{tt.change}, bytes.NewReader(tt.data), nil)
			if !errs.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "import image: ") {
				t.Errorf("%v, want %q", err, tt.want)
			}
			f.clean(t)
		})
	}
}

// A file with holes is a file: how large one may be is for who lays the layer.
func TestImportSparse(t *testing.T) {
	f := newStore(t)
	if err := f.ImageImport(t.Context(), "holes:1", "", "", nil, bytes.NewReader(sparseTar(t)), nil); err != nil {
		t.Error(err)
	}
}
