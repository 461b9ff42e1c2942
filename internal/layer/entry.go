package layer

import (
	"archive/tar"
	"encoding/binary"
	"errors"
	"io"
	"path"
	"strings"

	"silo/internal/erofs"
	"silo/internal/errs"
)

// Marks of a layer's tar for what it deletes, see the OCI image
// specification, layer.md, "Whiteouts".
const (
	markPrefix = ".wh."
	markMeta   = ".wh..wh."     // files of AUFS's own; no image has them since 2015
	markOpaque = ".wh..wh..opq" // the folder shows nothing of lower layers
)

// cleanPath is path.Clean without the leading slash, "" for the root.
func cleanPath(name string) string {
	c := strings.TrimPrefix(path.Clean(name), "/")
	if c == "." {
		return ""
	}
	return c
}

// entry takes one entry of a layer's tar into the layer's tree. Rules:
//
//   - A path counts from the root of the image, whether it begins with a slash
//     or not; one that leaves it by ".." is refused, also as the target of a
//     hard link (moby go-archive: breakoutError). The target of a symbolic link
//     is kept as it is: nothing on the host ever follows it.
//   - An entry below a symbolic link that the same layer made earlier goes
//     where the link leads, within the root; missing folders are made (as
//     containerd's fs.RootPath and mkparent). A symbolic link of a lower layer
//     is not followed: a folder takes its place, as with Docker's and
//     containerd's overlay drivers, which unpack each layer on its own.
//   - Missing parents become folders of root, mode 0755, unless a lower layer
//     has them: then with its attributes (as containerd, copyDirInfo).
//   - Of entries with the same path the last wins; a folder over a folder
//     changes its attributes only.
//   - A whiteout concerns lower layers only, wherever in the tar it stands.
//   - A hard link may lead to an earlier entry of its layer or to a file of a
//     lower layer, not to a folder. (Docker refuses the second kind.)
//   - Device nodes are left out, and hide what was under their name: a
//     container's /dev is Silo's own, and a node in a base would be a door to
//     the host's hardware for a privileged container.
//   - Extended attributes come from SCHILY.xattr.* records. Left out are those
//     that EROFS cannot hold, user.* on what is neither file nor folder,
//     malformed ACLs, and overlay's own (trusted.overlay.*, user.overlay.*): in
//     a lower folder of an overlay these are orders to the kernel, not content.
//   - Owners above 2³²-2 and negative ones are refused; times are clamped to
//     what ext4 holds (years 1901 to 2446); other mode bits than 07777 are
//     dropped.
//   - Names are bytes of any kind; at most 255 of them, 4096 in a path.
func (b *builder) entry(h *tar.Header, r io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader || h.Typeflag == 'V' { // PAX defaults; GNU's volume label
		return nil
	}
	dir, base, err := splitClean(h.Name)
	if err != nil {
		return err
	}
	if err := b.count(len(base) + len(h.Linkname)); err != nil {
		return err
	}
	if base == "" {
		return b.rootEntry(h)
	}
	if p := path.Join(dir, base); strings.HasPrefix(p, markMeta) && p != markOpaque {
		return nil
	}
	parent, err := b.enter(dir, h)
	if err != nil {
		return err
	}
	if strings.HasPrefix(base, markPrefix) {
		return b.mark(parent, base)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return b.folder(parent, base, h)
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return b.file(parent, base, h, r)
	case tar.TypeSymlink:
		return b.symlink(parent, base, h)
	case tar.TypeLink:
		return b.hardLink(parent, base, h)
	case tar.TypeFifo:
		n, err := b.put(parent, base)
		if err != nil {
			return err
		}
		n.inode, err = b.inode(h, erofs.TypeFIFO)
		return err
	case tar.TypeChar, tar.TypeBlock:
		n, err := b.put(parent, base)
		if err != nil {
			return err
		}
		n.hides = true
		b.devices.add(h.Name)
		return nil
	}
	return errs.Invalidf("entry type %q is not one of a file system's", h.Typeflag)
}

func (b *builder) rootEntry(h *tar.Header) error {
	if h.Typeflag != tar.TypeDir {
		return errs.Invalidf("the root of the image is not a folder")
	}
	inode, err := b.inode(h, erofs.TypeDir)
	if err != nil {
		return err
	}
	b.layer.inode, b.layer.implied = inode, false
	return nil
}

// enter gives the folder of the layer at a clean path, and makes it and its
// parents as needed. h is the entry that needs it.
func (b *builder) enter(dir string, h *tar.Header) (*node, error) {
	here, rest := b.layer, dir
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
		case strings.HasPrefix(name, markPrefix):
			return nil, errs.Invalidf("%s is a mark for something deleted and cannot be a folder", quote(name))
		}
		c := here.children[name]
		switch {
		case c == nil || c.isMark():
			var err error
			if c, err = b.imply(here, name, h); err != nil {
				return nil, err
			}
		case c.isLink():
			if hops++; hops > maxLinks {
				return nil, errs.Invalidf("more than %d symbolic links on the way", maxLinks)
			}
			if strings.HasPrefix(c.inode.Target, "/") {
				here = b.layer
			}
			rest = c.inode.Target + "/" + rest
			continue
		case !c.isDir():
			return nil, errs.Invalidf("%s on the way is not a folder", quote(name))
		}
		here = c
	}
	return here, nil
}

// imply makes a folder that has no entry of its own so far.
func (b *builder) imply(parent *node, name string, h *tar.Header) (*node, error) {
	if err := b.count(len(name)); err != nil {
		return nil, err
	}
	n, err := b.put(parent, name)
	if err != nil {
		return nil, err
	}
	sec, nsec := clampTime(h)
	n.inode = &erofs.Inode{Mode: erofs.TypeDir | 0o755, Sec: sec, Nsec: nsec}
	n.children, n.implied = map[string]*node{}, !n.hides
	n.setUpper(name)
	return n, nil
}

// put gives an empty node of this name, in place of what was there in this
// layer. A whiteout of the name stays in force for lower layers.
func (b *builder) put(parent *node, name string) (*node, error) {
	if len(name) > erofs.MaxName {
		return nil, errs.Invalidf("a name of %d bytes is longer than %d", len(name), erofs.MaxName)
	}
	if parent.depth >= maxDepth {
		return nil, errs.Invalidf("more than %d folders deep", maxDepth)
	}
	n := parent.children[name]
	if n == nil {
		n = &node{parent: parent, depth: parent.depth + 1}
		// A copy: the tar's name would keep its whole path in memory.
		parent.children[strings.Clone(name)] = n
		return n, nil
	}
	n.inode, n.link, n.children, n.implied = nil, nil, nil, false
	return n, nil
}

func (b *builder) folder(parent *node, name string, h *tar.Header) error {
	inode, err := b.inode(h, erofs.TypeDir)
	if err != nil {
		return err
	}
	if n := parent.children[name]; n != nil && n.isDir() {
		n.inode, n.implied = inode, false
		return nil
	}
	n, err := b.put(parent, name)
	if err != nil {
		return err
	}
	n.inode, n.children = inode, map[string]*node{}
	n.setUpper(name)
	return nil
}

func (b *builder) file(parent *node, name string, h *tar.Header, r io.Reader) error {
	inode, err := b.inode(h, erofs.TypeReg)
	if err != nil {
		return err
	}
	if b.size += h.Size; h.Size < 0 || b.size < 0 || b.size > b.limits.Size {
		return errs.Invalidf("the files of the image are larger than the limit of %d bytes", b.limits.Size)
	}
	n, err := b.put(parent, name)
	if err != nil {
		return err
	}
	n.inode = inode
	switch {
	case h.Size == 0:
		return nil
	case parent.hiddenChild(name):
		return b.spool.keep(inode, r, h.Size)
	}
	return b.out.Write(inode, r, h.Size)
}

func (b *builder) symlink(parent *node, name string, h *tar.Header) error {
	if h.Linkname == "" || len(h.Linkname) > erofs.MaxTarget || strings.Contains(h.Linkname, "\x00") {
		return errs.Invalidf("the link's target is empty, has a NUL or more than %d bytes", erofs.MaxTarget)
	}
	inode, err := b.inode(h, erofs.TypeLink)
	if err != nil {
		return err
	}
	inode.Mode |= 0o777 // as Linux shows every link
	inode.Target = strings.Clone(h.Linkname)
	n, err := b.put(parent, name)
	if err != nil {
		return err
	}
	n.inode = inode
	return nil
}

func (b *builder) hardLink(parent *node, name string, h *tar.Header) error {
	dir, base, err := splitClean(h.Linkname)
	if err != nil {
		return err
	}
	if base == "" {
		return errs.Invalidf("a hard link to the root")
	}
	target := find(b.layer, path.Join(dir, base))
	if target != nil && target.isDir() {
		return errs.Invalidf("a hard link to the folder %s", quote(h.Linkname))
	}
	if target != nil && target == parent.children[name] && !target.isMark() {
		return nil // to itself
	}
	var inode *erofs.Inode
	var lower *link
	switch {
	case target != nil && target.inode != nil:
		inode = target.inode
	case target != nil && target.link != nil:
		lower = target.link
	default:
		lower = &link{name: h.Name, target: path.Join(dir, base)}
		b.links = append(b.links, lower)
	}
	n, err := b.put(parent, name)
	if err != nil {
		return err
	}
	n.inode, n.link = inode, lower
	return nil
}

// mark takes a whiteout in.
func (b *builder) mark(parent *node, base string) error {
	if base == markOpaque {
		parent.hides = true
		return nil
	}
	name := base[len(markPrefix):]
	switch {
	case strings.HasPrefix(base, markMeta):
		return nil
	case name == "" || name == "." || name == "..":
		return errs.Invalidf("a whiteout of %q", name)
	}
	n := parent.children[name]
	if n == nil {
		var err error
		if n, err = b.put(parent, name); err != nil {
			return err
		}
	}
	n.hides, n.implied = true, false
	return nil
}

// inode makes an inode from the attributes of an entry.
func (b *builder) inode(h *tar.Header, kind uint16) (*erofs.Inode, error) {
	if h.Uid < 0 || h.Uid > maxID || h.Gid < 0 || h.Gid > maxID {
		return nil, errs.Invalidf("owner %d:%d: not numbers from 0 to %d", h.Uid, h.Gid, uint32(maxID))
	}
	n := &erofs.Inode{Mode: kind | uint16(h.Mode&erofs.PermMask), UID: uint32(h.Uid), GID: uint32(h.Gid)}
	n.Sec, n.Nsec = clampTime(h)
	if len(h.PAXRecords) == 0 {
		return n, nil
	}
	size := 0
	for key, value := range h.PAXRecords {
		name, ok := strings.CutPrefix(key, "SCHILY.xattr.")
		if !ok {
			continue
		}
		if !wantXattr(kind, name, value) {
			b.xattrs.add(h.Name)
			continue
		}
		n.Xattrs = append(n.Xattrs, erofs.Xattr{Name: strings.Clone(name), Value: strings.Clone(value)})
		size += len(name) + len(value) + 16
	}
	if size > erofs.MaxXattrBytes {
		return nil, errs.Invalidf("extended attributes of more than %d bytes", erofs.MaxXattrBytes)
	}
	return n, b.meta(size)
}

// wantXattr tells whether an extended attribute goes into the base.
func wantXattr(kind uint16, name, value string) bool {
	switch {
	case !erofs.XattrName(name) || len(value) > 0xFFFF,
		strings.HasPrefix(name, "trusted.overlay."), strings.HasPrefix(name, "user.overlay."):
		return false
	case strings.HasPrefix(name, "user."):
		return kind == erofs.TypeReg || kind == erofs.TypeDir
	case name == "system.posix_acl_default":
		return kind == erofs.TypeDir && validACL(value)
	case name == "system.posix_acl_access":
		return kind != erofs.TypeLink && validACL(value)
	}
	return true
}

// validACL checks the outer form: version 2, then 8 bytes an entry.
func validACL(v string) bool {
	return len(v) >= 4 && len(v)%8 == 4 && binary.LittleEndian.Uint32([]byte(v[:4])) == 2
}

func clampTime(h *tar.Header) (sec int64, nsec uint32) {
	switch sec = h.ModTime.Unix(); {
	case h.ModTime.IsZero():
		return 0, 0
	case sec < minTime:
		return minTime, 0
	case sec > maxTime:
		return maxTime, 0
	}
	return sec, uint32(h.ModTime.Nanosecond())
}

// count takes one more name of n bytes into account.
func (b *builder) count(n int) error {
	if b.entries++; b.entries > b.limits.Entries {
		return errs.Invalidf("the image has more than the limit of %d files and folders", b.limits.Entries)
	}
	return b.meta(n)
}

func (b *builder) meta(n int) error {
	if b.metadata += int64(n); b.metadata > b.limits.Metadata {
		return errs.Invalidf("names and attributes of the image take more than the limit of %d bytes", b.limits.Metadata)
	}
	return nil
}

// badTar says in words what archive/tar found.
func badTar(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errs.Invalidf("the tar ends too early: it is truncated")
	case errors.Is(err, tar.ErrHeader), errors.Is(err, tar.ErrFieldTooLong):
		return errs.Invalidf("not a tar, or a damaged one: %v", err)
	}
	return err
}
