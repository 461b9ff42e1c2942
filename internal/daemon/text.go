package daemon

import (
	"bytes"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"

	"silo/internal/listing"
)

// wantsText tells whether the client asks for what people read: its Accept
// header names text/plain, and neither JSON nor anything at all. Docker's
// clients send no such header.
func (r *request) wantsText() bool {
	text := false
	for _, accepted := range strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",") {
		switch t, _, _ := mime.ParseMediaType(accepted); t {
		case "text/plain":
			text = true
		case "application/json", "application/*", "*/*":
			return false
		}
	}
	return text
}

// writeText answers with what f writes. The length is in the head, so that a
// client can tell whether it got all of it.
func writeText(w *response, f func(io.Writer) error) error {
	var b bytes.Buffer
	if err := f(&b); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(b.Bytes())
	return err
}

// writeContainers answers with a table of containers as "silo ps" prints it.
// The parameter quiet leaves nothing but the ids, notrunc does not cut long
// texts.
func writeContainers(w *response, r *request, list []container.Summary) error {
	rows := make([]listing.Container, len(list))
	for i := range list {
		s := &list[i]
		rows[i] = listing.Container{
			ID: s.ID, Image: s.Image, ImageID: s.ImageID, Command: s.Command, Status: s.Status, Names: s.Names,
			Created: s.Created, SizeRw: s.SizeRw, SizeRootFs: s.SizeRootFs,
		}
		for _, p := range s.Ports {
			rows[i].Ports = append(rows[i].Ports, listing.Port(p))
		}
	}
	return writeText(w, func(w io.Writer) error {
		return listing.Containers(w, rows, listing.ContainersOptions{Quiet: r.flag("quiet"), NoTrunc: r.flag("notrunc"), Size: r.flag("size")})
	})
}
