package seccomp

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"

	"silo/internal/record"
)

// cacheFormat is part of every key: raise it when the compiled form changes.
const cacheFormat = "1"

// Cache keeps compiled filters in memory, and in a folder if it was given one.
// It is safe for concurrent use; a filter is compiled once at a time.
type Cache struct {
	dir    string
	system string // what besides profile and capabilities decides the result

	mu       sync.Mutex
	profiles map[[32]byte][]string // hash of a profile -> relevant capabilities
	filters  map[string]*entry
}

type entry struct {
	once   sync.Once
	filter Filter
	err    error
}

// NewCache makes a cache. dir, if not empty, is an existing folder for the
// cache alone; what it holds is written for this machine, this kernel and
// this build, and anything else there is not used.
func NewCache(dir string) *Cache {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease") // minKernel rules look at it
	tables := sha256.Sum256([]byte(syscallsText))
	return &Cache{
		dir:      dir,
		system:   strings.Join([]string{cacheFormat, runtime.GOARCH, strings.TrimSpace(string(release)), compilerVersion(), hex.EncodeToString(tables[:])}, "\n"),
		profiles: map[[32]byte][]string{},
		filters:  map[string]*entry{},
	}
}

// compilerVersion names the build of the compiler in this program.
func compilerVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, d := range info.Deps {
		if d.Path == "gvisor.dev/gvisor" {
			return d.Version
		}
	}
	return ""
}

// Default gives the filter of Moby's default profile for the capabilities.
func (c *Cache) Default(caps []string) (Filter, error) { return c.Get(nil, caps) }

// Warm compiles the default profile for each set of capabilities, so that the
// first container with it need not wait.
func (c *Cache) Warm(sets ...[]string) error {
	for _, caps := range sets {
		if _, err := c.Default(caps); err != nil {
			return err
		}
	}
	return nil
}

// Get is Compile, remembered.
func (c *Cache) Get(profileJSON []byte, caps []string) (Filter, error) {
	key, err := c.key(profileJSON, caps)
	if err != nil {
		return Filter{}, err
	}
	c.mu.Lock()
	e := c.filters[key]
	if e == nil {
		e = &entry{}
		c.filters[key] = e
	}
	c.mu.Unlock()
	e.once.Do(func() { e.filter, e.err = c.load(key, profileJSON, caps) })
	if e.err != nil {
		c.mu.Lock()
		if c.filters[key] == e { // not to be remembered: the next may succeed
			delete(c.filters, key)
		}
		c.mu.Unlock()
	}
	return e.filter, e.err
}

// key names a filter: the profile's hash and those of caps that it asks about.
func (c *Cache) key(profileJSON []byte, caps []string) (string, error) {
	var hash [32]byte // all zero is the default profile's
	if profileJSON != nil {
		hash = sha256.Sum256(profileJSON)
	}
	c.mu.Lock()
	relevant, ok := c.profiles[hash]
	c.mu.Unlock()
	if !ok {
		var err error
		if relevant, err = relevantCaps(profileJSON); err != nil {
			return "", err
		}
		c.mu.Lock()
		c.profiles[hash] = relevant
		c.mu.Unlock()
	}
	var b strings.Builder
	b.Write(hash[:])
	for _, r := range relevant {
		if slices.Contains(caps, r) {
			b.WriteString("\n" + r)
		}
	}
	return b.String(), nil
}

// stored is a filter on disk.
type stored struct {
	Format int    `json:"format"`
	Sum    []byte `json:"sha256"` // of Filter's JSON
	Filter json.RawMessage
}

// load reads a filter from the folder or compiles it and keeps it there.
func (c *Cache) load(key string, profileJSON []byte, caps []string) (Filter, error) {
	if c.dir == "" {
		return Compile(profileJSON, caps)
	}
	profile, err := text(profileJSON)
	if err != nil {
		return Filter{}, err
	}
	h := sha256.New()
	for _, s := range []string{c.system, key, string(profile)} {
		fmt.Fprintf(h, "%d %s\n", len(s), s)
	}
	path := filepath.Join(c.dir, hex.EncodeToString(h.Sum(nil))+".json")
	if f, ok := readStored(path); ok {
		return f, nil
	}
	f, err := Compile(profileJSON, caps)
	if err != nil {
		return Filter{}, err
	}
	body, err := json.Marshal(f)
	if err != nil {
		return Filter{}, fmt.Errorf("keep seccomp filter: %w", err)
	}
	sum := sha256.Sum256(body)
	if err := record.Write(path, stored{Format: 1, Sum: sum[:], Filter: body}, record.Volatile); err != nil {
		return Filter{}, fmt.Errorf("keep seccomp filter: %w", err)
	}
	return f, nil
}

// readStored reads a filter that was kept; any damage makes it absent.
func readStored(path string) (Filter, bool) {
	in, err := os.Open(path)
	if err != nil {
		return Filter{}, false
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return Filter{}, false
	}
	var s stored
	if json.Unmarshal(data, &s) != nil {
		return Filter{}, false
	}
	var body bytes.Buffer
	if json.Compact(&body, s.Filter) != nil { // the record is indented
		return Filter{}, false
	}
	sum := sha256.Sum256(body.Bytes())
	var f Filter
	if !bytes.Equal(sum[:], s.Sum) || json.Unmarshal(body.Bytes(), &f) != nil || len(f.Program) == 0 || len(f.Program)%8 != 0 {
		return Filter{}, false
	}
	return f, true
}
