package engine

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/volume"

	"silo/internal/errs"
	"silo/internal/filter"
	"silo/internal/record"
)

// volumeStore keeps volumes: a folder each, with volume.json and the data in
// _data. Owners in it are those that a container sees.
type volumeStore struct {
	dir string
	mu  sync.Mutex
}

type volumeRecord struct {
	Format  int
	Name    string
	Created time.Time
	Labels  map[string]string
	Anon    bool `json:",omitempty"`
}

const anonLabel = "com.docker.volume.anonymous"

func checkVolumeName(name string) error {
	if len(name) > 255 || !nameForm.MatchString(name) {
		return errs.Invalidf("%q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path", name)
	}
	return nil
}

func (s *volumeStore) path(name string) string { return filepath.Join(s.dir, name) }

// data is the folder that a volume is.
func (s *volumeStore) data(name string) string { return filepath.Join(s.path(name), "_data") }

func (s *volumeStore) volume(r volumeRecord) volume.Volume {
	v := volume.Volume{
		Name: r.Name, Driver: "local", Scope: "local", Mountpoint: s.data(r.Name),
		CreatedAt: r.Created.Format(time.RFC3339), Labels: r.Labels, Options: map[string]string{},
	}
	if v.Labels == nil {
		v.Labels = map[string]string{}
	}
	return v
}

// create finds a volume or makes it. An anonymous one has a label more, by
// which clients and a prune know it.
func (s *volumeStore) create(name string, labels map[string]string, anon bool) (volume.Volume, bool, error) {
	if err := checkVolumeName(name); err != nil {
		return volume.Volume{}, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, err := s.get(name); err == nil || !errs.Is(err, errs.NotFound) {
		return v, false, err
	}
	if anon {
		if labels = maps.Clone(labels); labels == nil {
			labels = map[string]string{}
		}
		labels[anonLabel] = ""
	}
	r := volumeRecord{Format: recordFormat, Name: name, Created: time.Now(), Labels: labels, Anon: anon}
	if err := os.MkdirAll(s.data(name), 0o755); err != nil {
		return volume.Volume{}, false, err
	}
	if err := os.Chmod(s.path(name), 0o711); err != nil {
		return volume.Volume{}, false, err
	}
	if err := record.Write(s.path(name)+"/volume.json", r, record.Durable); err != nil {
		os.RemoveAll(s.path(name))
		return volume.Volume{}, false, err
	}
	return s.volume(r), true, nil
}

func (s *volumeStore) get(name string) (volume.Volume, error) {
	if checkVolumeName(name) != nil {
		return volume.Volume{}, errs.NotFoundf("get %s: no such volume", name)
	}
	var r volumeRecord
	err := record.Read(s.path(name)+"/volume.json", &r)
	if errors.Is(err, fs.ErrNotExist) {
		return volume.Volume{}, errs.NotFoundf("get %s: no such volume", name)
	}
	return s.volume(r), err
}

func (s *volumeStore) remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.Remove(s.path(name) + "/volume.json"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(s.path(name))
}

func (s *volumeStore) list() (out []volume.Volume, warnings []string) {
	entries, _ := os.ReadDir(s.dir)
	for _, e := range entries {
		v, err := s.get(e.Name())
		if err != nil {
			warnings = append(warnings, err.Error())
			continue
		}
		out = append(out, v)
	}
	return out, warnings
}

// volumeUsers names the containers that use a volume.
func (e *Engine) volumeUsers(name string) (out []string) {
	for _, c := range e.all() {
		r := c.record()
		for _, m := range r.Mounts {
			if m.Type == "volume" && m.Name == name {
				out = append(out, r.Name)
			}
		}
	}
	sort.Strings(out)
	return out
}

func (e *Engine) emitVolume(action events.Action, name string, extra map[string]string) {
	now := time.Now()
	attrs := map[string]string{"driver": "local"}
	maps.Copy(attrs, extra)
	e.bus.Publish(events.Message{
		Type: events.VolumeEventType, Action: action, Scope: "local", Time: now.Unix(), TimeNano: now.UnixNano(),
		Actor: events.Actor{ID: name, Attributes: attrs},
	})
}

// emitMounts tells that a container has its volumes, or has them no more.
func (e *Engine) emitMounts(c *Container, action events.Action) {
	r := c.record()
	for _, m := range r.Mounts {
		if m.Type == "volume" {
			e.emitVolume(action, m.Name, map[string]string{
				"container": r.ID, "destination": m.Target, "propagation": "", "read/write": strconv.FormatBool(!m.ReadOnly),
			})
		}
	}
}

// VolumeCreate makes a volume; one of the same name is no error.
func (e *Engine) VolumeCreate(_ context.Context, r volume.CreateRequest) (volume.Volume, error) {
	if r.Driver != "" && r.Driver != "local" || len(r.DriverOpts) > 0 || r.ClusterVolumeSpec != nil {
		return volume.Volume{}, errs.New(errs.NotSupported, "create volume %s: silo has the driver local, without options", r.Name)
	}
	anon := r.Name == ""
	if anon {
		r.Name = newID()
	}
	v, created, err := e.volumes.create(r.Name, r.Labels, anon)
	if created {
		e.emitVolume(events.ActionCreate, v.Name, nil)
	}
	return v, err
}

// Volumes lists volumes by name.
func (e *Engine) Volumes(_ context.Context, f filter.Args) (volume.ListResponse, error) {
	if _, err := e.volumeMatches(volume.Volume{}, f); err != nil { // also if there is no volume
		return volume.ListResponse{}, err
	}
	all, warnings := e.volumes.list()
	out := volume.ListResponse{Volumes: []volume.Volume{}, Warnings: warnings}
	for _, v := range all {
		ok, err := e.volumeMatches(v, f)
		if err != nil {
			return out, err
		}
		if ok {
			out.Volumes = append(out.Volumes, v)
		}
	}
	return out, nil
}

func (e *Engine) volumeMatches(v volume.Volume, f filter.Args) (bool, error) {
	if err := f.Validate("dangling", "driver", "label", "label!", "name"); err != nil {
		return false, err
	}
	if len(f["dangling"]) > 0 {
		want, err := f.Bool("dangling", false)
		if err != nil {
			return false, err
		}
		if want != (len(e.volumeUsers(v.Name)) == 0) {
			return false, nil
		}
	}
	return f.Exact("driver", v.Driver) && f.Match("name", v.Name) && f.Labels(v.Labels), nil
}

// VolumeInspect shows one volume.
func (e *Engine) VolumeInspect(_ context.Context, name string) (volume.Volume, error) {
	return e.volumes.get(name)
}

// VolumeRemove removes a volume that no container uses.
func (e *Engine) VolumeRemove(_ context.Context, name string, force bool) error {
	if _, err := e.volumes.get(name); err != nil {
		if force && errs.Is(err, errs.NotFound) {
			return nil
		}
		if errs.Is(err, errs.NotFound) || !force {
			return err
		}
	}
	if users := e.volumeUsers(name); len(users) > 0 {
		return errs.Conflictf("remove %s: volume is in use - %v", name, users)
	}
	if err := e.volumes.remove(name); err != nil {
		return err
	}
	e.emitVolume(events.ActionDestroy, name, nil)
	return nil
}

// VolumesPrune removes unused volumes: anonymous ones, with the filter
// all=true every one.
func (e *Engine) VolumesPrune(ctx context.Context, f filter.Args) (volume.PruneReport, error) {
	report := volume.PruneReport{VolumesDeleted: []string{}}
	if err := f.Validate("all", "label", "label!"); err != nil {
		return report, err
	}
	everything, err := f.Bool("all", false)
	if err != nil {
		return report, err
	}
	list, _ := e.volumes.list()
	for _, v := range list {
		_, anon := v.Labels[anonLabel]
		if !anon && !everything || !f.Labels(v.Labels) || len(e.volumeUsers(v.Name)) > 0 {
			continue
		}
		size := treeSize(e.volumes.path(v.Name))
		if err := e.VolumeRemove(ctx, v.Name, false); err != nil {
			continue // taken into use meanwhile
		}
		report.VolumesDeleted = append(report.VolumesDeleted, v.Name)
		report.SpaceReclaimed += uint64(size)
	}
	e.emitPrune(events.VolumeEventType, report.SpaceReclaimed)
	return report, nil
}
