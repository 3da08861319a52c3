package backend

import (
	"fmt"
	"net/http"
	"strings"
)

// inadmissible says why a request must not be forwarded at all, or "".
func inadmissible(r *http.Request) string {
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		return fmt.Sprintf("method %q can't be forwarded", r.Method)
	}
	if hasDotSegment(r.URL.Path) {
		return "a path with the segment \".\" or \"..\" can't be forwarded: it was authorized as it is written, and a backend may read it otherwise"
	}
	switch protocols := r.Header["Upgrade"]; {
	case len(protocols) == 0:
		return ""
	case len(protocols) == 1 && (strings.EqualFold(protocols[0], "websocket") || strings.EqualFold(protocols[0], "SPDY/3.1")):
		return ""
	default:
		// Others would tunnel requests past authentication and header rules: h2c, for one.
		return fmt.Sprintf("upgrade to %q can't be forwarded: want \"websocket\" or \"SPDY/3.1\"", strings.Join(protocols, ", "))
	}
}

func hasDotSegment(path string) bool {
	if !strings.Contains(path, "/.") {
		return false
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// isDiscovery reports whether the path is /apis/<group>/<version>, which describes resources and is answered at once.
func isDiscovery(path string) bool {
	return strings.HasPrefix(path, "/apis/") && strings.Count(strings.Trim(path, "/"), "/") == 2
}
