package backend

import (
	"net/http"
	"strings"
)

// bearerProtocol begins the WebSocket subprotocol that carries a bearer token for a browser.
const bearerProtocol = "base64url.bearer.authorization.k8s.io." //nolint:gosec // A name, not a credential.

// withhold removes what a client must not tell a backend, in every spelling: servers that follow CGI turn a header's name into
// a variable's, and "X_Remote_User" or "X.Remote.User" into the same as "X-Remote-User".
func withhold(h http.Header) {
	for name := range h {
		if isWithheld(name) {
			delete(h, name)
		}
	}
	withholdBearer(h)
}

// isWithheld reports whether a client would speak in our name with the header, or show its credentials to the backend.
func isWithheld(name string) bool {
	for _, prefix := range [...]string{"x-remote-", "impersonate-", "x-forwarded-"} {
		if len(name) >= len(prefix) && folds(name[:len(prefix)], prefix) {
			return true
		}
	}
	for _, whole := range [...]string{
		"audit-id", "authorization", "cookie", "forwarded", "http2-settings", "proxy-authorization", "te", "x-real-ip",
	} {
		if folds(name, whole) {
			return true
		}
	}
	return false
}

// withholdFromClient removes what a backend must not set for our address, which all backends share: state, policy, another
// address.
func withholdFromClient(h http.Header) {
	for _, name := range [...]string{
		"Access-Control-Allow-Credentials", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
		"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Access-Control-Max-Age",
		"Alt-Svc", "Audit-Id", "Clear-Site-Data", "Set-Cookie",
	} {
		delete(h, name)
	}
}

// folds reports whether name becomes the canonical name if letters are put in lower case, and all but letters and digits are
// replaced by dashes.
func folds(name, canonical string) bool {
	if len(name) != len(canonical) {
		return false
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		default:
			c = '-'
		}
		if c != canonical[i] {
			return false
		}
	}
	return true
}

// withholdBearer removes tokens from the WebSocket subprotocols.
func withholdBearer(h http.Header) {
	const name = "Sec-Websocket-Protocol"
	if !strings.Contains(strings.Join(h[name], ","), bearerProtocol) {
		return
	}
	var kept []string
	for _, line := range h[name] {
		for protocol := range strings.SplitSeq(line, ",") {
			if protocol = strings.TrimSpace(protocol); protocol != "" && !strings.HasPrefix(protocol, bearerProtocol) {
				kept = append(kept, protocol)
			}
		}
	}
	if len(kept) == 0 {
		h.Del(name)
		return
	}
	h.Set(name, strings.Join(kept, ", "))
}
