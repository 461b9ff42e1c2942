package engine

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/swarm"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"

	"silo/api"
	"silo/internal/cgroup"
	"silo/internal/disk"
	"silo/internal/filter"
	"silo/internal/linux"
	"silo/internal/version"
)

// Info is what `silo info` shows.
func (e *Engine) Info(ctx context.Context) (system.Info, error) {
	h, err := linux.HostInfo()
	if err != nil {
		return system.Info{}, err
	}
	has := func(name string) bool { _, ok := e.cgroups.Controllers[name]; return ok }
	i := system.Info{
		ID: e.id, Driver: "silo", DriverStatus: [][2]string{{"Base", "EROFS"}, {"Disk", "VHDX, ext4"}, {"Bridge", e.o.Bridge}},
		MemoryLimit: has("memory"), SwapLimit: has("memory"), CPUCfsPeriod: has("cpu"), CPUCfsQuota: has("cpu"), CPUShares: has("cpu"), CPUSet: has("cpuset"), PidsLimit: has("pids"),
		IPv4Forwarding: true, NFd: countFiles("/proc/self/fd"), NGoroutines: runtime.NumGoroutine(), SystemTime: time.Now().Format(time.RFC3339Nano), LoggingDriver: "json-file",
		CgroupDriver: "cgroupfs", CgroupVersion: "1", KernelVersion: h.Release, OperatingSystem: osName(), OSType: "linux", Architecture: h.Machine, NCPU: runtime.NumCPU(),
		MemTotal: h.Memory, DockerRootDir: e.o.Data, Name: h.Name, ServerVersion: version.Version, LiveRestoreEnabled: true, Isolation: "process",
		SecurityOptions: []string{"name=seccomp,profile=builtin", "name=userns"}, DefaultRuntime: "silo", Labels: []string{}, Warnings: e.net.Inspect().Warnings,
		Swarm:   swarm.Info{LocalNodeState: swarm.LocalNodeStateInactive},
		Plugins: system.PluginsInfo{Volume: []string{"local"}, Network: []string{"nat", "null", "host"}, Log: []string{"json-file", "none"}},
	}
	if e.cgroups.Mode == cgroup.V2 {
		i.CgroupVersion = "2"
	}
	for _, c := range e.all() {
		i.Containers++
		switch c.state().State {
		case container.StateRunning, container.StateRestarting:
			i.ContainersRunning++
		case container.StatePaused:
			i.ContainersPaused++
		default:
			i.ContainersStopped++
		}
	}
	list, err := e.images.Images(ctx, true, nil)
	i.Images = len(list)
	return i, err
}

func countFiles(dir string) int {
	list, _ := os.ReadDir(dir)
	return len(list)
}

func osName() string {
	data, _ := os.ReadFile("/etc/os-release")
	for _, line := range strings.Split(string(data), "\n") {
		if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			return strings.Trim(v, `"`)
		}
	}
	return "Linux"
}

// DiskUsage sums what Silo takes on the host.
func (e *Engine) DiskUsage(ctx context.Context) (system.DiskUsage, error) {
	var u system.DiskUsage
	list, err := e.Containers(ctx, ListOptions{All: true, Size: true})
	if err != nil {
		return u, err
	}
	cu := &container.DiskUsage{Items: list}
	for _, c := range list {
		cu.TotalCount++
		cu.TotalSize += c.SizeRw
		if c.State == container.StateRunning || c.State == container.StatePaused {
			cu.ActiveCount++
		} else {
			cu.Reclaimable += c.SizeRw
		}
	}
	imgs, err := e.Images(ctx, true, nil)
	if err != nil {
		return u, err
	}
	iu := &image.DiskUsage{Items: imgs}
	shared := e.images.SharedSizes()
	inUse := map[string]bool{}
	for i, x := range imgs {
		imgs[i].SharedSize = shared[x.ID] // clients take none that has -1 for in use
		iu.TotalCount++
		if x.Containers > 0 {
			iu.ActiveCount++
			inUse[x.ID] = true
		}
	}
	iu.TotalSize = e.images.LayersSize(func(string) bool { return true })
	iu.Reclaimable = iu.TotalSize - e.images.LayersSize(func(id string) bool { return inUse[id] })
	vols, _ := e.volumes.list()
	vu := &volume.DiskUsage{}
	for _, v := range vols {
		users := len(e.volumeUsers(v.Name))
		size := treeSize(v.Mountpoint)
		v.UsageData = &volume.UsageData{RefCount: int64(users), Size: size}
		vu.Items = append(vu.Items, v)
		vu.TotalCount++
		vu.TotalSize += size
		if users > 0 {
			vu.ActiveCount++
		} else {
			vu.Reclaimable += size
		}
	}
	u.ContainerUsage, u.ImageUsage, u.VolumeUsage = cu, iu, vu
	return u, nil
}

// Events delivers what happens.
func (e *Engine) Events(ctx context.Context, since, until time.Time, f filter.Args) (<-chan events.Message, error) {
	return e.bus.Subscribe(ctx, since, until, f), nil
}

// Disks lists the sandbox disks.
func (e *Engine) Disks(context.Context) ([]api.Disk, error) {
	attached, err := disk.List(e.containersDir())
	if err != nil {
		return nil, err
	}
	device := map[string]string{}
	for _, a := range attached {
		device[a.Path] = a.Device
	}
	out := []api.Disk{}
	for _, c := range e.all() {
		r := c.record()
		d := api.Disk{Container: r.ID, Name: r.Name, Path: filepath.Join(c.dir, "sandbox.vhdx")}
		if d.Allocated, d.Size, err = disk.Usage(d.Path); err != nil {
			continue // removed meanwhile, or broken
		}
		d.Size, d.Device, d.Mounts = r.DiskSize, device[d.Path], e.shown(r.ID)
		out = append(out, d)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, nil
}

// Doctor tells what of the host Silo uses is there.
func (e *Engine) Doctor(context.Context) ([]api.Check, error) {
	return e.doctor(), nil
}
