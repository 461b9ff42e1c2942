package daemon

import "testing"

func TestNotSupported(t *testing.T) {
	for path, known := range map[string]bool{
		"/containers/web/archive": true, "/containers/archive": false, "/containers/web/nothing": false, "/commit": true, "/commits": false,
		"/build/prune": true, "/distribution/a/b/json": true, "/networks/n/connect": true, "/swarm/init": true, "/": false, "": false,
	} {
		if got := notSupported(path); (got != "") != known {
			t.Errorf("%s: %q", path, got)
		}
	}
}
