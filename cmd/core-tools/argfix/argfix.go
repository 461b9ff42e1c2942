// Package argfix lets people write the arguments of u-root's commands as they
// are used to. Those commands read flags with Go's flag package, which knows
// neither bundled letters (uname -sr) nor a value that follows its letter at
// once (truncate -s5). Commands of our own read such arguments themselves and
// are not listed here.
package argfix

import (
	"os"
	"path/filepath"
	"strings"
)

// letters holds, for each command, the flags of one letter that are split, as
// getopt writes them: a colon follows a letter that takes a value.
var letters = map[string]string{
	"dmesg":    "cr",
	"mount":    "rt:o:a",
	"pidof":    "s",
	"truncate": "cs:r:",
	"umount":   "fl",
	"uname":    "asnrvmpoid",
	"which":    "a",
}

// Aliases are further names of commands: what they stand for, and the
// arguments that come first. The images have links of these names.
var Aliases = map[string][]string{
	"chgrp":     {"chown", "--group-only"},
	"egrep":     {"grep", "-E"},
	"fgrep":     {"grep", "-F"},
	"gunzip":    {"gzip", "-d"},
	"less":      {"more"},
	"md5sum":    {"shasum", "-a", "md5"},
	"realpath":  {"readlink", "-f"},
	"sha1sum":   {"shasum", "-a", "1"},
	"sha256sum": {"shasum", "-a", "256"},
	"sha512sum": {"shasum", "-a", "512"},
	"zcat":      {"gzip", "-d", "-c"},
}

// Args changes os.Args for the command that they name.
func Args() {
	if len(os.Args) == 0 {
		return
	}
	name := filepath.Base(os.Args[0])
	args := os.Args[1:]
	if alias, ok := Aliases[name]; ok {
		name = alias[0]
		args = append(append([]string{}, alias[1:]...), args...)
	}
	if name == "tar" && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		args = append([]string{"-" + args[0]}, args[1:]...) // tar czf, as in the old days
	}
	if name == "hexdump" && len(args) > 0 && args[0] == "-C" {
		args = args[1:] // the one form that it has
	}
	if name == "dd" {
		args = Sizes(args)
	}
	if flags, ok := letters[name]; ok {
		args = Split(flags, args)
	}
	os.Args = append([]string{name}, args...)
}

// Split writes each bundle of letters as flags of their own. A bundle with a
// letter that is not in flags stays as it is, and so does all after "--".
func Split(flags string, args []string) []string {
	var out []string
	for i, a := range args {
		if a == "--" {
			return append(out, args[i:]...)
		}
		if len(a) < 3 || a[0] != '-' || a[1] == '-' {
			out = append(out, a)
			continue
		}
		out = append(out, split(flags, a)...)
	}
	return out
}

func split(flags, bundle string) []string {
	var out []string
	for i := 1; i < len(bundle); i++ {
		at := strings.IndexByte(flags, bundle[i])
		if at < 0 || bundle[i] == ':' {
			return []string{bundle}
		}
		out = append(out, "-"+bundle[i:i+1])
		if at+1 < len(flags) && flags[at+1] == ':' && i+1 < len(bundle) {
			return append(out, bundle[i+1:])
		}
	}
	return out
}
