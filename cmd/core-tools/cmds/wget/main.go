// Command wget gets a file over HTTP: into a file of its name, into the one
// that -O names, or to standard output with -O -.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("qSO:T:U:P:", "wget [-qS] [-O file] [-P folder] [-T seconds] [-U agent] url",
		map[string]string{
			"quiet": "q", "output-document": "O", "timeout": "T", "user-agent": "U", "server-response": "S", "directory-prefix": "P",
		})
	if len(opt.Operands) != 1 {
		opt.Usage("needs one address")
	}
	if err := get(opt, opt.Operands[0]); err != nil {
		fmt.Fprintln(os.Stderr, "wget:", err)
		os.Exit(1)
	}
}

func get(opt *getopt.Set, address string) error {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	wait, err := getopt.Duration(opt.Value('T', "60"))
	if err != nil {
		return err
	}
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: wait}).DialContext,
		ResponseHeaderTimeout: wait,
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", opt.Value('U', "wget (Silo)"))
	start := time.Now()
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if opt.Has('S') {
		fmt.Fprintln(os.Stderr, resp.Proto, resp.Status)
		_ = resp.Header.Write(os.Stderr)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: the server answered %s", u, resp.Status)
	}
	name := opt.Value('O', "")
	if name == "" {
		if name = path.Base(u.Path); name == "." || name == "/" {
			name = "index.html"
		}
		if dir := opt.Value('P', ""); dir != "" {
			name = path.Join(dir, name)
		}
	}
	n, err := save(name, resp.Body)
	if err != nil {
		return err
	}
	if !opt.Has('q') && name != "-" {
		fmt.Fprintf(os.Stderr, "%s: %d bytes in %s\n", name, n, time.Since(start).Round(time.Millisecond))
	}
	return nil
}

func save(name string, r io.Reader) (int64, error) {
	if name == "-" {
		return io.Copy(os.Stdout, r)
	}
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(f, r)
	return n, errors.Join(err, f.Close())
}
