package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"silo/internal/errs"
)

const (
	// templateFormat is in the name of each template; a change of mkfsArgs
	// needs a new number, and older templates are then made again.
	templateFormat = 1
	unfinished     = ".new-"
	journalMost    = 16 // MiB
)

// template is the blank file system of one size.
type template struct {
	mu   sync.Mutex // held while it is made, so that it is made once
	good bool       // found to be sound by this Store
}

// open opens the template of a file system of size bytes, and makes it if it
// is not there or not sound.
func (s *Store) open(ctx context.Context, size int64) (*os.File, error) {
	s.mu.Lock()
	t := s.templates[size]
	if t == nil {
		t = &template{}
		s.templates[size] = t
	}
	s.mu.Unlock()

	t.mu.Lock()
	defer t.mu.Unlock()
	path := filepath.Join(s.dir, fmt.Sprintf("ext4-%d-%d.img", templateFormat, size))
	f, err := os.Open(path)
	if err == nil && (t.good || sound(f, size) == nil) {
		t.good = true
		return f, nil
	}
	if err == nil {
		f.Close()
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("disk template: %w", err)
	}
	if err := s.make(ctx, path, size); err != nil {
		return nil, fmt.Errorf("make disk template of %d MiB: %w", size/mib, hostFull(err))
	}
	if f, err = os.Open(path); err != nil {
		return nil, fmt.Errorf("disk template: %w", err)
	}
	if err := sound(f, size); err != nil {
		f.Close()
		return nil, fmt.Errorf("disk template %s: %w", path, err)
	}
	t.good = true
	return f, nil
}

// make writes a template under another name and renames it when it is whole
// and on the host's disk: it is kept for years and copied blindly.
func (s *Store) make(ctx context.Context, path string, size int64) error {
	work, err := os.MkdirTemp(s.dir, unfinished)
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	// The root of the file system takes its folders, modes and owners from here.
	root := filepath.Join(work, "root")
	for dir, mode := range map[string]os.FileMode{root: 0o755, root + "/upper": 0o755, root + "/work": 0o700} {
		if err := os.MkdirAll(dir, mode); err != nil {
			return err
		}
		if err := os.Chmod(dir, mode); err != nil { // whatever the umask
			return err
		}
	}
	image := filepath.Join(work, "image")
	f, err := os.OpenFile(image, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return err
	}
	if err := mkfs(ctx, image, root, size); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return os.Rename(image, path)
}

// mkfsArgs gives the options of mkfs.ext4 for a file system of size bytes.
//
// All features are named, so that the host's mke2fs.conf cannot change them:
//   - sparse_super2 instead of sparse_super and meta_bg: two copies of the
//     superblock instead of one each power of 3, 5 and 7. On the host a blank
//     20 GiB takes 156 KiB in 6 pieces instead of 196 KiB in 20, so the copy
//     of a template is a few large reads.
//   - no 64bit: it doubles the group descriptors and is of use from 16 TiB on.
//   - metadata_csum_seed: checksums do not depend on the UUID, so a copy gets
//     one of its own by a new superblock alone.
//   - no resize_inode: it reserves blocks to grow into.
//
// The journal is not zeroed and the inode tables are holes already. No blocks
// are reserved for root: root inside a container is its ordinary user.
// lost+found stays: it is not seen inside, and e2fsck wants it.
func mkfsArgs(image, root string, size int64) []string {
	const features = "none,has_journal,ext_attr,dir_index,filetype,extent,flex_bg,sparse_super2," +
		"large_file,huge_file,dir_nlink,extra_isize,metadata_csum,metadata_csum_seed"
	// One inode each 32 KiB is 655,000 on 20 GiB, six times a Debian root with
	// a compiler; small disks hold small files.
	journal, perInode := journalMost, 32<<10
	if size < 1000*mib {
		journal, perInode = 4, 8<<10
	}
	return []string{
		"-q", "-F", "-O", features, "-b", "4096", "-I", "256", "-m", "0", "-e", "remount-ro",
		"-J", "size=" + strconv.Itoa(journal), "-i", strconv.Itoa(perInode),
		"-E", "root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1,packed_meta_blocks=1,num_backup_sb=2",
		"-d", root, image,
	}
}

func mkfs(ctx context.Context, image, root string, size int64) error {
	// A daemon's PATH may lack sbin, where Debian keeps mkfs.
	program, err := find("mkfs.ext4", "/usr/sbin", "/sbin")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, mkfsArgs(image, root, size)...)
	cmd.Env = []string{"LC_ALL=C"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	text := strings.Join(strings.Fields(out.String()), " ")
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case strings.Contains(text, "No space left on device"):
		return errs.New(errs.Unavailable, "the host's disk is full, free some space there: mkfs.ext4: %s", text)
	}
	return fmt.Errorf("mkfs.ext4: %v: %s", err, text)
}

// find gives the path of a program in PATH or in dirs.
func find(name string, dirs ...string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range dirs {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", errs.New(errs.NotSupported, "%s is not installed: apt-get install e2fsprogs", name)
}
