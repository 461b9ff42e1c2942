package daemon

import (
	"io"
	"net/http"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"

	"silo/internal/errs"
)

func (s *Server) imageList(w *response, r *request) error {
	f, err := r.filters()
	if err != nil {
		return err
	}
	list, err := s.b.Images(r.Context(), r.flag("all"), f)
	if err != nil {
		return err
	}
	out, err := oldImageList(r.version, list)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) imageInspect(w *response, r *request) error {
	if !r.version.before(49) {
		if err := r.refuse("platform"); err != nil {
			return err
		}
	}
	img, err := s.b.ImageInspect(r.Context(), r.name)
	if err != nil {
		return err
	}
	out, err := oldImageInspect(r.version, img)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) imageHistory(w *response, r *request) error {
	if !r.version.before(48) {
		if err := r.refuse("platform"); err != nil {
			return err
		}
	}
	h, err := s.b.ImageHistory(r.Context(), r.name)
	if err != nil {
		return err
	}
	if h == nil {
		h = []image.HistoryResponseItem{}
	}
	return writeJSON(w, http.StatusOK, h)
}

// auth gives the credentials that the client sent for a registry. Docker
// takes what it cannot read for none, and clients have come to rely on it.
func auth(r *request) *registry.AuthConfig {
	header := r.Header.Get(registry.AuthHeader)
	if header == "" {
		return nil
	}
	a, err := authconfig.Decode(header)
	if err != nil || *a == (registry.AuthConfig{}) {
		return nil
	}
	return a
}

// pull fetches one image, or all of a repository if neither tag nor digest is
// given: clients that mean the latest say so.
func (s *Server) pull(r *request, ref string, p *progress) error {
	names := []string{ref}
	if n, err := reference.ParseNormalizedNamed(ref); err == nil && reference.IsNameOnly(n) {
		tags, err := s.b.ImageTags(r.Context(), ref, auth(r))
		if err != nil {
			return err
		}
		names = names[:0]
		for _, t := range tags {
			names = append(names, withTag(ref, t))
		}
	}
	for _, name := range names {
		if err := s.b.ImagePull(r.Context(), name, r.str("platform"), auth(r), p.send); err != nil {
			return ofRegistry(err)
		}
	}
	return nil
}

// withTag joins a name and a tag or digest that came as two parameters.
func withTag(name, tag string) string {
	if tag == "" {
		return name
	}
	if _, err := digest.Parse(tag); err == nil {
		return name + "@" + tag
	}
	return name + ":" + tag
}

// imageCreate is pull, and import of the body with fromSrc=-, or of what an
// address gives.
func (s *Server) imageCreate(w *response, r *request) error {
	p := newProgress(w)
	if from := strings.TrimSuffix(r.str("fromImage"), ":"); from != "" {
		return p.end(s.pull(r, withTag(from, r.str("tag")), p))
	}
	src := r.str("fromSrc")
	if src == "" {
		return errs.Invalidf("create image: nothing to make it from: give fromImage (a name) or fromSrc=- and a tar archive as the body")
	}
	message := r.str("message")
	if message == "" {
		message = "Imported from " + withoutPassword(src)
	}
	archive := r.Body
	if src == "-" {
		upload(w)
	} else {
		var err error
		if archive, err = fetch(r.Context(), src); err != nil {
			return err
		}
		defer archive.Close()
	}
	err := s.b.ImageImport(r.Context(), withTag(r.str("repo"), r.str("tag")), message, r.str("platform"), r.query["changes"], archive, p.send)
	if src == "-" {
		drain(r)
	}
	return p.end(err)
}

// upload prepares for a body of any size: the answer goes out while the body
// still comes in, and the connection is not used again, since the body may
// not be read to its end.
func upload(w *response) {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w.ResponseWriter).EnableFullDuplex()
}

// drain reads the padding after the end of an archive. A client that is cut
// off while it still sends takes that for a failure.
func drain(r *request) { _, _ = io.CopyN(io.Discard, r.Body, 1<<20) }

func (s *Server) imageLoad(w *response, r *request) error {
	if !r.version.before(48) {
		if err := r.refuse("platform"); err != nil {
			return err
		}
	}
	upload(w)
	p := newProgress(w)
	err := s.b.ImageLoad(r.Context(), r.Body, r.flagOr("quiet", true), p.send)
	drain(r)
	return p.end(err)
}

func (s *Server) imagePush(w *response, r *request) error {
	platform, err := r.ociPlatform(46)
	if err != nil {
		return err
	}
	p := newProgress(w)
	return p.end(ofRegistry(s.b.ImagePush(r.Context(), withTag(r.name, r.str("tag")), platform, auth(r), p.send)))
}

// ofRegistry is the error of a registry that is away: 500, as from Docker. With
// 503 clients take it for silod's, and ask again and again.
func ofRegistry(err error) error {
	if errs.Is(err, errs.Unavailable) {
		return errs.New(errs.Internal, "%w", err)
	}
	return err
}

func (s *Server) imageSave(w *response, r *request) error { return s.save(w, r, []string{r.name}) }

func (s *Server) imagesSave(w *response, r *request) error {
	names := r.query["names"]
	if len(names) == 0 {
		return errs.Invalidf("save images: no names: give the parameter names, once for each")
	}
	return s.save(w, r, names)
}

// save sends an archive. An error on the way cuts the connection, since half
// an archive must not look like a whole one.
func (s *Server) save(w *response, r *request, names []string) error {
	if !r.version.before(48) {
		if err := r.refuse("platform"); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", "application/x-tar")
	return s.b.ImageSave(r.Context(), names, w)
}

func (s *Server) imageTag(w *response, r *request) error {
	if r.str("repo") == "" {
		return errs.Invalidf("tag image %s: no new name: give the parameter repo", r.name)
	}
	if err := s.b.ImageTag(r.Context(), r.name, withTag(r.str("repo"), r.str("tag"))); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (s *Server) imageRemove(w *response, r *request) error {
	if !r.version.before(50) {
		if err := r.refuse("platforms"); err != nil {
			return err
		}
	}
	gone, err := s.b.ImageRemove(r.Context(), r.name, r.flag("force"), r.flag("noprune"))
	if err != nil {
		return err
	}
	if gone == nil {
		gone = []image.DeleteResponse{}
	}
	return writeJSON(w, http.StatusOK, gone)
}
