package daemon

import (
	"os"
	"slices"

	"silo/internal/errs"
	"silo/internal/linux"
)

// access decides whether the process at the other end may make a request. The
// socket's owner and mode have let it in already; this is asked of the kernel
// once more, so that a socket made with a wrong mode opens nothing.
type access interface {
	allow(p *linux.Peer, s *Server) error
}

// readAccess is for requests that change nothing. They still show what runs,
// with environment variables in it, so they are for administrators too.
type readAccess struct{}

func (readAccess) allow(p *linux.Peer, s *Server) error { return s.administrator(p) }

// writeAccess is for requests that change something: whoever may make them
// is root on the host in all but name.
type writeAccess struct{}

func (writeAccess) allow(p *linux.Peer, s *Server) error { return s.administrator(p) }

// openAccess is for requests that tell nothing but that a daemon is there.
type openAccess struct{}

func (openAccess) allow(*linux.Peer, *Server) error { return nil }

// administrator allows root, the user of the daemon itself, and the group.
func (s *Server) administrator(p *linux.Peer) error {
	if p == nil {
		return errs.New(errs.Forbidden, "permission denied: only local processes may use this socket")
	}
	if p.UID == 0 || int(p.UID) == os.Geteuid() {
		return nil
	}
	if s.group >= 0 && (int(p.GID) == s.group || slices.Contains(p.Groups, uint32(s.group))) {
		return nil
	}
	return errs.New(errs.Forbidden, "permission denied for user %d: only root and the group %s may use this socket", p.UID, Group)
}
