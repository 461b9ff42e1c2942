package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// kit is what a machine is made of, as paths on the host.
type kit struct {
	qemu, firmware, libraries string
	kernel                    string
	busybox                   string
	modules                   string   // folder lib/modules/VERSION
	order                     []string // modules to load, as paths below that folder, dependencies first
}

// fetch downloads and unpacks what the cache does not have.
func fetch(o options) (kit, error) {
	k := kit{}
	if err := needLists(o.kernel); err != nil {
		return k, err
	}
	tools := filepath.Join(o.cache, "qemu")
	if !isDir(tools) {
		names, err := closure("qemu-system-x86")
		if err != nil {
			return k, err
		}
		if tools, err = unpack(o.cache, "qemu", append(names, "busybox-static")); err != nil {
			return k, err
		}
	}
	image, err := newest(o.kernel)
	if err != nil {
		return k, err
	}
	system, err := unpack(o.cache, image, []string{image})
	if err != nil {
		return k, err
	}
	k.qemu = filepath.Join(tools, "usr/bin/qemu-system-x86_64")
	if _, err := os.Stat(k.qemu); err != nil { // installed on the host already, so not in the closure
		if k.qemu, err = exec.LookPath("qemu-system-x86_64"); err != nil {
			return k, err
		}
	}
	k.firmware = filepath.Join(tools, "usr/share/qemu")
	if !isDir(k.firmware) {
		k.firmware = "/usr/share/qemu"
	}
	k.libraries = filepath.Join(tools, "usr/lib/x86_64-linux-gnu") + ":" + filepath.Join(tools, "lib/x86_64-linux-gnu")
	k.busybox = filepath.Join(tools, "bin/busybox")
	kernels, _ := filepath.Glob(filepath.Join(system, "boot/vmlinuz-*"))
	modules, _ := filepath.Glob(filepath.Join(system, "lib/modules/*"))
	if len(kernels) != 1 || len(modules) != 1 {
		return k, fmt.Errorf("package %s holds %d kernels and %d module folders, want one of each", image, len(kernels), len(modules))
	}
	k.kernel, k.modules = kernels[0], modules[0]
	if o.modules != "" {
		k.order, err = loadOrder(k, system, strings.Split(o.modules, ","))
	}
	return k, err
}

// needLists fetches the lists of packages, if the one with the kernel is not
// there.
func needLists(kernel string) error {
	if exec.Command("apt-cache", "show", kernel).Run() == nil {
		return nil
	}
	if out, err := exec.Command("apt-get", "update", "-q").CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get update: %w\n%s", err, out)
	}
	return nil
}

// closure names a package and those that installing it here would bring.
func closure(name string) ([]string, error) {
	out, err := exec.Command("apt-get", "install", "-s", "--no-install-recommends", name).Output()
	if err != nil {
		return nil, fmt.Errorf("apt-get install -s %s: %w (apt-get update first?)", name, err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "Inst" {
			names = append(names, f[1])
		}
	}
	return names, nil
}

// newest gives the package that a kernel's meta package stands for.
func newest(name string) (string, error) {
	out, err := exec.Command("apt-cache", "depends", "--important", name).Output()
	if err != nil {
		return "", fmt.Errorf("apt-cache depends %s: %w", name, err)
	}
	for line := range strings.Lines(string(out)) {
		if _, dep, ok := strings.Cut(line, "Depends: linux-image-"); ok {
			return "linux-image-" + strings.TrimSpace(dep), nil
		}
	}
	return name, nil
}

// unpack puts the content of packages into a folder of the cache, once.
func unpack(cache, name string, packages []string) (string, error) {
	dir := filepath.Join(cache, name)
	if isDir(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(cache, "."+name)
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	fmt.Fprintf(os.Stderr, "vm: downloading %s\n", strings.Join(packages, " "))
	download := exec.Command("apt-get", append([]string{"download", "-q"}, packages...)...)
	download.Dir = work
	if out, err := download.CombinedOutput(); err != nil {
		return "", fmt.Errorf("apt-get download: %w\n%s", err, out)
	}
	root := filepath.Join(work, "root")
	debs, _ := filepath.Glob(filepath.Join(work, "*.deb"))
	for _, deb := range debs {
		if out, err := exec.Command("dpkg-deb", "-x", deb, root).CombinedOutput(); err != nil {
			return "", fmt.Errorf("dpkg-deb -x %s: %w\n%s", deb, err, out)
		}
	}
	if err := os.Rename(root, dir); err != nil && !isDir(dir) { // another run may have been first
		return "", err
	}
	return dir, nil
}

// loadOrder finds modules and what they need, dependencies first.
func loadOrder(k kit, system string, names []string) ([]string, error) {
	list := filepath.Join(k.modules, "modules.dep")
	if _, err := os.Stat(list); err != nil { // the package leaves it to its scripts
		out, err := exec.Command(k.busybox, "depmod", "-b", system, filepath.Base(k.modules)).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("depmod: %w\n%s", err, out)
		}
	}
	f, err := os.Open(list)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	needs, byName := map[string][]string{}, map[string]string{}
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		path, deps, _ := strings.Cut(s.Text(), ":")
		needs[path] = strings.Fields(deps)
		byName[strings.ReplaceAll(strings.TrimSuffix(filepath.Base(path), ".ko"), "-", "_")] = path
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	var order []string
	var add func(path string)
	add = func(path string) {
		for _, d := range needs[path] {
			add(d)
		}
		if !slices.Contains(order, path) {
			order = append(order, path)
		}
	}
	builtin, _ := os.ReadFile(filepath.Join(k.modules, "modules.builtin"))
	for _, n := range names {
		n = strings.ReplaceAll(n, "-", "_")
		path, ok := byName[n]
		if !ok && strings.Contains(strings.ReplaceAll(string(builtin), "-", "_"), "/"+n+".ko") {
			continue
		}
		if !ok {
			return nil, fmt.Errorf("kernel %s has no module %s", filepath.Base(k.modules), n)
		}
		add(path)
	}
	return order, nil
}
