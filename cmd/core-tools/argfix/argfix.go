// Package argfix lets people write the arguments of u-root's commands as they
// are used to. Those commands read flags with Go's flag package, which knows
// neither bundled letters (ln -sf) nor a value that follows its letter at once
// (head -n5). Commands of our own read such arguments themselves and are not
// listed here.
package argfix

import (
	"os"
	"path/filepath"
	"strings"
)

// letters holds, for each command, the flags of one letter that are split, as
// getopt writes them: a colon follows a letter that takes a value.
var letters = map[string]string{
	"ln":       "fivsLPrTt:",
	"uniq":     "cdufi",
	"gzip":     "cdfqthkv123456789",
	"gunzip":   "cfqthkv",
	"seq":      "s:f:w",
	"wc":       "lwcrb",
	"comm":     "123h",
	"mkfifo":   "m:",
	"mknod":    "m:",
	"truncate": "cs:r:",
	"uname":    "asnrvmpoid",
	"dmesg":    "cr",
	"umount":   "fl",
	"mount":    "rt:o:a",
	"cmp":      "lLs",
	"hostname": "",
	"pidof":    "s",
	"netstat":  "",
	"readlink": "fv",
	"tty":      "s",
	"which":    "a",
}

// Args changes os.Args in place for the command that they name.
func Args() {
	if len(os.Args) == 0 {
		return
	}
	name := filepath.Base(os.Args[0])
	if name == "tar" && len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") {
		os.Args[1] = "-" + os.Args[1] // tar czf, as in the old days
	}
	if flags, ok := letters[name]; ok {
		os.Args = append(os.Args[:1:1], Split(flags, os.Args[1:])...)
	}
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
