package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// job tells the guest what to do; it is /job.json there.
type job struct {
	Command []string
	Cgroup  string
	Modules []string // below /modules, in the order to load them
	Must    string   // SILO_TEST_MUST of the host
	Disk    bool     // mount /dev/vda at /disk
}

// archive writes a cpio archive in the "newc" format, which the kernel unpacks
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	w    io.Writer
	ino  int
	seen map[string]bool
	err  error
}

// entry adds one object. size bytes are read from content.
func (a *archive) entry(name string, mode uint32, size int64, major, minor uint32, content io.Reader) {
	if a.err != nil {
		return
	}
	a.ino++
	name = strings.TrimPrefix(name, "/")
	_, a.err = fmt.Fprintf(a.w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.ino, mode, 0, 0, 1, 0, size, 0, 0, major, minor, len(name)+1, 0, name)
	a.pad(110 + len(name) + 1)
	if a.err == nil && size > 0 {
		_, a.err = io.CopyN(a.w, content, size)
	}
	a.pad(int(size % 4))
}

// pad fills up to a multiple of four bytes.
func (a *archive) pad(n int) {
	if a.err == nil && n%4 != 0 {
		_, a.err = a.w.Write(make([]byte, 4-n%4))
	}
}

// dirs adds the folders above name that are not there yet.
func (a *archive) dirs(name string) {
	name = strings.TrimPrefix(name, "/")
	for i, c := range name {
		if c == '/' && !a.seen[name[:i]] {
			a.seen[name[:i]] = true
			a.entry(name[:i], 0o40755, 0, 0, 0, nil)
		}
	}
}

// add copies a file, or a folder with all in it, from the host.
func (a *archive) add(guest, host string) {
	err := filepath.WalkDir(host, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(host, p)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name := path.Join(guest, filepath.ToSlash(rel))
		a.dirs(name)
		switch {
		case d.IsDir():
			a.dirs(name + "/")
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			a.entry(name, 0o120777, int64(len(to)), 0, 0, strings.NewReader(to))
		case d.Type().IsRegular():
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			a.entry(name, 0o100000|uint32(info.Mode().Perm()), info.Size(), 0, 0, f)
		}
		return a.err
	})
	if a.err == nil {
		a.err = err
	}
}

// tool adds a program of the host, and its libraries where it looks for them.
func (a *archive) tool(name string) error {
	at, err := findTool(name)
	if err != nil {
		return err
	}
	a.add(path.Join("/tools", path.Base(name)), at)
	out, err := exec.Command("ldd", at).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "not a dynamic executable") {
		return fmt.Errorf("ldd %s: %w: %s", at, err, out)
	}
	for line := range strings.Lines(string(out)) {
		if _, after, ok := strings.Cut(line, "=> "); ok {
			line = after
		}
		lib, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !path.IsAbs(lib) || a.seen[lib] {
			continue
		}
		a.seen[lib] = true
		real, err := filepath.EvalSymlinks(lib)
		if err != nil {
			return err
		}
		a.add(lib, real)
	}
	return a.err
}

// findTool looks for a program also where root's programs are.
func findTool(name string) (string, error) {
	at, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err != nil {
			at, err = exec.LookPath(filepath.Join(dir, name))
		}
	}
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(at)
}

// makeDisk makes a file for a disk, if there is none.
func makeDisk(file string) error {
	if _, err := os.Stat(file); file == "" || err == nil {
		return nil
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(file, 4<<30); err != nil {
		return err
	}
	mkfs, err := findTool("mkfs.ext4")
	if err != nil {
		return err
	}
	if out, err := exec.Command(mkfs, "-q", "-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1", file).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// writeInitramfs makes the machine's only file system.
func writeInitramfs(to string, o options, k kit, j job) error {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	a := &archive{w: w, seen: map[string]bool{}}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	for _, dir := range []string{"dev/", "proc/", "sys/", "tmp/", "run/", "root/", "bin/", "package/"} {
		a.dirs(dir)
	}
	a.entry("dev/console", 0o20600, 0, 5, 1, nil)
	a.add("/init", self)
	a.add("/bin/busybox", k.busybox)
	a.entry("job.json", 0o100644, int64(len(text)), 0, 0, strings.NewReader(string(text)))
	for _, m := range k.order {
		a.add(path.Join("/modules", m), filepath.Join(k.modules, m))
	}
	for _, name := range o.tools {
		if err := a.tool(name); err != nil {
			return err
		}
	}
	for _, pair := range o.files {
		guest, host, ok := strings.Cut(pair, "=")
		if !ok || !path.IsAbs(guest) {
			return fmt.Errorf("-file %s: write it as /GUEST=HOST", pair)
		}
		a.add(guest, host)
	}
	a.entry("TRAILER!!!", 0, 0, 0, 0, nil)
	if a.err != nil {
		return a.err
	}
	return w.Flush()
}
