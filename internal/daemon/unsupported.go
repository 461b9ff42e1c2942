package daemon

import "strings"

// unsupported lists what Docker's API has and this one does not, by the start of
// the path, or by its end where a star stands before it. It is refused by name:
// with 404 a client would take it for a container or a network that is missing.
var unsupported = []struct{ path, what string }{
	{"/containers/*/archive", "copying files into and out of containers"},
	{"/containers/*/changes", "listing the files that a container has changed"},
	{"/containers/*/export", "exporting a container's files"},
	{"/containers/*/attach/ws", "attaching over a websocket"},
	{"/containers/*/checkpoints", "checkpoints"},
	{"/commit", "making an image of a container"},
	{"/build", "building images"},
	{"/session", "building images"},
	{"/grpc", "building images"},
	{"/auth", "logging in at a registry"},
	{"/distribution/", "asking a registry about an image"},
	{"/images/search", "searching a registry"},
	{"/networks/create", "making networks besides nat, none and host"},
	{"/networks/*/connect", "joining a running container to a network"},
	{"/networks/*/disconnect", "taking a running container off its network"},
	{"/plugins", "plugins"},
	{"/swarm", "swarm mode"},
	{"/nodes", "swarm mode"},
	{"/services", "swarm mode"},
	{"/tasks", "swarm mode"},
	{"/secrets", "swarm mode"},
	{"/configs", "swarm mode"},
}

// notSupported names what a path without a route would do in Docker, "" for a
// path that Docker does not have either.
func notSupported(path string) string {
	for _, u := range unsupported {
		start, end, star := strings.Cut(u.path, "*")
		rest, ok := strings.CutPrefix(path, start)
		switch {
		case !ok:
		case star && strings.HasSuffix(rest, end) && len(rest) > len(end):
			return u.what
		case !star && (rest == "" || rest[0] == '/' || strings.HasSuffix(start, "/")):
			return u.what
		}
	}
	return ""
}
