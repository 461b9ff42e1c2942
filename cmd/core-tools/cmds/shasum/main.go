// Command shasum prints or checks (-c) digests of files: -a 1, 224, 256, 384,
// 512 or md5.
package main

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"

	"coretools.silo/getopt"
)

var digests = map[string]func() hash.Hash{
	"md5": md5.New, "1": sha1.New, "224": sha256.New224, "256": sha256.New, "384": sha512.New384, "512": sha512.New,
}

func main() {
	opt := getopt.Parse("a:cbtqs", "shasum [-a 1|224|256|384|512|md5] [-c [-qs] [--strict]] [file ...]", map[string]string{
		"algorithm": "a", "check": "c", "quiet": "q", "status": "s", "strict": "!", // a letter that cannot be typed
	})
	digest, ok := digests[opt.Value('a', "1")]
	if !ok {
		opt.Usage("-a %s: unknown", opt.Value('a', ""))
	}
	files := opt.Operands
	if len(files) == 0 {
		files = []string{"-"}
	}
	c := &checker{digest: digest, quiet: opt.Has('q'), silent: opt.Has('s'), strict: opt.Has('!'), out: os.Stdout, errs: os.Stderr}
	var status getopt.Status
	failed := false
	for _, name := range files {
		if opt.Has('c') {
			ok, err := c.file(name)
			status.Note(err)
			failed = failed || !ok
			continue
		}
		sum, err := sum(name, digest)
		if err != nil {
			status.Note(err)
			continue
		}
		fmt.Printf("%s  %s\n", sum, name)
	}
	if failed {
		os.Exit(1)
	}
	status.Exit()
}

func open(name string) (*os.File, error) {
	if name == "-" {
		return os.Stdin, nil
	}
	return os.Open(name)
}

func sum(name string, digest func() hash.Hash) (string, error) {
	f, err := open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := digest()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
