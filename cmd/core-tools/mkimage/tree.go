package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// epoch is the time of every file and image: output depends on content only.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// tree is a file system in the making: entries by path without a leading slash.
type tree map[string]entry

type entry struct {
	mode     fs.FileMode // type and permissions
	content  []byte
	target   string // of a symbolic link
	uid, gid int
}

// layer is one uncompressed tar and how it came to be.
type layer struct {
	tar     []byte
	digest  string // sha256 of tar in hex
	history string // the command that made it
	comment string
}

// tree lays out what the definition adds to the image it is built on.
func (b *builder) tree(d *definition) (tree, error) {
	t := tree{}
	if d.from == nil {
		t.skeleton()
		if err := t.copyFrom(filepath.Join(b.definitions, "rootfs")); err != nil {
			return nil, err
		}
		t.setMode("etc/shadow", 0o640)
		notices, err := os.ReadFile(filepath.Join(b.definitions, "NOTICES"))
		if err != nil {
			return nil, err
		}
		t.file("usr/share/doc/NOTICES", notices, 0o644)
	}
	t.file("etc/os-release", osRelease(d, b.version), 0o644)
	for _, folder := range d.files {
		if err := t.copyFrom(filepath.Join(b.definitions, folder)); err != nil {
			return nil, err
		}
	}
	if err := t.enable(d); err != nil {
		return nil, err
	}
	for name, program := range d.over {
		t.symlink("bin/"+name, program)
	}
	for _, p := range d.programs {
		code, err := b.program(p)
		if err != nil {
			return nil, err
		}
		t.file("bin/"+p.name, code, 0o755)
		for _, l := range p.links {
			t.symlink("bin/"+l, p.name)
		}
	}
	for _, x := range d.boxes {
		code, err := b.box(x)
		if err != nil {
			return nil, err
		}
		t.file("bin/"+x.name, code, 0o755)
		for _, c := range x.commands {
			t.symlink("bin/"+path.Base(c), x.name)
		}
		for _, links := range x.links {
			for _, l := range links {
				t.symlink("bin/"+l, x.name)
			}
		}
	}
	return t, nil
}

// enable makes the links by which systemd's units are enabled.
func (t tree) enable(d *definition) error {
	const units, settings = "usr/lib/systemd/system/", "etc/systemd/system/"
	link := func(name, unit string) error {
		if _, ok := t[units+unit]; !ok {
			return fmt.Errorf("%s: no such unit in %s", unit, units)
		}
		for dir := path.Dir(settings + name); dir != "etc"; dir = path.Dir(dir) {
			t.dir(dir, 0o755)
		}
		t.symlink(settings+name, "/"+units+unit)
		return nil
	}
	if d.start != "" {
		if err := link("default.target", d.start); err != nil {
			return err
		}
	}
	for target, wanted := range d.wants {
		for _, u := range wanted {
			if err := link(target+".wants/"+u, u); err != nil {
				return err
			}
		}
	}
	return nil
}

// skeleton makes the folders that every program expects.
func (t tree) skeleton() {
	for _, dir := range []string{
		"bin", "dev", "etc", "home", "lib", "mnt", "opt", "proc", "run", "srv", "sys",
		"usr", "usr/lib", "usr/local", "usr/local/bin", "usr/local/sbin", "usr/share", "usr/share/doc", "usr/share/help",
		"var", "var/cache", "var/lib", "var/log", "var/spool",
	} {
		t.dir(dir, 0o755)
	}
	t.dir("root", 0o700)
	t.dir("tmp", 0o777|fs.ModeSticky)
	t.dir("var/tmp", 0o777|fs.ModeSticky)
	for name, id := range map[string]int{"Administrator": 500, "Guest": 501, "ContainerUser": 65530} {
		t["home/"+name] = entry{mode: fs.ModeDir | 0o700, uid: id, gid: id}
	}
	t.symlink("sbin", "bin")
	t.symlink("usr/bin", "../bin")
	t.symlink("usr/sbin", "../bin")
	t.symlink("var/run", "../run")
	t.symlink("var/lock", "../run/lock")
	t.symlink("etc/mtab", "../proc/self/mounts")
	// UTC in the zone file format, version 1: one kind of time, no transitions.
	t.file("etc/localtime", append([]byte("TZif\x00"), append(make([]byte, 15),
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 4,
		0, 0, 0, 0, 0, 0, 'U', 'T', 'C', 0)...), 0o644)
}

func osRelease(d *definition, version string) []byte {
	return fmt.Appendf(nil, `NAME="%s"
ID=silo-%s
VERSION="%s"
VERSION_ID=%s
PRETTY_NAME="%s %s"
`, d.title, d.name, version, version, d.title, version)
}

func (t tree) dir(p string, mode fs.FileMode) { t[p] = entry{mode: fs.ModeDir | mode} }
func (t tree) file(p string, content []byte, mode fs.FileMode) {
	t[p] = entry{mode: mode, content: content}
}

func (t tree) symlink(p, target string) { t[p] = entry{mode: fs.ModeSymlink | 0o777, target: target} }

func (t tree) setMode(p string, mode fs.FileMode) {
	e := t[p]
	e.mode = mode
	t[p] = e
}

// copyFrom adds the files of a folder. Their modes and owners do not count:
// those are what the checkout made of them.
func (t tree) copyFrom(root string) error {
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		for dir := path.Dir(filepath.ToSlash(rel)); dir != "."; dir = path.Dir(dir) {
			if _, ok := t[dir]; !ok {
				t.dir(dir, 0o755)
			}
		}
		t.file(filepath.ToSlash(rel), content, 0o644)
		return nil
	})
}

// layer writes the tree as a tar, parents before children, in order of name.
func (t tree) layer(history string) (layer, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, p := range slices.Sorted(maps.Keys(t)) {
		e := t[p]
		h := &tar.Header{
			Name: p, Mode: int64(e.mode.Perm()), ModTime: epoch, Uid: e.uid, Gid: e.gid,
			Size: int64(len(e.content)), Typeflag: tar.TypeReg, Format: tar.FormatUSTAR,
		}
		if e.mode&fs.ModeSticky != 0 {
			h.Mode |= 0o1000
		}
		switch {
		case e.mode.IsDir():
			h.Name, h.Typeflag = p+"/", tar.TypeDir
		case e.mode&fs.ModeSymlink != 0:
			h.Typeflag, h.Linkname = tar.TypeSymlink, e.target
		}
		if err := w.WriteHeader(h); err != nil {
			return layer{}, fmt.Errorf("%s: %w", p, err)
		}
		if _, err := w.Write(e.content); err != nil {
			return layer{}, fmt.Errorf("%s: %w", p, err)
		}
	}
	if err := w.Close(); err != nil {
		return layer{}, err
	}
	sum := sha256.Sum256(buf.Bytes())
	return layer{tar: buf.Bytes(), digest: fmt.Sprintf("%x", sum), history: strings.TrimSpace(history)}, nil
}
