package image

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"silo/internal/errs"
	"silo/internal/record"
)

const (
	fetchTries = 5                // of one blob, each going on where the last stopped
	stallAfter = 60 * time.Second // without a byte, a connection is given up
)

var acceptManifests = strings.Join([]string{
	ocispec.MediaTypeImageManifest, ocispec.MediaTypeImageIndex, dockerManifest, dockerIndex,
	dockerSchema1Sig, dockerSchema1, // to say what is wrong with them
}, ", ")

// fetchManifest reads a manifest or index; what is a tag or a digest, and a
// digest is verified.
func (r *remoteRepo) fetchManifest(ctx context.Context, c *http.Client, what string) ([]byte, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url("manifests", what), nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Accept", acceptManifests)
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return nil, "", err
	}
	raw, err := readSmall(resp.Body)
	if err != nil {
		return nil, "", err
	}
	want := digest.Digest(what)
	if want.Validate() == nil && digest.FromBytes(raw) != want {
		return nil, "", errs.New(errs.Unavailable, "the registry sent a manifest with digest %s in place of %s", digest.FromBytes(raw), want)
	}
	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return raw, mediaType, nil
}

// mostTags bounds how many tags of a repository are asked for.
const mostTags = 10000

// tags lists the tags of the repository, in the registry's order. A registry
// gives them in pages: each names the next in its header Link (RFC 8288).
func (r *remoteRepo) tags(ctx context.Context, c *http.Client) (list []string, err error) {
	for next := r.url("tags", "list"); next != ""; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, next, nil)
		if err != nil {
			return nil, err
		}
		resp, err := c.Do(req)
		if err != nil {
			return nil, err
		}
		var page struct{ Tags []string }
		if err = transport.CheckError(resp, http.StatusOK); err == nil {
			var raw []byte
			if raw, err = readSmall(resp.Body); err == nil {
				err = json.Unmarshal(raw, &page)
			}
		}
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		if list = append(list, page.Tags...); len(list) > mostTags {
			return nil, errs.New(errs.NotSupported, "the repository has more than %d tags: pull those you need", mostTags)
		}
		if next, err = nextPage(resp, next, len(page.Tags)); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// nextPage gives the address of the page after one, "" if that was the last. It
// must be on the same server, as it is asked with the same rights.
func nextPage(resp *http.Response, now string, got int) (string, error) {
	link, rest, ok := strings.Cut(strings.TrimPrefix(resp.Header.Get("Link"), "<"), ">")
	if !ok || got == 0 || !strings.Contains(rest, `rel="next"`) {
		return "", nil
	}
	base, err := url.Parse(now)
	if err != nil {
		return "", err
	}
	u, err := base.Parse(link)
	if err != nil || u.Host != base.Host {
		return "", errs.New(errs.Unavailable, "the registry names %q as the next page of its list", link)
	}
	u.Scheme = base.Scheme
	return u.String(), nil
}

// fetch brings a blob into the store; done is told the bytes that are there.
// An interrupted download is continued. Others that want the same blob wait.
func (s *Store) fetch(ctx context.Context, r *remoteRepo, c *http.Client, l *lease, want content, done func(int64)) error {
	unlock, err := s.locks.lock(ctx, "blob "+want.Digest.String())
	if err != nil {
		return err
	}
	defer unlock()
	l.add(want.Digest)
	if s.blobs.has(want.Digest) {
		return nil
	}
	d, err := openDownload(s.blobs.partial(want.Digest), want, done)
	if err != nil {
		return noSpace(err)
	}
	defer d.f.Close()
	err = d.run(ctx, c, r.url("blobs", want.Digest.String()))
	if err != nil {
		if !resumable(err) {
			os.Remove(d.f.Name())
		}
		return noSpace(err)
	}
	if err := d.f.Sync(); err != nil {
		os.Remove(d.f.Name())
		return noSpace(err)
	}
	if err := os.Rename(d.f.Name(), s.blobs.path(want.Digest)); err != nil {
		return err
	}
	return record.SyncDir(s.blobs.dir + "/sha256")
}

// resumable tells whether what was downloaded is worth keeping: the
// connection failed, not the content, the disk or the user's patience.
func resumable(err error) bool {
	return err != nil && !isHost(err) && !errors.Is(err, context.Canceled) && errs.KindOf(err) == errs.Internal
}

// download is one blob on its way into a file.
type download struct {
	f    *os.File
	h    hash.Hash
	n    int64 // bytes in f and h
	want content
	done func(int64)
	old  bool // some of f is from an earlier pull
}

func openDownload(path string, want content, done func(int64)) (*download, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	d := &download{f: f, h: sha256.New(), want: want, done: done}
	if d.n, err = io.Copy(d.h, f); err != nil {
		f.Close()
		return nil, err
	}
	d.old = d.n > 0
	return d, nil
}

func (d *download) restart() error {
	d.h.Reset()
	d.n, d.old = 0, false
	if err := d.f.Truncate(0); err != nil {
		return err
	}
	_, err := d.f.Seek(0, io.SeekStart)
	return err
}

// run downloads until the blob is complete and right.
func (d *download) run(ctx context.Context, c *http.Client, url string) error {
	best := d.n
	for try := 1; ; try++ {
		var err error
		if d.n < d.want.Size || d.n == 0 {
			err = d.get(ctx, c, url)
		}
		if err == nil {
			if d.n == d.want.Size && digest.NewDigest(digest.SHA256, d.h) == d.want.Digest {
				return nil
			}
			if !d.old {
				return errs.New(errs.Unavailable, "layer verification failed for digest %s: the registry sent %d bytes with digest %s",
					d.want.Digest, d.n, digest.NewDigest(digest.SHA256, d.h))
			}
			// The part from before may be what is wrong.
			if err := d.restart(); err != nil {
				return err
			}
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if d.n > best {
			best, try = d.n, 1 // it goes forward: as often as it takes
		}
		if !retry(err) || try >= fetchTries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond << min(try, 6)):
		}
	}
}

// retry tells whether trying again can help: yes unless the registry said no.
func retry(err error) bool {
	var te *transport.Error
	if errors.As(err, &te) {
		return te.Temporary()
	}
	return errs.KindOf(err) == errs.Internal && !isHost(err)
}

// get makes one request for what is missing.
func (d *download) get(ctx context.Context, c *http.Client, url string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(stallAfter, func() { cancel(fmt.Errorf("no data for %v", stallAfter)) })
	defer stall.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	if d.n > 0 {
		// With its end, as not every registry takes an open range.
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", d.n, d.want.Size-1))
	}
	resp, err := c.Do(req)
	if err != nil {
		return cause(ctx, err)
	}
	defer resp.Body.Close()
	if d.n > 0 && (resp.StatusCode == http.StatusRequestedRangeNotSatisfiable || resp.StatusCode == http.StatusOK ||
		!strings.HasPrefix(resp.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(d.n, 10)+"-")) {
		if err := d.restart(); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return errors.New("the registry cannot continue a download")
		}
	}
	if err := transport.CheckError(resp, http.StatusOK, http.StatusPartialContent); err != nil {
		return err
	}
	return cause(ctx, d.copy(resp.Body, stall))
}

// cause prefers the reason for which a request was cancelled.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); err != nil && c != nil {
		return c
	}
	return err
}

// copy takes a response, at most one byte more than there should be.
func (d *download) copy(body io.Reader, stall *time.Timer) error {
	body = io.LimitReader(body, d.want.Size-d.n+1)
	buf := make([]byte, 128<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			stall.Reset(stallAfter)
			if _, err := d.f.Write(buf[:n]); err != nil {
				return err
			}
			d.h.Write(buf[:n])
			d.n += int64(n)
			d.done(min(d.n, d.want.Size))
		}
		switch {
		case err == io.EOF && d.n < d.want.Size:
			return io.ErrUnexpectedEOF
		case err == io.EOF:
			return nil
		case err != nil:
			var p *fs.PathError
			if errors.As(err, &p) {
				return fmt.Errorf("read from registry: %v", err)
			}
			return err
		}
	}
}
