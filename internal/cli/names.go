package cli

import "strings"

// registryOf gives the registry of an image name, docker.io if it has none.
func registryOf(name string) string {
	first, _, ok := strings.Cut(name, "/")
	if !ok || first != "localhost" && !strings.ContainsAny(first, ".:") && strings.ToLower(first) == first {
		return "docker.io"
	}
	return first
}
