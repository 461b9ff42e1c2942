package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
)

// The parts of an image configuration that these images use; the names are
// those of the OCI image specification.
type imageConfig struct {
	Created      time.Time       `json:"created"`
	Author       string          `json:"author"`
	Architecture string          `json:"architecture"`
	OS           string          `json:"os"`
	Config       containerConfig `json:"config"`
	RootFS       rootFS          `json:"rootfs"`
	History      []historyItem   `json:"history"`
}

type containerConfig struct {
	User       string
	Env        []string
	Cmd        []string
	WorkingDir string
	Labels     map[string]string
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type historyItem struct {
	Created    time.Time `json:"created"`
	CreatedBy  string    `json:"created_by"`
	Comment    string    `json:"comment,omitempty"`
	EmptyLayer bool      `json:"empty_layer,omitempty"`
}

// defaultUser is who commands run as: id 0 of etc/passwd.
const defaultUser = "ContainerAdministrator"

type manifestItem struct {
	Config   string
	RepoTags []string
	Layers   []string
}

func (d *definition) config(o options, layers []layer) imageConfig {
	c := imageConfig{
		Created: epoch, Author: "Silo", Architecture: o.arch, OS: "linux",
		Config: containerConfig{
			User: defaultUser,
			Env: []string{
				"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
				"LANG=C.UTF-8",
			},
			Cmd:        []string{"sh"},
			WorkingDir: "/",
			Labels: map[string]string{
				"org.opencontainers.image.title":    d.title,
				"org.opencontainers.image.version":  o.version,
				"org.opencontainers.image.licenses": "Apache-2.0 AND BSD-3-Clause AND MIT",
			},
		},
		RootFS: rootFS{Type: "layers"},
	}
	maps.Copy(c.Config.Labels, d.labels)
	for _, l := range layers {
		c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, "sha256:"+l.digest)
		c.History = append(c.History, historyItem{Created: epoch, CreatedBy: l.history, Comment: l.comment})
	}
	// What the config adds is history too, as a build would have written it.
	setting := func(format string, args ...any) {
		c.History = append(c.History, historyItem{Created: epoch, CreatedBy: fmt.Sprintf(format, args...), EmptyLayer: true})
	}
	for _, k := range slices.Sorted(maps.Keys(c.Config.Labels)) {
		setting("LABEL %s=%s", k, c.Config.Labels[k])
	}
	for _, e := range c.Config.Env {
		setting("ENV %s", e)
	}
	setting("USER %s", c.Config.User)
	setting("CMD [%q]", c.Config.Cmd[0])
	return c
}

// contents says in a few words what a definition adds.
func (d *definition) contents() string {
	n := len(d.programs)
	for _, b := range d.boxes {
		n += len(b.commands)
	}
	for _, p := range d.programs {
		n += len(p.links)
	}
	text := fmt.Sprintf("%d commands", n)
	units := 0
	for _, w := range d.wants {
		units += len(w)
	}
	if units > 0 {
		text += fmt.Sprintf(", %d units of services enabled", units)
	}
	return text
}

// writeArchive writes the image as `docker save` does, compressed, and gives
// its size in bytes. The file appears whole or not at all.
func writeArchive(path string, d *definition, o options, layers []layer) (int64, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "new-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	// One goroutine, one level: the bytes must not depend on the machine.
	z, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithWindowSize(8<<20))
	if err != nil {
		return 0, err
	}
	if err := writeTar(tar.NewWriter(z), d, o, layers); err != nil {
		return 0, err
	}
	if err := z.Close(); err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if err := f.Chmod(0o644); err != nil {
		return 0, err
	}
	return info.Size(), os.Rename(f.Name(), path)
}

func writeTar(w *tar.Writer, d *definition, o options, layers []layer) error {
	config, err := json.Marshal(d.config(o, layers))
	if err != nil {
		return err
	}
	item := manifestItem{
		Config:   fmt.Sprintf("%x.json", sha256.Sum256(config)),
		RepoTags: []string{d.name + ":latest", d.name + ":" + o.version},
	}
	for _, l := range layers {
		item.Layers = append(item.Layers, l.digest+"/layer.tar")
	}
	manifest, err := json.Marshal([]manifestItem{item})
	if err != nil {
		return err
	}
	files := []struct {
		name    string
		content []byte
	}{{"manifest.json", manifest}, {item.Config, config}}
	for i, l := range layers {
		files = append(files, struct {
			name    string
			content []byte
		}{item.Layers[i], l.tar})
	}
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content)), ModTime: epoch, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(f.content); err != nil {
			return err
		}
	}
	return w.Close()
}
