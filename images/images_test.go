package images

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"silo/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// most is what an archive may take in silod, in bytes.
var most = map[string]int64{"nano": 6 << 20, "core": 14 << 20}

func TestArchives(t *testing.T) {
	for _, a := range Builtin() {
		t.Run(a.Name, func(t *testing.T) {
			if a.Size() == 0 {
				if _, err := a.Open(); !errors.Is(err, ErrNotBuilt) {
					t.Errorf("Open: %v, want ErrNotBuilt", err)
				}
				testenv.Need(t, false, "the images are not built: run make images")
			}
			if a.Size() > most[a.Name] {
				t.Errorf("%d bytes, want at most %d", a.Size(), most[a.Name])
			}
			checkArchive(t, a)
		})
	}
}

// checkArchive reads an archive as another engine would: manifest, config,
// layers with the digests that the config names.
func checkArchive(t *testing.T, a Archive) {
	t.Helper()
	r, err := a.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var manifest []struct {
		Config           string
		RepoTags, Layers []string
	}
	var config struct {
		Config struct {
			User     string
			Cmd, Env []string
			Labels   map[string]string
		}
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
		History []struct {
			CreatedBy  string `json:"created_by"`
			EmptyLayer bool   `json:"empty_layer"`
		}
	}
	sums := map[string]string{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.New()
		body := io.TeeReader(tr, hash)
		switch {
		case h.Name == "manifest.json":
			err = json.NewDecoder(body).Decode(&manifest)
		case strings.HasSuffix(h.Name, ".json"):
			err = json.NewDecoder(body).Decode(&config)
		}
		if _, rest := io.Copy(io.Discard, body); err != nil || rest != nil {
			t.Fatal(h.Name, err, rest)
		}
		sums[h.Name] = fmt.Sprintf("%x", hash.Sum(nil))
	}
	version := config.Config.Labels["org.opencontainers.image.version"]
	if len(manifest) != 1 || version == "" || !slices.Equal(manifest[0].RepoTags, []string{a.Reference(), a.Name + ":" + version}) {
		t.Fatalf("manifest: %+v, want the one image %s with the tag of its version %q", manifest, a.Reference(), version)
	}
	m := manifest[0]
	filled := 0
	for _, h := range config.History {
		if h.CreatedBy == "" {
			t.Errorf("history: a step without a command: %+v", h)
		}
		if !h.EmptyLayer {
			filled++
		}
	}
	if sums[m.Config]+".json" != m.Config {
		t.Errorf("config %s has digest %s", m.Config, sums[m.Config])
	}
	if len(m.Layers) == 0 || len(m.Layers) != len(config.RootFS.DiffIDs) || len(m.Layers) != filled {
		t.Fatalf("%d layers, %d digests, %d steps of history with a layer", len(m.Layers), len(config.RootFS.DiffIDs), filled)
	}
	for i, l := range m.Layers {
		if "sha256:"+sums[l] != config.RootFS.DiffIDs[i] {
			t.Errorf("layer %s: config says %s", l, config.RootFS.DiffIDs[i])
		}
	}
	if config.Config.User != "ContainerAdministrator" {
		t.Errorf("user %q, want ContainerAdministrator", config.Config.User)
	}
	if got, want := config.Config.Labels["silo.services"] == "true", a.Name == "core"; got != want {
		t.Errorf("label silo.services is %v, want %v", got, want)
	}
	if len(config.Config.Cmd) != 1 || config.Config.Cmd[0] != "sh" || !strings.HasPrefix(strings.Join(config.Config.Env, " "), "PATH=") {
		t.Errorf("config: %+v, want the command sh and a PATH", config.Config)
	}
}

func TestFind(t *testing.T) {
	for name, want := range map[string]bool{"core": true, "core:latest": true, "nano": true, "core:1": false, "": false, "debian": false} {
		if _, ok := Find(name); ok != want {
			t.Errorf("Find(%q) is %v, want %v", name, ok, want)
		}
	}
}
