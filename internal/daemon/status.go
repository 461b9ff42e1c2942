package daemon

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/moby/moby/api/types/common"

	"silo/internal/errs"
)

// statusOf is the HTTP status of each kind of error, as Docker gives it.
var statusOf = map[errs.Kind]int{
	errs.Internal:     http.StatusInternalServerError,
	errs.NotFound:     http.StatusNotFound,
	errs.Conflict:     http.StatusConflict,
	errs.Invalid:      http.StatusBadRequest,
	errs.Unauthorized: http.StatusUnauthorized,
	errs.Forbidden:    http.StatusForbidden,
	errs.Unavailable:  http.StatusServiceUnavailable,
	errs.NotSupported: http.StatusNotImplemented,
	errs.NotModified:  http.StatusNotModified,
	errs.NotRunnable:  http.StatusBadRequest,
	errs.NoCommand:    http.StatusBadRequest,
}

// Phrases by which Docker's command line knows exit codes 127 and 126 from an
// error's text: the API has no other word for them.
var (
	noCommandPhrases   = []string{"executable file not found", "no such file or directory"}
	notRunnablePhrases = []string{"permission denied", "is a directory"}
)

// message is the text of err for a client.
func message(err error) string {
	text := err.Error()
	switch errs.KindOf(err) {
	case errs.NoCommand:
		return withPhrase(text, noCommandPhrases)
	case errs.NotRunnable:
		return withPhrase(text, notRunnablePhrases)
	}
	return text
}

func withPhrase(text string, phrases []string) string {
	for _, p := range phrases {
		if strings.Contains(text, p) {
			return text
		}
	}
	return text + ": " + phrases[0]
}

// writeError answers a request with err.
func writeError(w http.ResponseWriter, err error) {
	status := statusOf[errs.KindOf(err)]
	if status == 0 {
		status = http.StatusInternalServerError
	}
	h := w.Header()
	for _, k := range []string{"Content-Length", "Content-Encoding"} {
		h.Del(k)
	}
	if status == http.StatusNotModified { // may have no body
		h.Del("Content-Type")
		w.WriteHeader(status)
		return
	}
	_ = writeJSON(w, status, common.ErrorResponse{Message: message(err)})
}

// writeJSON answers with v. The error is the client's going away.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
