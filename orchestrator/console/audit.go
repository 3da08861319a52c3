package console

import (
	"log/slog"
	"net/http"
	"strings"
)

// maxAudited bounds each text of an audit record, in bytes; a caller chooses them.
const maxAudited = 512

// audited is what one request that may change something did, or tried to.
type audited struct {
	what     string // "PUT /api/v1/modules/{name}/override"
	subject  string // the module, or the change in words
	from, to string
	reason   string
	code     int
	err      error
}

// record writes one audit record. Handlers of slog escape what callers chose, so that nobody can write a line of his own.
func record(log *slog.Logger, r *http.Request, a audited) {
	level, result := slog.LevelInfo, "accepted"
	if a.code == http.StatusUnauthorized || a.code == http.StatusForbidden {
		level, result = slog.LevelWarn, "refused"
	} else if a.code >= http.StatusBadRequest {
		level, result = slog.LevelWarn, "failed"
	}
	attrs := []slog.Attr{
		slog.String("who", r.RemoteAddr),
		slog.String("userAgent", trimmed(r.UserAgent())),
		slog.String("what", a.what),
		slog.String("subject", trimmed(a.subject)),
		slog.String("from", trimmed(a.from)),
		slog.String("to", trimmed(a.to)),
		slog.String("reason", trimmed(a.reason)),
		slog.String("result", result),
		slog.Int("status", a.code),
	}
	if a.err != nil {
		attrs = append(attrs, slog.String("error", trimmed(a.err.Error())))
	}
	log.LogAttrs(r.Context(), level, "console", attrs...)
}

func trimmed(text string) string {
	if len(text) > maxAudited {
		text = text[:maxAudited] + "…"
	}
	return strings.ToValidUTF8(text, "�")
}
