package engine

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"

	"silo/internal/errs"
	"silo/internal/image"
)

// ContainerCreate makes a container: its record, disk and, if a standby fits,
// everything else too.
func (e *Engine) ContainerCreate(ctx context.Context, o CreateOptions) (container.CreateResponse, error) {
	var none container.CreateResponse
	e.touch()
	if o.Name != "" {
		o.Name = strings.TrimPrefix(o.Name, "/")
		if err := checkName(o.Name); err != nil {
			return none, err
		}
	}
	if o.Config.Image == "" {
		return none, errs.Invalidf("no image specified")
	}
	img, release, err := e.images.Hold(ctx, o.Config.Image)
	if err != nil {
		return none, err
	}
	defer release()
	if err := checkPlatform(o.Platform, img); err != nil {
		return none, err
	}
	rec, warnings, err := e.plan(o, img)
	if err != nil {
		return none, err
	}
	c, err := e.build(ctx, rec, img)
	if err != nil {
		return none, err
	}
	e.emit(c, events.ActionCreate, nil)
	return container.CreateResponse{ID: c.rec.ID, Warnings: warnings}, nil
}

func checkPlatform(want string, img image.Image) error {
	if want == "" {
		return nil
	}
	have := img.Config.OS + "/" + img.Config.Architecture
	if want == have || want == img.Config.OS || strings.HasPrefix(want, have+"/") {
		return nil
	}
	return errs.NotFoundf("image with reference %s was found but does not provide the specified platform (%s): it is for %s", img.ID, want, have)
}

// plan turns a request into a record, and changes nothing.
func (e *Engine) plan(o CreateOptions, img image.Image) (*configRecord, []string, error) {
	cfg, host := *o.Config, *o.HostConfig
	mergeImage(&cfg, img)
	if len(cfg.Entrypoint)+len(cfg.Cmd) == 0 {
		return nil, nil, errs.Invalidf("no command specified: the image has none, give one")
	}
	if err := e.checkConfig(&cfg, &host); err != nil {
		return nil, nil, err
	}
	wish, warnings, err := e.planNetwork(&cfg, &host, o.NetworkingConfig)
	if err != nil {
		return nil, nil, err
	}
	size, err := diskSize(host.StorageOpt)
	if err != nil {
		return nil, nil, err
	}
	args := slices.Concat(cfg.Entrypoint, cfg.Cmd)
	pid, err := wantsPID(&host, args)
	if err != nil {
		return nil, nil, err
	}
	rec := &configRecord{
		Format: recordFormat, Name: o.Name, Created: time.Now().UTC(), ImageID: img.ID, ImageName: o.Config.Image, DiskSize: size,
		PID: pid, Config: &cfg, HostConfig: &host, IP: wish.ip, MAC: wish.mac, Aliases: wish.aliases,
	}
	if _, err := capabilities(&host); err != nil {
		return nil, nil, err
	}
	sec, err := securityOptions(&host)
	if err != nil {
		return nil, nil, err
	}
	if sec.profile != nil {
		if _, err := e.filters.Get(sec.profile, nil); err != nil {
			return nil, nil, err
		}
	}
	if _, err := publishList(rec); err != nil {
		return nil, nil, err
	}
	return rec, warnings, e.defaults(rec)
}

// planNetwork settles which network a container is on, and as whom.
func (e *Engine) planNetwork(cfg *container.Config, host *container.HostConfig, asked *network.NetworkingConfig) (w wishes, warnings []string, err error) {
	mode, err := networkMode(host)
	if err != nil {
		return w, nil, err
	}
	if cfg.NetworkDisabled {
		mode = "none"
	}
	host.NetworkMode = container.NetworkMode(mode)
	if err := checkGiver(cfg, host); err != nil {
		return w, nil, err
	}
	if cfg.Hostname == "" && !host.UTSMode.IsHost() {
		cfg.Hostname = e.hostnameOn(host.NetworkMode)
	}
	warnings = []string{}
	switch ports := len(host.PortBindings) > 0 || host.PublishAllPorts; {
	case !ports || mode == "nat":
	case mode == "none" || mode == "host":
		if len(host.PortBindings) > 0 {
			warnings = append(warnings, "Published ports are discarded when using network "+mode)
		}
	default:
		return w, nil, errs.Invalidf("ports cannot be published with the network %s: leave out -p and -P", mode)
	}
	w, err = endpointWishes(mode, asked)
	return w, warnings, err
}

// defaults fills in what a request left open.
func (e *Engine) defaults(r *configRecord) error {
	h := r.HostConfig
	if err := checkServices(h, r.PID); err != nil {
		return err
	}
	if h.LogConfig.Type == "" {
		h.LogConfig.Type = "json-file"
	}
	if h.LogConfig.Config == nil {
		h.LogConfig.Config = map[string]string{}
	}
	if h.ShmSize == 0 {
		h.ShmSize = defaultShm
	}
	if h.RestartPolicy.Name == "" {
		h.RestartPolicy.Name = container.RestartPolicyDisabled
	}
	if h.Isolation == "" {
		h.Isolation = "process"
		if r.PID {
			h.Isolation = "pid"
		}
	}
	if h.IpcMode == "" {
		h.IpcMode = container.IPCModePrivate
	}
	for _, l := range h.Ulimits {
		if l == nil {
			return errs.Invalidf("invalid ulimit: an entry of Ulimits is null")
		}
		if _, ok := ulimitTypes[l.Name]; !ok {
			return errs.Invalidf("invalid ulimit type: %s", l.Name)
		}
		if l.Hard != -1 && (l.Soft > l.Hard || l.Soft == -1) {
			return errs.Invalidf("ulimit soft limit must be less than or equal to hard limit: %d > %d", l.Soft, l.Hard)
		}
	}
	return nil
}

// mergeImage adds what the image says and the request does not.
func mergeImage(c *container.Config, img image.Image) {
	i := img.Config.Config
	if len(c.Entrypoint) == 0 {
		if len(c.Cmd) == 0 {
			c.Cmd = i.Cmd
		}
		if c.Entrypoint == nil {
			c.Entrypoint = i.Entrypoint
		}
	} else if len(c.Entrypoint) == 1 && c.Entrypoint[0] == "" { // --entrypoint "" clears the image's
		c.Entrypoint = nil
	}
	if c.User == "" {
		c.User = i.User
	}
	if c.WorkingDir == "" {
		c.WorkingDir = i.WorkingDir
	}
	if c.WorkingDir == "" {
		c.WorkingDir = "/"
	}
	if c.StopSignal == "" {
		c.StopSignal = i.StopSignal
	}
	c.Env = mergeEnv(i.Env, c.Env)
	labels := maps.Clone(i.Labels)
	if labels == nil {
		labels = map[string]string{}
	}
	maps.Copy(labels, c.Labels)
	c.Labels = labels
	mergeSets(c, i.ExposedPorts, i.Volumes)
	mergeHealth(c, img)
}

func mergeSets(c *container.Config, ports, volumes map[string]struct{}) {
	if len(volumes) > 0 || len(c.Volumes) > 0 {
		v := maps.Clone(volumes)
		if v == nil {
			v = map[string]struct{}{}
		}
		maps.Copy(v, c.Volumes)
		c.Volumes = v
	}
	exposed := maps.Clone(c.ExposedPorts)
	for p := range ports {
		if port, err := network.ParsePort(p); err == nil {
			if exposed == nil {
				exposed = network.PortSet{}
			}
			exposed[port] = struct{}{}
		}
	}
	c.ExposedPorts = exposed
}

func mergeHealth(c *container.Config, img image.Image) {
	i := img.Config.Config.Healthcheck
	if i == nil {
		return
	}
	if c.Healthcheck == nil {
		c.Healthcheck = i
		return
	}
	h := *c.Healthcheck
	if len(h.Test) == 0 {
		h.Test = i.Test
	}
	if h.Interval == 0 {
		h.Interval = i.Interval
	}
	if h.Timeout == 0 {
		h.Timeout = i.Timeout
	}
	if h.StartPeriod == 0 {
		h.StartPeriod = i.StartPeriod
	}
	if h.StartInterval == 0 {
		h.StartInterval = i.StartInterval
	}
	if h.Retries == 0 {
		h.Retries = i.Retries
	}
	c.Healthcheck = &h
}

// defaultPath is PATH where neither image nor request set one.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// mergeEnv lets the request's variables replace the image's.
func mergeEnv(image, request []string) []string {
	name := func(s string) string { n, _, _ := strings.Cut(s, "="); return n }
	out := slices.Clone(request)
	for _, i := range slices.Backward(image) {
		if !slices.ContainsFunc(request, func(r string) bool { return name(r) == name(i) }) {
			out = slices.Insert(out, 0, i)
		}
	}
	return out
}

// effectiveEnv is what a command gets: a variable without "=" is one that it is
// not to have, and PATH is there unless it is such a one.
func effectiveEnv(env []string) []string {
	out := slices.Clone(env)
	if !slices.ContainsFunc(out, func(s string) bool { return s == "PATH" || strings.HasPrefix(s, "PATH=") }) {
		out = slices.Insert(out, 0, defaultPath)
	}
	return slices.DeleteFunc(out, func(s string) bool { return !strings.Contains(s, "=") })
}

// build takes a standby or makes the container's disk, and writes its record.
func (e *Engine) build(ctx context.Context, r *configRecord, img image.Image) (_ *Container, err error) {
	s, err := e.shapeOf(r)
	if err != nil {
		return nil, err
	}
	var b *sandbox
	if s.same(e.defaultShape()) && e.standby != nil {
		b = e.standby.take(img.ID)
	}
	if b != nil {
		r.ID, r.FirstID = b.id, b.first
	} else {
		r.ID = newID()
		if r.FirstID, err = e.ids.take(filepath.Join(e.containersDir(), r.ID)); err != nil {
			return nil, err
		}
	}
	c := newContainer(e, r)
	c.box = b
	if err := e.register(c); err != nil {
		e.undoBuild(c, nil)
		return nil, err
	}
	var volumes []string
	defer func() {
		if err != nil {
			e.unregister(c)
			e.undoBuild(c, volumes)
		}
	}()
	if b == nil {
		if err := e.disks.Create(ctx, filepath.Join(c.dir, "sandbox.vhdx"), r.DiskSize); err != nil {
			return nil, err
		}
	}
	e.fault("create: disk")
	if r.Mounts, volumes, err = e.resolveMounts(r.Config, r.HostConfig); err != nil {
		return nil, err
	}
	if b == nil || b.image != img.ID {
		if err := e.writeChain(c.dir, img.ID); err != nil {
			return nil, err
		}
	}
	e.fault("create: chain")
	if err := c.writeNew(r); err != nil {
		return nil, err
	}
	e.fault("create: record")
	for _, v := range volumes {
		e.emitVolume(events.ActionCreate, v, nil)
	}
	return c, nil
}

// undoBuild takes away what build made.
func (e *Engine) undoBuild(c *Container, volumes []string) {
	for _, v := range volumes {
		_ = e.volumes.remove(v)
	}
	_ = os.Remove(filepath.Join(c.dir, "config.json"))
	if c.box != nil {
		e.destroySandbox(c.box, true)
		return
	}
	if err := os.RemoveAll(c.dir); err != nil {
		e.log.Error("remove container folder", "container", c.rec.ID, "err", err)
	}
	e.releaseIDs(c.rec.ID, c.rec.FirstID)
}

// register enters a container under its id and name, picking one if it has
// none.
func (e *Engine) register(c *Container) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closing {
		return errs.New(errs.Unavailable, "silod is stopping")
	}
	r := c.rec
	if r.Name == "" {
		for i := 0; r.Name == "" || e.names[r.Name] != ""; i++ {
			r.Name = randomName(i)
		}
	}
	if other := e.names[r.Name]; other != "" {
		return errs.Conflictf("Conflict. The container name \"/%s\" is already in use by container \"%s\". You have to remove (or rename) that container to be able to reuse that name.", r.Name, other)
	}
	e.containers[r.ID] = c
	e.names[r.Name] = r.ID
	return nil
}

func (e *Engine) unregister(c *Container) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.containers, c.rec.ID)
	if e.names[c.rec.Name] == c.rec.ID {
		delete(e.names, c.rec.Name)
	}
}
