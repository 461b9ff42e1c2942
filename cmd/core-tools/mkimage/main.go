// Command mkimage builds the built-in images without root: it compiles the
// commands that images/NAME.txt lists, lays them out with images/rootfs, and
// writes each image as a docker-archive, compressed, byte for byte the same
// for the same sources and the same Go.
//
// Words of a definition, one a line:
//
//	title TEXT           PRETTY_NAME of the image
//	from NAME            the layers of that image come first
//	program NAME         a program of its own from cmd/core-tools/NAME
//	entry NAME           the same, started at its assembly, without the Go runtime
//	box NAME             a multi-call program; the commands below go into it
//	core|exp NAME...     commands of u-root's cmds/core or cmds/exp
//	own NAME...          commands of cmd/core-tools/cmds
//	link NAME OTHER...   further names of a command
//	over NAME OTHER...   names of the image below that mean this program here
//	label KEY VALUE      a label of the image
//	files FOLDER...      folders beside the definition, laid over the root
//	default TARGET       the systemd target that is started
//	wants TARGET UNIT... units that a systemd target starts
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	var o options
	flag.StringVar(&o.definitions, "definitions", "../../images", "folder of the definitions and of rootfs")
	flag.StringVar(&o.out, "out", "../../images/built", "folder for the archives")
	flag.StringVar(&o.version, "version", "0", "version for os-release")
	flag.StringVar(&o.arch, "arch", "amd64", "architecture to build for, as Go names it")
	flag.Parse()
	if err := run(o, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

type options struct {
	definitions, out, version, arch string
}

func run(o options, names []string) error {
	work, err := os.MkdirTemp("", "mkimage-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	b := &builder{options: o, work: work, layers: map[string]layer{}}
	for _, name := range names {
		d, err := readDefinition(o.definitions, name)
		if err != nil {
			return err
		}
		layers, err := b.chain(d)
		if err != nil {
			return fmt.Errorf("image %s: %w", name, err)
		}
		path := filepath.Join(o.out, name+".tar.zst")
		size, err := writeArchive(path, d, o, layers)
		if err != nil {
			return fmt.Errorf("image %s: %w", name, err)
		}
		fmt.Printf("%s: %d layers, %.1f MB compressed\n", path, len(layers), float64(size)/1e6)
	}
	return nil
}

// builder compiles each layer once, also when two images share it.
type builder struct {
	options
	work   string
	layers map[string]layer
}

// chain gives the layers of an image, lowest first.
func (b *builder) chain(d *definition) ([]layer, error) {
	var below []layer
	if d.from != nil {
		var err error
		if below, err = b.chain(d.from); err != nil {
			return nil, err
		}
	}
	l, ok := b.layers[d.name]
	if !ok {
		root, err := b.tree(d)
		if err != nil {
			return nil, err
		}
		if l, err = root.layer("mkimage " + d.name); err != nil {
			return nil, err
		}
		l.comment = d.title + ": " + d.contents()
		b.layers[d.name] = l
	}
	return append(below, l), nil
}
