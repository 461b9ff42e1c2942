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

// readServices asks the agent as any program inside may. A container whose
// agent supervises nothing has no such socket.
func (f *Facts) readServices(socket string) {
	s, err := linux.DialStream(socket)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		f.problem("services", err)
		return
	}
	late := time.AfterFunc(serviceTimeout, func() { s.Close() })
	defer func() {
		if late.Stop() {
			s.Close()
		}
	}()
	if _, err := io.WriteString(s, "{\"op\":\"services\"}\n"); err != nil {
		f.problem("services", err)
		return
	}
	var reply struct {
		Error    string
		Services []Service
	}
	if err := json.NewDecoder(io.LimitReader(s, maxFile)).Decode(&reply); err != nil {
		f.problem("services", fmt.Errorf("answer of the agent: %v", err))
		return
	}
	if reply.Error != "" {
		f.problem("services", errors.New(reply.Error))
		return
	}
	for _, x := range reply.Services[:min(len(reply.Services), MaxServices)] {
		f.Services = append(f.Services, Service{Text(x.Name), Text(x.Status)})
	}
}
