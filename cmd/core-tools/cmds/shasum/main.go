// Command shasum prints or checks (-c) digests of files: -a 1, 224, 256, 384,
// 512 or md5.
package main

import (
	"bufio"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"coretools.silo/getopt"
)

var digests = map[string]func() hash.Hash{
	"md5": md5.New, "1": sha1.New, "224": sha256.New224, "256": sha256.New, "384": sha512.New384, "512": sha512.New,
}

func main() {
	opt := getopt.Parse("a:cbtqs", "shasum [-a 1|224|256|384|512|md5] [-c] [file ...]", map[string]string{"algorithm": "a", "check": "c", "quiet": "q", "status": "s"})
	digest, ok := digests[opt.Value('a', "1")]
	if !ok {
		opt.Usage("-a %s: unknown", opt.Value('a', ""))
	}
	files := opt.Operands
	if len(files) == 0 {
		files = []string{"-"}
	}
	var status getopt.Status
	for _, name := range files {
		if opt.Has('c') {
			status.Note(check(name, digest, opt.Has('q') || opt.Has('s')))
			continue
		}
		sum, err := sum(name, digest)
		if err != nil {
			status.Note(err)
			continue
		}
		fmt.Printf("%s  %s\n", sum, name)
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

func check(list string, digest func() hash.Hash, quiet bool) error {
	f, err := open(list)
	if err != nil {
		return err
	}
	defer f.Close()
	bad := 0
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		want, name, ok := strings.Cut(scan.Text(), " ")
		if !ok {
			continue
		}
		name = strings.TrimLeft(name, " *")
		have, err := sum(name, digest)
		switch {
		case err != nil:
			fmt.Fprintln(os.Stderr, "shasum:", err)
			bad++
		case !strings.EqualFold(have, want):
			fmt.Printf("%s: FAILED\n", name)
			bad++
		case !quiet:
			fmt.Printf("%s: OK\n", name)
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of the files differ from their digests", bad)
	}
	return scan.Err()
}
