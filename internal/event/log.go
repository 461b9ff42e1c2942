package event

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/events"

	"silo/api"
)

// MaxLog is how many bytes a file of the log of events has at most; there are
// two, this and the one before it.
const MaxLog = 1 << 20

// queue is how many events may wait to be written.
const queue = 4096

// entry is one line of the log: an event and the session it belongs to.
type entry struct {
	Session uint32
	At      int64 // nanoseconds since 1970
	Type    events.Type
	Action  events.Action
	ID      string            `json:",omitempty"`
	Attr    map[string]string `json:",omitempty"`
}

// Log keeps events on disk, by session, for as long as the machine runs:
// session numbers begin anew with each boot. Nobody who adds waits for the
// disk.
type Log struct {
	path  string
	in    chan entry
	flush chan chan struct{} // answered when what was added before is on disk
	quit  chan struct{}
	done  chan struct{}

	mu   sync.Mutex // of the file
	f    *os.File
	size int64
	lost int64 // events that found no place in the queue
	once sync.Once
}

// OpenLog opens the log at path, where another silod may have begun it.
func OpenLog(path string) (*Log, error) {
	l := &Log{path: path, in: make(chan entry, queue), flush: make(chan chan struct{}), quit: make(chan struct{}), done: make(chan struct{})}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open log of events: %w", err)
	}
	go l.write()
	return l, nil
}

func (l *Log) open() error {
	f, err := os.OpenFile(l.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.f, l.size = f, info.Size()
	return nil
}

// Add keeps an event of a session, 0 for the host's. A nil Log keeps none.
func (l *Log) Add(session uint32, m events.Message) {
	if l == nil {
		return
	}
	e := entry{Session: session, At: m.TimeNano, Type: m.Type, Action: m.Action, ID: m.Actor.ID, Attr: m.Actor.Attributes}
	select {
	case l.in <- e:
	default:
		l.mu.Lock()
		l.lost++
		l.mu.Unlock()
	}
}

// lull is how long the first event that waits is not written: who caused it is
// still being served.
const lull = 10 * time.Millisecond

// write moves events to the file, as many at once as wait.
func (l *Log) write() {
	defer close(l.done)
	for {
		select {
		case e := <-l.in:
			var ack chan struct{}
			select {
			case <-time.After(lull):
			case ack = <-l.flush:
			case <-l.quit: // seen again below
			}
			l.batch(&e)
			if ack != nil {
				close(ack)
			}
		case ack := <-l.flush:
			l.batch(nil)
			close(ack)
		case <-l.quit:
			l.batch(nil)
			return
		}
	}
}

// batch writes an event and all that wait behind it.
func (l *Log) batch(first *entry) {
	var buf bytes.Buffer
	if first != nil {
		encode(&buf, *first)
	}
	for range len(l.in) {
		encode(&buf, <-l.in)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost > 0 {
		encode(&buf, entry{At: time.Now().UnixNano(), Type: events.DaemonEventType, Action: ActionDropped, Attr: map[string]string{"events": fmt.Sprint(l.lost)}})
		l.lost = 0
	}
	if buf.Len() > 0 {
		l.put(buf.Bytes())
	}
}

func encode(w *bytes.Buffer, e entry) {
	if data, err := json.Marshal(e); err == nil { // plain texts and numbers: it does not fail
		w.Write(append(data, '\n'))
	}
}

// put writes, and begins a new file where the old one is full. What a full
// disk refuses is lost. The caller holds l.mu.
func (l *Log) put(data []byte) {
	if l.f == nil || l.size > 0 && l.size+int64(len(data)) > MaxLog {
		if l.f != nil {
			l.f.Close()
			l.f = nil
			_ = os.Rename(l.path, l.path+".1") // else the file grows by one batch
		}
		if err := l.open(); err != nil {
			return
		}
	}
	n, _ := l.f.Write(data)
	l.size += int64(n)
}

// Close writes what waits. What is added later is lost.
func (l *Log) Close() error {
	l.once.Do(func() { close(l.quit) })
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.f == nil {
		return nil
	}
	err := l.f.Close()
	l.f = nil
	return err
}

// Session gives the events of a session, oldest first. A damaged line is
// passed over.
func (l *Log) Session(number uint32) (out []api.SessionRecord, err error) {
	ack := make(chan struct{})
	select {
	case l.flush <- ack:
		<-ack
	case <-l.done:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, path := range []string{l.path + ".1", l.path} {
		err := eachLine(path, func(line string) {
			var e entry
			if json.Unmarshal([]byte(line), &e) != nil || e.Session != number {
				return
			}
			out = append(out, api.SessionRecord{At: time.Unix(0, e.At), Source: "silo", Type: string(e.Action), Text: e.text()})
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// text is what an event is about.
func (e *entry) text() string {
	out := []string{string(e.Type)}
	if e.ID != "" {
		out = append(out, e.ID[:min(12, len(e.ID))])
	}
	var attrs []string
	for k, v := range e.Attr {
		attrs = append(attrs, k+"="+v)
	}
	slices.Sort(attrs)
	return strings.Join(append(out, attrs...), " ")
}

// eachLine reads a file by lines; one that is missing has none, and a line
// that is longer than any should be ends it.
func eachLine(path string, f func(string)) error {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 64<<10)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			f(strings.TrimSuffix(line, "\n"))
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
