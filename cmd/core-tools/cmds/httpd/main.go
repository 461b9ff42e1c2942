// Command httpd serves the files of a folder over HTTP, and says each request
// on standard error.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"coretools.silo/getopt"
)

func main() {
	opt := getopt.Parse("p:h:q", "httpd [-q] [-p [address:]port] [-h folder]", nil)
	address := opt.Value('p', "80")
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = ":" + address
	}
	files := http.FileServer(http.Dir(opt.Value('h', ".")))
	server := &http.Server{Addr: address, ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !opt.Has('q') {
			fmt.Fprintf(os.Stderr, "%s %s %s %s\n", time.Now().Format(time.DateTime), r.RemoteAddr, r.Method, r.URL.Path)
		}
		files.ServeHTTP(w, r)
	})}
	stop, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	go func() {
		<-stop.Done()
		_ = server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		fmt.Fprintln(os.Stderr, "httpd:", err)
		os.Exit(1)
	}
}
