package facts

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"silo/internal/linux"
)

// serviceSocket is where the agent answers programs inside.
const serviceSocket = "/dev/silo/agent"

// serviceTimeout bounds how long that may take: somebody else may answer.
const serviceTimeout = 2 * time.Second

// askServices asks the agent as any program inside may; take waits for the
// answer. A container whose agent supervises nothing has no such socket.
func (f *Facts) askServices(socket string) (take func()) {
	s, err := linux.DialStream(socket)
	if errors.Is(err, fs.ErrNotExist) {
		return func() {}
	}
	if err != nil {
		f.problem("services", err)
		return func() {}
	}
	_, err = io.WriteString(s, "{\"op\":\"services\"}\n")
	return func() {
		late := time.AfterFunc(serviceTimeout, func() { s.Close() })
		if err == nil {
			err = f.takeServices(s)
		}
		if late.Stop() {
			s.Close()
		}
		if err != nil {
			f.problem("services", err)
		}
	}
}

// takeServices reads the agent's answer.
func (f *Facts) takeServices(r io.Reader) error {
	var reply struct {
		Error    string
		Services []Service
	}
	if err := json.NewDecoder(io.LimitReader(r, maxFile)).Decode(&reply); err != nil {
		return fmt.Errorf("answer of the agent: %v", err)
	}
	if reply.Error != "" {
		return errors.New(reply.Error)
	}
	for _, x := range reply.Services[:min(len(reply.Services), MaxServices)] {
		f.Services = append(f.Services, Service{Text(x.Name), Text(x.Status)})
	}
	return nil
}
