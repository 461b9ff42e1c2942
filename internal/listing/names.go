package listing

import "strings"

// Image names are read here and not with distribution/reference, whose regular
// expressions cost most of a millisecond at each start. Nothing is refused:
// the daemon judges.

// SplitName cuts an image name into repository, tag and digest; tag and digest
// may be empty.
func SplitName(s string) (repo, tag, digest string) {
	s, digest, _ = strings.Cut(s, "@")
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		return s[:i], s[i+1:], digest
	}
	return s, "", digest
}

// FamiliarName leaves out what a user need not type, and a digest.
func FamiliarName(s string) string {
	if strings.HasPrefix(s, "sha256:") {
		return s
	}
	repo, tag, _ := SplitName(s)
	for _, prefix := range []string{"docker.io/library/", "docker.io/"} {
		if rest, ok := strings.CutPrefix(repo, prefix); ok {
			repo = rest
			break
		}
	}
	if tag != "" {
		return repo + ":" + tag
	}
	return repo
}
