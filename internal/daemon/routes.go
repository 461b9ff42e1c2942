package daemon

import (
	"net/http"
	"strings"
)

// route is one line of the API. path may hold one {word}, which stands for
// one or more path segments: image names have slashes in them.
type route struct {
	method, path string
	handle       func(*Server, *response, *request) error
	access       access
}

const (
	get  = http.MethodGet
	head = http.MethodHead
	post = http.MethodPost
	del  = http.MethodDelete
)

var (
	read  readAccess
	write writeAccess
	open  openAccess // /_ping: it must answer before a client knows anything
)

// routes is the whole API.
var routes = []route{
	{get, "/_ping", (*Server).ping, open},
	{head, "/_ping", (*Server).ping, open},
	{get, "/version", (*Server).versionInfo, read},
	{get, "/info", (*Server).info, read},
	{get, "/events", (*Server).events, read},
	{get, "/system/df", (*Server).diskUsage, read},

	{get, "/containers/json", (*Server).containerList, read},
	{post, "/containers/create", (*Server).containerCreate, write},
	{post, "/containers/prune", (*Server).containersPrune, write},
	{get, "/containers/{name}/json", (*Server).containerInspect, read},
	{get, "/containers/{name}/logs", (*Server).containerLogs, read},
	{get, "/containers/{name}/top", (*Server).containerTop, read},
	{get, "/containers/{name}/stats", (*Server).containerStats, read},
	{post, "/containers/{name}/start", (*Server).containerStart, write},
	{post, "/containers/{name}/stop", (*Server).containerStop, write},
	{post, "/containers/{name}/restart", (*Server).containerRestart, write},
	{post, "/containers/{name}/kill", (*Server).containerKill, write},
	{post, "/containers/{name}/pause", (*Server).containerPause, write},
	{post, "/containers/{name}/unpause", (*Server).containerUnpause, write},
	{post, "/containers/{name}/wait", (*Server).containerWait, read}, // a POST that changes nothing
	{post, "/containers/{name}/attach", (*Server).containerAttach, write},
	{post, "/containers/{name}/resize", (*Server).containerResize, write},
	{post, "/containers/{name}/rename", (*Server).containerRename, write},
	{post, "/containers/{name}/update", (*Server).containerUpdate, write},
	{post, "/containers/{name}/exec", (*Server).execCreate, write},
	{del, "/containers/{name}", (*Server).containerRemove, write},

	{get, "/exec/{id}/json", (*Server).execInspect, read},
	{post, "/exec/{id}/start", (*Server).execStart, write},
	{post, "/exec/{id}/resize", (*Server).execResize, write},

	{get, "/images/json", (*Server).imageList, read},
	{get, "/images/get", (*Server).imagesSave, read},
	{post, "/images/create", (*Server).imageCreate, write},
	{post, "/images/load", (*Server).imageLoad, write},
	{post, "/images/prune", (*Server).imagesPrune, write},
	{get, "/images/{name}/json", (*Server).imageInspect, read},
	{get, "/images/{name}/history", (*Server).imageHistory, read},
	{get, "/images/{name}/get", (*Server).imageSave, read},
	{post, "/images/{name}/push", (*Server).imagePush, write},
	{post, "/images/{name}/tag", (*Server).imageTag, write},
	{del, "/images/{name}", (*Server).imageRemove, write},

	{post, "/build/prune", (*Server).buildPrune, write},
	{get, "/networks", (*Server).networkList, read},
	{post, "/networks/prune", (*Server).networksPrune, write},
	{get, "/networks/{id}", (*Server).networkInspect, read},

	{get, "/volumes", (*Server).volumeList, read},
	{post, "/volumes/create", (*Server).volumeCreate, write},
	{post, "/volumes/prune", (*Server).volumesPrune, write},
	{get, "/volumes/{name}", (*Server).volumeInspect, read},
	{del, "/volumes/{name}", (*Server).volumeRemove, write},

	{post, "/silo/run", (*Server).siloRun, write},
	{post, "/silo/exec/{container}", (*Server).siloExec, write},
	{get, "/silo/sessions", (*Server).siloSessions, read},
	{get, "/silo/sessions/{number}/log", (*Server).siloSessionLog, read},
	{get, "/silo/sessions/{number}", (*Server).siloSession, read},
	{get, "/silo/properties/{container}", (*Server).siloProperties, read},
	{post, "/silo/tools/{container}", (*Server).siloTool, write},
	{get, "/silo/disks", (*Server).siloDisks, read},
	{post, "/silo/disks/unmount", (*Server).siloDiskUnmount, write},
	{post, "/silo/disks/{container}/mount", (*Server).siloDiskMount, write},
	{get, "/silo/services/{container}", (*Server).siloServices, read},
	{post, "/silo/services/{container}", (*Server).siloServiceAction, write},
	{get, "/silo/doctor", (*Server).siloDoctor, read},
}

// find gives the first route for a request, and what its {word} stands for.
func find(method, path string) (*route, string) {
	for i := range routes {
		r := &routes[i]
		if r.method != method {
			continue
		}
		if name, ok := match(r.path, path); ok {
			return r, name
		}
	}
	return nil, ""
}

func match(pattern, path string) (name string, ok bool) {
	open := strings.IndexByte(pattern, '{')
	if open < 0 {
		return "", pattern == path
	}
	prefix, suffix := pattern[:open], pattern[strings.IndexByte(pattern, '}')+1:]
	if len(path) <= len(prefix)+len(suffix) || !strings.HasPrefix(path, prefix) || !strings.HasSuffix(path, suffix) {
		return "", false
	}
	// Listings show names with a slash before them, and clients send them so.
	name = strings.TrimPrefix(path[len(prefix):len(path)-len(suffix)], "/")
	return name, name != ""
}
