// Package version holds the build's version, set by the linker.
package version

// Version is set with -ldflags "-X silo/internal/version.Version=…".
var Version = "dev"

// Commit is the start of the commit's hash that was built, "" if not known;
// set in the same way.
var Commit = ""

// Build tells builds apart, those of one version too. A keeper of another build
// is replaced, and with it the agent of containers to come.
func Build() string {
	if Commit == "" {
		return Version
	}
	return Version + "+" + Commit
}
