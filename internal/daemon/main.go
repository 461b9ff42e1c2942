package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"silo/internal/engine"
	"silo/internal/linux"
	buildversion "silo/internal/version"
)

// settings are silod's flags; a config file has them under the same names.
type settings struct {
	Data     string   `json:"data-root"`
	Run      string   `json:"exec-root"`
	Hosts    []string `json:"hosts"`
	Level    string   `json:"log-level"`
	Standby  int      `json:"standby"`
	Pool     string   `json:"address-pool"`
	Bridge   string   `json:"bridge"`
	IDs      string   `json:"id-pool"`
	Insecure []string `json:"insecure-registries"`
}

const (
	defaultConfig = "/etc/silo/silod.json"
	defaultHost   = "unix:///run/silo/silo.sock"
	// gcPercent lets the heap grow to 8 MB at least before it is collected: with
	// less, a collection falls into every second start of a container.
	gcPercent = 200
)

func parseSettings(args []string) (s settings, err error) {
	f := pflag.NewFlagSet("silod", pflag.ContinueOnError)
	f.StringVar(&s.Data, "data-root", "/var/lib/silo", "where images, containers and volumes are kept")
	f.StringVar(&s.Run, "exec-root", "/run/silo", "where sockets and what dies with the boot is kept")
	f.StringArrayVarP(&s.Hosts, "host", "H", nil, "where to listen, unix:///PATH or fd://[NAME]; may be repeated (default "+defaultHost+")")
	f.StringVar(&s.Level, "log-level", "info", "debug, info, warn or error")
	f.IntVar(&s.Standby, "standby", 3, "how many containers to keep parked and ready")
	f.StringVar(&s.Pool, "address-pool", "172.16.0.0/12", "addresses from which the network takes a /20")
	f.StringVar(&s.Bridge, "bridge", "silo0", "name of the virtual switch")
	f.StringVar(&s.IDs, "id-pool", fmt.Sprintf("%d:%d", engine.DefaultIDs.First, engine.DefaultIDs.Count), "user ids for containers, FIRST:COUNT")
	f.StringArrayVar(&s.Insecure, "insecure-registry", nil, "registry reached without TLS; may be repeated")
	config := f.String("config", defaultConfig, "JSON file with these settings by name")
	showVersion := f.Bool("version", false, "print the version and exit")
	f.Usage = func() {
		fmt.Fprintf(os.Stderr, "Usage: silod [OPTIONS]\n\nThe daemon of Silo: serves the Docker Engine API.\n\nOptions:\n%s", f.FlagUsages())
	}
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if *showVersion {
		fmt.Println("silod", buildversion.Version)
		return s, pflag.ErrHelp
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q: see silod --help", f.Arg(0))
	}
	return s, s.merge(f, *config)
}

// merge takes from the config file what no flag has set.
func (s *settings) merge(f *pflag.FlagSet, path string) error {
	defer func() {
		if len(s.Hosts) == 0 {
			s.Hosts = []string{defaultHost}
		}
	}()
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && !f.Changed("config") {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	flags := *s
	var file map[string]json.RawMessage
	if err := json.Unmarshal(data, &file); err != nil {
		return fmt.Errorf("read config %s: %w", path, err)
	}
	known := map[string]string{
		"data-root": "data-root", "exec-root": "exec-root", "hosts": "host", "log-level": "log-level", "standby": "standby",
		"address-pool": "address-pool", "bridge": "bridge", "id-pool": "id-pool", "insecure-registries": "insecure-registry",
	}
	for key := range file {
		name, ok := known[key]
		if !ok {
			return fmt.Errorf("read config %s: unknown setting %q", path, key)
		}
		if f.Changed(name) {
			delete(file, key)
		}
	}
	rest, _ := json.Marshal(file) // of what was just decoded
	if err := json.Unmarshal(rest, &flags); err != nil {
		return fmt.Errorf("read config %s: %w", path, err)
	}
	*s = flags
	return nil
}

// Main runs silod and returns its exit code.
func Main(args []string) int {
	debug.SetGCPercent(gcPercent)
	linux.HalfProcessors()
	linux.SetLateTimers()
	s, err := parseSettings(args)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = run(s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "silod:", err)
		return 1
	}
	return 0
}

func run(s settings) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.Level)); err != nil {
		return fmt.Errorf("log level %q: give debug, info, warn or error", s.Level)
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	o, err := s.engineOptions(log)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("silod needs root: start it with sudo or by systemd")
	}
	if err := linux.CheckKernel(5, 19); err != nil {
		return err
	}
	data, err := lockRoot(o.Data, "lock", "data root", "--data-root")
	if err != nil {
		return err
	}
	defer data.Close()
	exec, err := lockRoot(o.Run, "silod.lock", "exec root", "--exec-root")
	if err != nil {
		return err
	}
	defer exec.Close()
	begin := time.Now()
	e, err := engine.Open(context.Background(), o)
	if err != nil {
		return err
	}
	server := NewServer(e, log, Build{Version: buildversion.Version})
	errc := make(chan error, len(s.Hosts))
	var listeners []net.Listener
	for _, host := range s.Hosts {
		l, err := Listen(host)
		if err != nil {
			return errors.Join(err, e.Close())
		}
		listeners = append(listeners, l)
	}
	for _, l := range listeners {
		go func() { errc <- server.Serve(l) }()
	}
	log.Info("silod is ready", "hosts", s.Hosts, "after", time.Since(begin).Round(time.Millisecond))
	stop := make(chan os.Signal, 2)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case sig := <-stop:
		log.Info("silod is stopping: containers go on", "signal", sig)
		err = nil
	case err = <-errc:
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(err, server.Shutdown(ctx), e.Close())
}

// lockRoot makes sure that one daemon uses a data root, or an exec root: it
// would end the containers of another.
func lockRoot(dir, file, name, flag string) (*linux.FD, error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("make %s: %w", name, err)
	}
	path := filepath.Join(dir, file)
	fd, err := linux.Open(path, linux.ORdwr|linux.OCreat, 0o600)
	if err != nil {
		return nil, err
	}
	if err := linux.LockExclusive(fd); err != nil {
		fd.Close()
		return nil, fmt.Errorf("%s %s is in use by another silod: end it, or give %s", name, dir, flag)
	}
	return fd, nil
}

func (s settings) engineOptions(log *slog.Logger) (engine.Options, error) {
	o := engine.Options{Data: s.Data, Run: s.Run, Bridge: s.Bridge, Standby: s.Standby, Log: log, InsecureRegistries: s.Insecure}
	var err error
	if o.Pool, err = netip.ParsePrefix(s.Pool); err != nil {
		return o, fmt.Errorf("address pool %q: give a network as in 172.16.0.0/12", s.Pool)
	}
	if o.IDs, err = engine.ParseIDPool(s.IDs); err != nil {
		return o, err
	}
	if s.Standby < 0 {
		return o, fmt.Errorf("standby %d: give 0 or more", s.Standby)
	}
	for _, p := range []*string{&o.Data, &o.Run} {
		if *p, err = filepath.Abs(*p); err != nil {
			return o, err
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return o, err
	}
	o.BinDir = filepath.Dir(exe)
	o.Fault = faultFromEnv()
	return o, nil
}
