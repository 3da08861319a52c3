package pki

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"
)

// Options says what Ensure issues. The zero value is usable: every field has a default.
type Options struct {
	// Hosts are further IP addresses and DNS names of the serving certificate, usually the host of the listen address.
	// localhost, 127.0.0.1, ::1 and "aggregator" are always in it. Empty strings and unspecified addresses (0.0.0.0, ::)
	// are ignored: nobody dials those.
	Hosts []string
	// LoopbackName is the DNS name of the loopback certificate: the server name that an API server's client to itself
	// asks for. Default "apiserver-loopback-client".
	LoopbackName string
	// CAValidity is how long a new CA is valid. Default 10 years (3650 days).
	CAValidity time.Duration
	// LeafValidity is how long any other new certificate is valid, never beyond its CA. Default 1 year (365 days).
	LeafValidity time.Duration
	// RenewBefore is how long before its end a leaf is issued again. It must be shorter than LeafValidity. Default 30 days.
	RenewBefore time.Duration
	// Backdate is how far in the past a new certificate's validity begins, for clients whose clock is behind. Default 5 minutes.
	Backdate time.Duration
	// Now is the clock by which certificates are judged and issued. Default time.Now.
	Now func() time.Time
}

const day = 24 * time.Hour

// complete returns o with defaults filled in, or all problems, joined.
func (o Options) complete() (Options, error) {
	if o.LoopbackName == "" {
		o.LoopbackName = "apiserver-loopback-client"
	}
	setDefault(&o.CAValidity, 3650*day)
	setDefault(&o.LeafValidity, 365*day)
	setDefault(&o.RenewBefore, min(30*day, o.LeafValidity/3))
	setDefault(&o.Backdate, 5*time.Minute)
	if o.Now == nil {
		o.Now = time.Now
	}

	var problems []error
	for _, d := range []struct {
		field string
		value time.Duration
	}{{"CAValidity", o.CAValidity}, {"LeafValidity", o.LeafValidity}, {"RenewBefore", o.RenewBefore}, {"Backdate", o.Backdate}} {
		if d.value < 0 {
			problems = append(problems, fmt.Errorf("%s: %v: must be positive", d.field, d.value))
		}
	}
	if o.RenewBefore >= o.LeafValidity {
		problems = append(problems, fmt.Errorf("RenewBefore: %v: must be shorter than LeafValidity (%v)", o.RenewBefore, o.LeafValidity))
	}
	for i, host := range o.Hosts {
		if strings.ContainsAny(host, " /*,\t\r\n") || (strings.Contains(host, ":") && net.ParseIP(host) == nil) {
			problems = append(problems, fmt.Errorf("hosts[%d]: %q: must be an IP address or a DNS name, without a port", i, host))
		}
	}
	return o, errors.Join(problems...)
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d == 0 {
		*d = value
	}
}

// servingNames splits the serving certificate's names into DNS names and addresses, sorted and without repetition.
func (o Options) servingNames() (dns []string, ips []net.IP) {
	dns = []string{"aggregator", "localhost"}
	ips = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	for _, host := range o.Hosts {
		switch ip := net.ParseIP(host); {
		case host == "" || (ip != nil && ip.IsUnspecified()):
		case ip != nil:
			ips = append(ips, ip)
		default:
			dns = append(dns, strings.ToLower(host))
		}
	}
	slices.Sort(dns)
	dns = slices.Compact(dns)
	slices.SortFunc(ips, func(a, b net.IP) int { return strings.Compare(a.String(), b.String()) })
	ips = slices.CompactFunc(ips, net.IP.Equal)
	return dns, ips
}
