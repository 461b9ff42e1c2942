package engine

import (
	"errors"
	"net"
	"path/filepath"
	"testing"

	"github.com/moby/moby/api/types/container"

	"silo/internal/event"
	"silo/internal/keeper/wire"
	"silo/internal/linux"
)

// TestAttachBeforeStart starts a container in the moment in which its client
// has the answer to attach, but attach has not come to its end.
func TestAttachBeforeStart(t *testing.T) {
	for _, tt := range []struct {
		name   string
		refuse error
		want   int
	}{
		{"taken over", nil, 1},
		{"hung up", errors.New("the client is gone"), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			log, err := event.OpenLog(filepath.Join(t.TempDir(), "events"))
			if err != nil {
				t.Fatal(err)
			}
			defer log.Close()
			e := &Engine{containers: map[string]*Container{}, names: map[string]string{}, events: log}
			c := newContainer(e, &configRecord{ID: "abc", Name: "n", Config: &container.Config{}, HostConfig: &container.HostConfig{}})
			c.st.State = container.StateCreated
			e.containers["abc"], e.names["n"] = c, "abc"
			got := make(chan []*linux.FD)
			err = e.ContainerAttach(t.Context(), "n", AttachOptions{Stream: true, Stdout: true}, func(bool) (net.Conn, []byte, error) {
				listed := make(chan bool)
				go func() {
					c.mu.Lock()
					listed <- len(c.pending) == 1
					c.mu.Unlock()
					var s wire.Start
					got <- c.takePending(&s)
				}()
				if !<-listed {
					t.Error("a start that comes now does not know of the client")
				}
				if tt.refuse != nil {
					return nil, nil, tt.refuse
				}
				return connection(t), nil, nil
			})
			if !errors.Is(err, tt.refuse) {
				t.Errorf("attach: %v, want %v", err, tt.refuse)
			}
			conns := <-got
			if len(conns) != tt.want {
				t.Errorf("the start got %d connections, want %d", len(conns), tt.want)
			}
			for _, fd := range conns {
				fd.Close()
			}
		})
	}
}

// connection is silod's side of a client's connection.
func connection(t *testing.T) net.Conn {
	server, _ := connections(t)
	return server
}

func connections(t *testing.T) (server, client net.Conn) {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return server, client
}
