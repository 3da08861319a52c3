package backend

import (
	"net/http"
	"net/netip"
)

// CheckAddress is the rule of a Dialer that allows the networks.
func CheckAddress(address netip.Addr, allowed ...netip.Prefix) error {
	return addresses{allowed: allowed}.check(address)
}

// Withhold removes what a client must not tell a backend.
func Withhold(h http.Header) { withhold(h) }

// Kept returns how many identities have connections.
func (t *Transports) Kept() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
}
