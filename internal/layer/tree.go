package layer

import (
	"strings"

	"silo/internal/erofs"
	"silo/internal/errs"
)

// node is what a layer, or several layers merged, say about one name: a file,
// a hard link into a lower layer, a folder, or nothing but a mark that hides.
type node struct {
	inode    *erofs.Inode // nil for a mark and for a link
	link     *link
	children map[string]*node // of a folder
	parent   *node            // within its layer; the root has none
	depth    uint16
	implied  bool // a folder with no entry of its own: a lower layer's attributes hold
	hides    bool // what lower layers have under this name (a folder: in it) does not show

	// Of a folder, while its layer is read:
	upper  *node // the folder of the same path in the layers above, if any
	hidden bool  // the layers above hide it and all that is in it
}

// link is a hard link whose target is in a lower layer.
type link struct {
	name, target string
	found        *erofs.Inode
	next         *link // the target is itself a link into a lower layer
}

func (l *link) inode() *erofs.Inode {
	for l.next != nil { // only ever leads to a lower layer, so it ends
		l = l.next
	}
	return l.found
}

func (n *node) isDir() bool { return n.inode != nil && n.inode.Mode&erofs.TypeMask == erofs.TypeDir }

func (n *node) isLink() bool { return n.inode != nil && n.inode.Mode&erofs.TypeMask == erofs.TypeLink }
func (n *node) isMark() bool { return n.inode == nil && n.link == nil }

// hiddenChild tells whether the layers above hide the file of this name.
func (n *node) hiddenChild(name string) bool {
	switch {
	case n.hidden:
		return true
	case n.upper == nil:
		return false
	case n.upper.children[name] != nil:
		return true
	}
	return n.upper.hides
}

// setUpper finds out how the layers above cover the folder n in its parent.
func (n *node) setUpper(name string) {
	p := n.parent
	n.upper, n.hidden = nil, p.hidden
	if p.hidden || p.upper == nil {
		return
	}
	switch c := p.upper.children[name]; {
	case c == nil:
		n.hidden = p.upper.hides
	case c.isDir():
		n.upper = c
	default:
		n.hidden = true
	}
}

// find gives the node of a path in its layer, or nil. It follows the layer's
// own symbolic links on the way, not the last one.
func find(root *node, path string) *node {
	here, rest := root, path
	for hops := 0; rest != ""; {
		name, tail, _ := strings.Cut(rest, "/")
		rest = tail
		switch {
		case name == "" || name == ".":
			continue
		case name == "..":
			if here.parent != nil {
				here = here.parent
			}
			continue
		}
		c := here.children[name]
		switch {
		case c == nil:
			return nil
		case rest == "":
			return c
		case c.isLink():
			if hops++; hops > maxLinks {
				return nil
			}
			if strings.HasPrefix(c.inode.Target, "/") {
				here = root
			}
			rest = c.inode.Target + "/" + rest
			continue
		case !c.isDir():
			return nil
		}
		here = c
	}
	return here
}

// answer is what one layer says about a path.
type answer int

const (
	unknown answer = iota // nothing: lower layers may have it
	here
	absent // it is hidden, or is no file
)

// lookup asks one layer for the file at a clean path, with no link followed.
func lookup(root *node, path string) (*node, answer) {
	n := root
	for {
		name, rest, more := strings.Cut(path, "/")
		c := n.children[name]
		switch {
		case c == nil && n.hides:
			return nil, absent
		case c == nil:
			return nil, unknown
		case more && c.isDir():
			n, path = c, rest
			continue
		case more || c.isDir() || c.isMark():
			return nil, absent
		}
		return c, here
	}
}

// merge puts the folder t of a lower layer under the folder m of the layers
// above it; adopted is called for each node that comes to show.
func merge(m, t *node, adopted func(*node)) {
	if m.implied && !t.implied {
		m.inode, m.implied = t.inode, false
	}
	if m.hides {
		return
	}
	for name, c := range t.children {
		switch over := m.children[name]; {
		case over == nil:
			m.children[name] = c
			adopted(c)
		case over.isDir() && c.isDir():
			merge(over, c, adopted)
		case over.isDir():
			// c, a file or a mark, hides what is below it in turn.
			over.hides, over.implied = true, false
		}
	}
	m.hides = t.hides
}

// splitClean gives a tar's path within the root, "" for the root itself. As
// with Docker an absolute path counts from the root, "." and ".." are taken out
// by their letters, and a path that leaves the root is refused.
func splitClean(name string) (dir, base string, err error) {
	if len(name) > maxPath {
		return "", "", errs.Invalidf("a path of %d bytes is longer than %d", len(name), maxPath)
	}
	clean := cleanPath(name)
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", "", errs.Invalidf("the path leaves the root of the image")
	}
	if i := strings.LastIndexByte(clean, '/'); i >= 0 {
		return clean[:i], clean[i+1:], nil
	}
	return "", clean, nil
}
