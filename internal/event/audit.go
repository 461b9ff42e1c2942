package event

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"silo/api"
)

// mostAudit bounds how many records of one session are given: the last ones.
const mostAudit = 10000

// Audit gives the records of a session from the files of the host's audit
// daemon in a folder, oldest first: audit.log and the older audit.log.N. A
// host without such a log has none, and no error.
func Audit(dir string, session uint32) ([]api.SessionRecord, error) {
	var out []api.SessionRecord
	mark := fmt.Sprintf(" ses=%d", session)
	for n := 9; n >= 0; n-- {
		path := filepath.Join(dir, "audit.log")
		if n > 0 {
			path += "." + strconv.Itoa(n)
		}
		err := eachLine(path, func(line string) {
			if r, ok := auditRecord(line, mark); ok {
				out = append(out, r)
			}
			if len(out) > 2*mostAudit {
				out = append(out[:0], out[len(out)-mostAudit:]...)
			}
		})
		if errors.Is(err, fs.ErrPermission) {
			continue // somebody else's
		}
		if err != nil {
			return nil, fmt.Errorf("read audit log: %w", err)
		}
	}
	return out[max(0, len(out)-mostAudit):], nil
}

// auditRecord reads one line, as in
//
//	type=USER_START msg=audit(1364481363.243:24287): pid=1 uid=0 ses=7 …
func auditRecord(line, mark string) (r api.SessionRecord, ok bool) {
	_, after, found := strings.Cut(line, mark)
	if !found || after != "" && after[0] >= '0' && after[0] <= '9' {
		return r, false
	}
	kind, rest, found := strings.Cut(strings.TrimPrefix(line, "type="), " msg=audit(")
	stamp, text, found2 := strings.Cut(rest, "): ")
	if !found || !found2 || !strings.HasPrefix(line, "type=") {
		return r, false
	}
	at, _, _ := strings.Cut(stamp, ":")
	seconds, err := strconv.ParseFloat(at, 64)
	if err != nil {
		return r, false
	}
	return api.SessionRecord{At: time.UnixMilli(int64(seconds * 1000)), Source: "audit", Type: kind, Text: text}, true
}
