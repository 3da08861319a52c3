package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// guard decides who may ask what.
type guard struct {
	token    string
	required bool // for reading too
	listen   string
	hosts    []string
}

func newGuard(s Settings) guard {
	host, _, _ := net.SplitHostPort(s.Listen) // checked before
	return guard{token: s.Token, required: s.RequireToken, listen: host, hosts: s.Hosts}
}

// refusal is why a request is not served.
type refusal struct {
	code int
	text string
}

// reading returns why a request that reads is refused; nil: it is not.
func (g guard) reading(r *http.Request) *refusal {
	if f := g.host(r); f != nil {
		return f
	}
	if g.required && !g.bearer(r) {
		return &refusal{http.StatusUnauthorized, "the token of the console is required: it is in console.token in the data directory"}
	}
	return nil
}

// changing returns why a request that may change something is refused; nil: it is not.
func (g guard) changing(r *http.Request) *refusal {
	if f := g.sending(r); f != nil && f.code != http.StatusUnsupportedMediaType {
		return f
	}
	if g.token == "" {
		return &refusal{http.StatusForbidden, "nothing can be changed: this console has no token"}
	}
	if !g.bearer(r) {
		return &refusal{http.StatusUnauthorized, "the token of the console is required: it is in console.token in the data directory"}
	}
	return g.sending(r)
}

// sending returns why a request with a body is refused; nil: it is not. A browser can be made to send requests, but neither
// with the token, nor with an Origin of its choice, nor as JSON without asking first.
func (g guard) sending(r *http.Request) *refusal {
	if f := g.host(r); f != nil {
		return f
	}
	if origin := r.Header.Get("Origin"); origin != "" && origin != "http://"+r.Host && origin != "https://"+r.Host {
		return &refusal{http.StatusForbidden, fmt.Sprintf("origin %q is not this console", origin)}
	}
	bare := r.Method == http.MethodDelete && r.ContentLength == 0 // no body, and no browser sends it unasked
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); !bare && (err != nil || kind != "application/json") {
		return &refusal{http.StatusUnsupportedMediaType, fmt.Sprintf("Content-Type: %q: allowed is application/json", r.Header.Get("Content-Type"))}
	}
	return nil
}

// bearer reports whether the request carries the token. Digests have one length, so the time it takes tells nothing.
func (g guard) bearer(r *http.Request) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if g.token == "" || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	want, got := sha256.Sum256([]byte(g.token)), sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// host refuses a name that somebody else's DNS leads here, which would make this console part of somebody else's page.
func (g guard) host(r *http.Request) *refusal {
	name, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		name, port = r.Host, ""
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil && port != "" {
		return &refusal{http.StatusForbidden, fmt.Sprintf("host %q is not an address of this console", r.Host)}
	}
	name = strings.Trim(name, "[]")
	if isLoopback(name) || strings.EqualFold(name, g.listen) && name != "" {
		return nil
	}
	for _, known := range g.hosts {
		if strings.EqualFold(name, known) {
			return nil
		}
	}
	// Who listens on all addresses is asked by any of them. An address was not looked up, so no DNS led here.
	if _, err := netip.ParseAddr(name); err == nil && g.everywhere() {
		return nil
	}
	return &refusal{http.StatusForbidden, fmt.Sprintf("host %q is not an address of this console", r.Host)}
}

func (g guard) everywhere() bool {
	address, err := netip.ParseAddr(g.listen)
	return g.listen == "" || err == nil && address.IsUnspecified()
}

// refuse answers a request that is not served.
func refuse(w http.ResponseWriter, f *refusal) {
	if f.code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="console"`)
	}
	writeJSON(w, f.code, Problem{Error: f.text})
}
