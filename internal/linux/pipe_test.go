package linux

import (
	"io"
	"testing"
)

// A client that has sent more than was read gets the output and its end.
func TestEndFile(t *testing.T) {
	ours, theirs, err := Socketpair()
	if err != nil {
		t.Fatal(err)
	}
	server, client := NewFD(ours, "server").PollFile(), NewFD(theirs, "client").PollFile()
	defer client.Close()
	if _, err := client.Write(make([]byte, 100<<10)); err != nil {
		t.Fatal(err)
	}
	if _, err := server.WriteString("output"); err != nil {
		t.Fatal(err)
	}
	EndFile(server)
	server.Close()
	if out, err := io.ReadAll(client); string(out) != "output" || err != nil {
		t.Errorf("the client reads %q, %v", out, err)
	}
	if _, err := client.WriteString("more"); err == nil {
		t.Error("the client can send after the end")
	}
}
