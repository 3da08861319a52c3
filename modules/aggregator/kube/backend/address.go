package backend

import (
	"net/netip"
	"slices"
)

// addresses decides which addresses a connection may go to.
type addresses struct {
	allowed []netip.Prefix
}

// check returns an *AddressError for an address that is refused.
func (a addresses) check(address netip.Addr) error {
	address = address.WithZone("").Unmap()
	if slices.ContainsFunc(a.allowed, func(p netip.Prefix) bool { return p.Contains(address) }) {
		return nil
	}
	if kind := refusedKind(address); kind != "" {
		return &AddressError{Address: address, Kind: kind}
	}
	// An IPv6 address that a gateway turns into an IPv4 address is judged by that one, too.
	if embedded, ok := embeddedIPv4(address); ok {
		return a.check(embedded)
	}
	return nil
}

// refusedKind says why an address is refused by default, or "". Private networks are not: backends live there.
func refusedKind(address netip.Addr) string {
	switch {
	case isMetadata(address):
		return "a cloud metadata address"
	case address.IsLoopback():
		return "a loopback address"
	case address.IsUnspecified(), netip.PrefixFrom(netip.IPv4Unspecified(), 8).Contains(address):
		return "an unspecified address"
	case address.IsLinkLocalUnicast():
		return "a link-local address"
	case address.IsMulticast():
		return "a multicast address"
	case address == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "the broadcast address"
	default:
		return ""
	}
}

// isMetadata reports whether a cloud answers with its machines' credentials at the address.
func isMetadata(address netip.Addr) bool {
	switch address.String() {
	case "169.254.169.254", // AWS, Azure, Google Cloud, OpenStack and others
		"169.254.170.2", "169.254.170.23", // AWS: containers
		"fd00:ec2::254", "fd00:ec2::23", // AWS
		"fd20:ce::254",    // Google Cloud
		"100.100.100.200", // Alibaba Cloud
		"192.0.0.192",     // Oracle Cloud
		"168.63.129.16":   // Azure: the machine's host
		return true
	default:
		return false
	}
}

// embeddedIPv4 returns the IPv4 address that a translator would take from an IPv6 address: NAT64 (RFC 6052, section 2.1),
// 6to4 (RFC 3056) or the old IPv4-compatible form (RFC 4291, section 2.5.5.1).
func embeddedIPv4(address netip.Addr) (netip.Addr, bool) {
	if !address.Is6() {
		return netip.Addr{}, false
	}
	b := address.As16()
	switch {
	case netip.PrefixFrom(netip.AddrFrom16([16]byte{0x00, 0x64, 0xff, 0x9b}), 96).Contains(address),
		netip.PrefixFrom(netip.IPv6Unspecified(), 96).Contains(address):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6])), true
	default:
		return netip.Addr{}, false
	}
}
