package layer

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// model is a file system made the plain way: from the lowest layer up, each
// laid over what is there. The builder works from the top down, and must come
// to the same.
type model struct {
	dir      bool
	mode     fs.FileMode
	data     *string // shared by hard links
	children map[string]*model
	implied  bool
	opaque   bool
	gone     map[string]bool // whiteouts in this folder
}

func newFolder(mode fs.FileMode, implied bool) *model {
	return &model{dir: true, mode: mode, implied: implied, children: map[string]*model{}, gone: map[string]bool{}}
}

// at gives the folder of a path in a layer, made if it is missing; nil if a
// file is in the way.
func (m *model) at(dir string) *model {
	for _, name := range strings.Split(dir, "/") {
		if name == "." || name == "" {
			continue
		}
		c := m.children[name]
		if c == nil {
			c = newFolder(0o755, true)
			m.children[name] = c
		} else if !c.dir {
			return nil
		}
		m = c
	}
	return m
}

// over lays the layer l over m.
func (m *model) over(l *model) {
	if l.opaque {
		m.children = map[string]*model{}
	}
	for name := range l.gone {
		delete(m.children, name)
	}
	for name, c := range l.children {
		if !c.dir {
			m.children[name] = c
			continue
		}
		below := m.children[name]
		if below == nil || !below.dir {
			below = newFolder(c.mode, false)
			m.children[name] = below
		} else if !c.implied {
			below.mode = c.mode
		}
		below.over(c)
	}
}

// lines lists a model as list lists a base.
func (m *model) lines() (out []string) {
	links := map[*string]int{}
	var walk func(n *model, f func(n *model, p string), p string)
	walk = func(n *model, f func(*model, string), p string) {
		f(n, p)
		for name, c := range n.children {
			walk(c, f, p+"/"+name)
		}
	}
	walk(m, func(n *model, _ string) {
		if !n.dir {
			links[n.data]++
		}
	}, "")
	walk(m, func(n *model, p string) {
		if !n.dir {
			out = append(out, line(p, n.mode, 0, 0, links[n.data], *n.data))
			return
		}
		subs := 2
		for _, c := range n.children {
			if c.dir {
				subs++
			}
		}
		out = append(out, line(p, n.mode|fs.ModeDir, 0, 0, subs, ""))
	}, "")
	sort.Strings(out)
	return out
}

// randomLayer makes entries over few names, and the layer's model. Entries
// below a file are left out: a tar with them is refused.
func randomLayer(r *rand.Rand, number int) (entries []e, l *model) {
	l = newFolder(0o755, true)
	var files []string
	for i := range r.IntN(12) {
		dir := strings.Repeat(string(rune('a'+r.IntN(3)))+"/", r.IntN(2)) + strings.Repeat(string(rune('a'+r.IntN(3)))+"/", r.IntN(2))
		p := path.Clean(dir + string(rune('a'+r.IntN(4))))
		in := l.at(path.Dir(p))
		if in == nil {
			continue
		}
		// Made as the tar's reader makes it, also if nothing follows.
		entries = append(entries, e{})
		last, name := &entries[len(entries)-1], path.Base(p)
		mode := int64(0o700 + r.IntN(64))
		switch r.IntN(6) {
		case 0, 1:
			data := fmt.Sprint(number, ".", i)
			in.children[name] = &model{mode: 0o644, data: &data}
			*last = file(p, data)
			files = append(files, p)
		case 2:
			if c := in.children[name]; c != nil && c.dir {
				c.mode, c.implied = fs.FileMode(mode), false
			} else {
				in.children[name] = newFolder(fs.FileMode(mode), false)
			}
			*last = folder(p, mode)
		case 3:
			in.gone[name] = true
			if c := in.children[name]; c != nil {
				c.implied = false
			}
			*last = file(path.Join(path.Dir(p), ".wh."+name), "")
		case 4:
			in.opaque = true
			*last = file(path.Join(path.Dir(p), ".wh..wh..opq"), "")
		case 5:
			target := (*model)(nil)
			if len(files) > 0 {
				t := files[r.IntN(len(files))]
				if d := lookFor(l, t); d != nil && !d.dir && t != p {
					target = d
					in.children[name] = &model{mode: d.mode, data: d.data}
					*last = hard(p, t)
				}
			}
			if target == nil {
				data := "fallback"
				in.children[name] = &model{mode: 0o644, data: &data}
				*last = file(p, data)
			}
		}
	}
	return entries, l
}

// lookFor gives what a layer's model has at a path.
func lookFor(m *model, p string) *model {
	for _, name := range strings.Split(p, "/") {
		if m = m.children[name]; m == nil {
			return nil
		}
	}
	return m
}

func TestMergeAgainstModel(t *testing.T) {
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 1))
		want := newFolder(0o755, false)
		var tars [][]byte
		var layers [][]e
		for n := range 1 + r.IntN(4) {
			entries, l := randomLayer(r, n)
			layers, tars = append(layers, entries), append(tars, tarOf(t, entries...))
			want.over(l)
		}
		if d := cmp.Diff(want.lines(), list(t, build(t, tars...).Path)); d != "" {
			for i, l := range layers {
				for _, x := range l {
					t.Logf("layer %d: %c %s %s %o", i, x.Typeflag, x.Name, x.Linkname, x.Mode)
				}
			}
			t.Fatalf("seed %d (-want +got):\n%s", seed, d)
		}
	}
}
