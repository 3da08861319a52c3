package validation

import (
	"net/netip"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

const allowed = "want an IP address or a DNS name in lower case, such as 10.1.2.3, fd12::1 or wardle.example.com"

// badHost says why a host is not allowed, or "".
//
// A dot at the end of a DNS name is refused, although a resolver understands it: no certificate carries it, and TLS forbids
// it in the server name (RFC 6066, section 3). Spellings of an IPv4 address that only some resolvers know ("127.1",
// "0x7f.1", "2130706433") are refused for the reason that the WHATWG URL standard gives: a last label that is a number makes
// the host an IPv4 address.
func badHost(host string) string {
	if address, err := netip.ParseAddr(host); err == nil {
		if address.Zone() != "" {
			return "an IP address must not have a zone; " + allowed
		}
		return ""
	}
	switch {
	case strings.Contains(host, "://"):
		return "must not have a scheme; " + allowed
	case strings.Contains(host, "/"):
		return "must not have a path; " + allowed
	case strings.Contains(host, "@"):
		return "must not have a user; " + allowed
	case strings.HasPrefix(host, "["):
		return "an IPv6 address is written without brackets, and the port is in the APIService; " + allowed
	case strings.Contains(host, ":"):
		return "must not have a port, which is in the APIService; " + allowed
	case strings.Contains(host, "*"):
		return "must not have a wildcard; " + allowed
	case strings.HasSuffix(host, "."):
		return "must not end with a dot; " + allowed
	case endsInNumber(host):
		return "the last part of a DNS name must not be a number; " + allowed
	}
	if problems := validation.IsDNS1123Subdomain(host); len(problems) > 0 {
		return allowed
	}
	return ""
}

// endsInNumber reports whether the last label is a decimal or hexadecimal number.
func endsInNumber(host string) bool {
	last := host[strings.LastIndexByte(host, '.')+1:]
	if digits, hex := strings.CutPrefix(strings.ToLower(last), "0x"); hex {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
