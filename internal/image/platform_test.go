package image

import (
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/errs"
)

func TestParsePlatform(t *testing.T) {
	s := &Store{platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}}
	for in, want := range map[string]string{
		"": "linux/amd64", "linux": "linux/amd64", "arm64": "linux/arm64", "aarch64": "linux/arm64", "Linux/x86_64": "linux/amd64", "linux/arm/v7": "linux/arm/v7",
	} {
		if p, err := s.parsePlatform(in); err != nil || platformString(p) != want {
			t.Errorf("%q: %v %v", in, platformString(p), err)
		}
	}
	for _, in := range []string{"/", "linux/", "a/b/c/d"} {
		if _, err := s.parsePlatform(in); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestChoose picks from an index; the answer is the place of the choice.
func TestChoose(t *testing.T) {
	s := &Store{}
	for _, tt := range []struct {
		want string
		have []string
		at   int
	}{
		{"linux/amd64", []string{"linux/arm64", "linux/amd64"}, 1},
		{"linux/arm/v7", []string{"linux/arm/v5", "linux/arm/v6", "linux/arm/v8"}, 1},
		{"linux/arm", []string{"linux/arm/v6", "linux/arm/v7"}, 1},
		{"linux/arm/v6", []string{"linux/arm/v7"}, -1},
		{"linux/arm64", []string{"linux/arm64/v8"}, 0},
		{"linux/arm64/v8", []string{"linux/arm64"}, 0},
		{"linux/amd64", []string{"linux/amd64/v3", "linux/amd64"}, 1},
		{"linux/amd64", []string{"unknown/unknown", "windows/amd64"}, -1},
		{"linux/amd64", []string{"", "linux/amd64"}, 1},
		{"linux/amd64", []string{"linux/arm64", ""}, 1},
	} {
		want, err := s.parsePlatform(tt.want)
		if err != nil {
			t.Fatal(err)
		}
		var index []ocispec.Descriptor
		for i, h := range tt.have {
			d := ocispec.Descriptor{Size: int64(i)}
			if h != "" {
				p, err := s.parsePlatform(h)
				if err != nil {
					t.Fatal(err)
				}
				d.Platform = &p
			}
			index = append(index, d)
		}
		got, err := choose(index, want)
		if tt.at < 0 {
			if !errs.Is(err, errs.NotFound) {
				t.Errorf("%s of %v: %v", tt.want, tt.have, err)
			}
		} else if err != nil || got.Size != int64(tt.at) {
			t.Errorf("%s of %v: %d %v", tt.want, tt.have, got.Size, err)
		}
	}
}
