package e2e

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// chain reads a layerchain.json.
func chain(t *testing.T, path string) (parents []string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, &parents)
	}
	if err != nil {
		t.Fatal(err)
	}
	return parents
}

// S26: the container has a layer folder of its own, with layerchain.json
// chaining it to the layers of its image.
func TestS26LayerChain(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	path := d.field(id, "{{.GraphDriver.Data.layerchain}}")
	if want := filepath.Join(d.field(id, "{{.GraphDriver.Data.dir}}"), "layerchain.json"); path != want {
		t.Fatalf("inspect shows %s, want %s", path, want)
	}
	parents := chain(t, path)
	layers, err := strconv.Atoi(d.silo("image", "inspect", "--format", "{{len .RootFS.Layers}}", "core"))
	if err != nil || len(parents) != layers {
		t.Fatalf("%d parents for %d layers (%v)", len(parents), layers, err)
	}
	for i, parent := range parents { // nearest first; the lowest has null
		var rest []string
		if i+1 < len(parents) {
			rest = parents[i+1:]
		}
		if diff := cmp.Diff(rest, chain(t, filepath.Join(parent, "layerchain.json"))); diff != "" {
			t.Errorf("chain of %s (-want +got):\n%s", parent, diff)
		}
	}
}

// S27: in that folder a virtual hard disk named sandbox, attached to the host
// as a disk while the container lives, without a mount point of a user's.
func TestS27DiskOnTheHost(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("--name", "s27")
	file := filepath.Join(d.field(id, "{{.GraphDriver.Data.dir}}"), "sandbox.vhdx")
	device := d.field(id, "{{.GraphDriver.Data.device}}")
	want(t, "disk ls", d.silo("disk", "ls", "--no-trunc"), file)
	want(t, "disk ls", d.silo("disk", "ls"), device)
	if got := mustTool(t, "lsblk", "-ndo", "TYPE,MOUNTPOINT", device); got != "loop" {
		t.Errorf("lsblk: %q, want a loop device without a mount point", got)
	}
	if got := mustTool(t, "losetup", "-nO", "BACK-FILE", device); got != file {
		t.Errorf("the device shows %s, want %s", got, file)
	}
	image := mustTool(t, "qemu-img", "info", "-U", file)
	want(t, "qemu-img info", image, "file format: vhdx")
	want(t, "qemu-img info", image, "virtual size: 20 GiB")
}

// S28: that disk is as large as the system drive seen inside; mounted at a
// place of one's choice it shows the same file system as inside.
func TestS28DiskMount(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("--name", "s28")
	df := strings.Fields(strings.Split(d.silo("exec", id, "df", "-k", "/"), "\n")[1])
	inside, err := strconv.ParseFloat(df[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	bytes, err := strconv.ParseFloat(mustTool(t, "lsblk", "-bndo", "SIZE", d.field(id, "{{.GraphDriver.Data.device}}")), 64)
	if err != nil || math.Abs(inside*1024-bytes) > bytes/20 { // the file system's own tables
		t.Errorf("the drive inside has %.0f KiB, the disk %.0f bytes (%v)", inside, bytes, err)
	}
	d.silo("exec", id, "sh", "-c", "mkdir /saved; echo from inside >/saved/file; ln -s file /saved/link; rm /etc/services; sync")
	dir := t.TempDir()
	d.silo("disk", "mount", "s28", dir)
	t.Cleanup(func() { d.try("disk", "unmount", dir) })
	if data, err := os.ReadFile(filepath.Join(dir, "saved/file")); err != nil || string(data) != "from inside\n" {
		t.Errorf("saved/file: %q %v", data, err)
	}
	list := func(out string) []string {
		lines := strings.Split(strings.TrimSpace(out), "\n")
		return lines
	}
	find := "cd %s; find etc saved usr bin sbin | sort"
	in := list(d.silo("exec", id, "sh", "-c", strings.ReplaceAll(find, "%s", "/")))
	out := list(mustTool(t, "sh", "-c", "export LC_ALL=C; "+strings.ReplaceAll(find, "%s", dir)))
	if diff := cmp.Diff(in, out); diff != "" {
		t.Errorf("files inside and on the host (-inside +host):\n%s", diff)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err == nil {
		t.Error("written to though mounted read-only")
	}
	d.silo("disk", "unmount", dir)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("still shown after unmount: %v %v", left, err)
	}
}

// A stopped container's disk can be looked at too, and written if asked for.
func TestDiskMountOfStopped(t *testing.T) {
	d := useDaemon(t)
	id := d.detached("core", "sh", "-c", "echo one >/root/file")
	d.silo("wait", id)
	dir := t.TempDir()
	d.silo("disk", "mount", "--writable", id, dir)
	t.Cleanup(func() { d.try("disk", "unmount", dir) })
	if data, err := os.ReadFile(filepath.Join(dir, "root/file")); err != nil || string(data) != "one\n" {
		t.Errorf("root/file: %q %v", data, err)
	}
	want(t, "image's files", mustTool(t, "cat", filepath.Join(dir, "etc/os-release")), "Silo Core")
	if r := d.try("disk", "mount", id, t.TempDir()); r.code != 1 || !strings.Contains(r.err, "silo disk unmount "+dir) {
		t.Errorf("a second mount: %+v", r)
	}
	d.silo("disk", "unmount", dir)
}

// Who shows and hides disks at the same time loses no mount, a folder shows one
// container, and what somebody else has mounted there stays.
func TestDiskMountsAreOurs(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper()
	dirs := make([]string, 4)
	var wg sync.WaitGroup
	for i := range dirs {
		dirs[i] = t.TempDir()
		wg.Go(func() {
			for range 5 {
				for _, verb := range [][]string{{"mount", id}, {"unmount"}} {
					if r := d.try(append(append([]string{"disk"}, verb...), dirs[i])...); r.code != 0 {
						t.Errorf("%v: %+v", verb, r)
					}
				}
			}
		})
	}
	wg.Wait()
	d.silo("disk", "mount", id, dirs[0])
	if r := d.try("disk", "mount", id, dirs[0]); r.code != 1 || !strings.Contains(r.err, "silo disk unmount "+dirs[0]) {
		t.Errorf("a second mount there: %+v", r)
	}
	mustTool(t, "umount", dirs[0])
	mustTool(t, "mount", "-t", "tmpfs", "mine", dirs[0])
	t.Cleanup(func() { mustTool(t, "umount", dirs[0]) })
	d.silo("disk", "mount", id, dirs[1])
	mustTool(t, "mount", "-t", "tmpfs", "over", dirs[1])
	if r := d.try("disk", "unmount", dirs[1]); r.code != 1 || !strings.Contains(r.err, "mounted over it") {
		t.Errorf("unmount below another mount: %+v", r)
	}
	mustTool(t, "umount", dirs[1])
	if r := d.try("restart", "-t", "0", id); r.code != 1 || !strings.Contains(r.err, "silo disk unmount") || d.field(id, "{{.State.Running}}") != "true" {
		t.Errorf("a restart of what is shown: %+v", r)
	}
	other := d.sleeper()
	var both sync.WaitGroup
	for _, c := range []string{id, other} {
		both.Go(func() { d.try("disk", "mount", c, dirs[2]) })
	}
	both.Wait()
	d.silo("disk", "unmount", dirs[2])
	if r := d.try("disk", "unmount", dirs[2]); r.code != 1 || !strings.Contains(r.err, "no container") {
		t.Errorf("two were shown in one folder: %+v", r)
	}
	if r := d.try("disk", "mount", id, ""); r.code != 1 || !strings.Contains(r.err, "empty") {
		t.Errorf("a folder without a name: %+v", r)
	}
	d.silo("rm", "-f", id)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for i, dir := range dirs {
		if shown := strings.Contains(string(mounts), " "+dir+" "); shown != (i == 0) {
			t.Errorf("folder %d: something is mounted: %v", i, shown)
		}
	}
}

// S29: files can be saved in it; when it is removed its disk is detached, its
// folder is gone and every change is lost.
func TestS29Ephemeral(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("--name", "s29")
	d.silo("exec", id, "sh", "-c", "echo kept >/root/file")
	d.silo("stop", "-t", "0", id)
	d.silo("start", id)
	if got := d.silo("exec", id, "cat", "/root/file"); got != "kept" {
		t.Errorf("after a restart the file holds %q", got)
	}
	dir, device := d.field(id, "{{.GraphDriver.Data.dir}}"), d.field(id, "{{.GraphDriver.Data.device}}")
	d.silo("rm", "-f", id)
	until(t, "folder "+dir+" is gone", func() bool { _, err := os.Stat(dir); return os.IsNotExist(err) })
	until(t, "the disk is detached", func() bool {
		back, err := os.ReadFile("/sys/block/" + filepath.Base(device) + "/loop/backing_file")
		return err != nil || !strings.HasPrefix(string(back), dir)
	})
	if r := d.try("run", "--rm", "--name", "s29", "core", "cat", "/root/file"); r.code == 0 {
		t.Errorf("a new container has the file: %q", r.out)
	}
}

func TestDiskSize(t *testing.T) {
	d := useDaemon(t)
	df := d.silo("run", "--rm", "--storage-opt", "size=1g", "core", "df", "-k", "/")
	if !regexp.MustCompile(`\s(9[0-9]{5}|10[0-4][0-9]{4})\s`).MatchString(df) {
		t.Errorf("a disk of 1 GiB shows as:\n%s", df)
	}
	r := d.try("run", "--rm", "--storage-opt", "size=1m", "core", "true")
	if r.code != 125 || strings.Count(strings.TrimSpace(r.err), "\n") > 0 {
		t.Errorf("a disk of 1 MiB: exit %d, %q", r.code, r.err)
	}
}

// A full disk is the container's matter: it sees ENOSPC and silod goes on.
func TestDiskFull(t *testing.T) {
	d := useDaemon(t)
	id := d.sleeper("--storage-opt", "size=64m")
	r := d.try("exec", id, "dd", "if=/dev/zero", "of=/root/big", "bs=1M", "count=100")
	if r.code == 0 || !strings.Contains(r.out+r.err, "no space left on device") {
		t.Errorf("exit %d, %q", r.code, r.out+r.err)
	}
	d.silo("exec", id, "sh", "-c", "rm /root/big; echo room >/root/small; sync")
	if got := d.silo("exec", id, "cat", "/root/small"); got != "room" {
		t.Errorf("after making room the file holds %q", got)
	}
}
